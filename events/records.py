"""Events of the directory's records: projects, tasks, requesters, qualifications."""

from __future__ import annotations

from .base import Event
from .ids import ProjectId, QualificationId, RequesterId, TaskId


class ProjectCreated(Event, frozen=True, kw_only=True, tag="project_created"):
    """A project, which groups tasks, was named for the first time."""

    project: ProjectId
    name: str


class TaskRegistered(Event, frozen=True, kw_only=True, tag="task_registered"):
    """A task name was used for the first time."""

    task: TaskId
    name: str
    task_type: str


class TaskPutInProject(Event, frozen=True, kw_only=True, tag="task_put_in_project"):
    """A task was put in a project; it leaves the one that it was in."""

    project: ProjectId


class RequesterRegistered(Event, frozen=True, kw_only=True, tag="requester_registered"):
    """An account at a provider was named for the first time."""

    requester: RequesterId
    name: str
    provider_type: str


class QualificationCreated(Event, frozen=True, kw_only=True, tag="qualification_created"):
    """A qualification name was used for the first time."""

    qualification: QualificationId
    name: str


TaskEvent = TaskRegistered | TaskPutInProject

RecordEvent = ProjectCreated | RequesterRegistered | QualificationCreated
