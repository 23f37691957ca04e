"""Events that create what never changes: tasks, requesters, qualifications, assignments."""

from __future__ import annotations

from .base import Event, PayloadRef
from .ids import AssignmentId, QualificationId, RequesterId, TaskId


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


class AssignmentCreated(Event, frozen=True, kw_only=True, tag="assignment_created"):
    """A piece of input data was taken from the run's source."""

    assignment: AssignmentId
    #: Place in the run's data: 0, 1, 2 ...
    number: int
    data: PayloadRef


RecordEvent = TaskRegistered | RequesterRegistered | QualificationCreated | AssignmentCreated
