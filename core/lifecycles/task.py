"""Lifecycle of a task: it is registered once, and may be put in one project after another."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ...events.ids import ProjectId, TaskId
from ...events.records import TaskEvent, TaskPutInProject, TaskRegistered
from .table import Lifecycle, Status, existing, stays, step


class TaskStatus(Status):
    """The one status of a task."""

    REGISTERED = "registered"


TASK = Lifecycle(
    "task",
    TaskStatus,
    (
        step(TaskRegistered, None, TaskStatus.REGISTERED),
        *stays(TaskPutInProject, TaskStatus.REGISTERED),
    ),
)


class TaskState(msgspec.Struct, frozen=True, gc=False):
    """State of a task."""

    status: TaskStatus
    task: TaskId
    #: None if it is in no project.
    project: ProjectId | None = None


def evolve(task: TaskState | None, event: TaskEvent) -> TaskState:
    """Return the task after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = TASK.after(task.status if task else None, event)
    if isinstance(event, TaskRegistered):
        return TaskState(status, event.task)
    return replace(existing(task), project=event.project)
