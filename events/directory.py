"""What outlives runs and hardly changes: tasks, requesters, qualifications."""

from __future__ import annotations

from .base import Event
from .ids import QualificationId, RequesterId, TaskId


class TaskRegistered(Event, frozen=True, kw_only=True, tag="task_registered"):
    """A task name was used for the first time."""

    task: TaskId
    name: str
    task_type: str


class RequesterRegistered(Event, frozen=True, kw_only=True, tag="requester_registered"):
    """An account at a provider was named for the first time."""

    requester: RequesterId
    name: str
    provider_type: str


class QualificationCreated(Event, frozen=True, kw_only=True, tag="qualification_created"):
    """A qualification name was used for the first time."""

    qualification: QualificationId
    name: str


DirectoryEvent = TaskRegistered | RequesterRegistered | QualificationCreated
