"""What is only ever written down: tasks, requesters, qualifications, assignments. One step each: recorded."""

from __future__ import annotations

import msgspec

from ...events.assignment import AssignmentCreated
from ...events.directory import DirectoryEvent, QualificationCreated, RequesterRegistered, TaskRegistered
from .table import Lifecycle, Status, step


class RecordStatus(Status):
    """A record has one status."""

    RECORDED = "recorded"


_S = RecordStatus

RECORD = Lifecycle(
    "record",
    RecordStatus,
    (
        step(TaskRegistered, None, _S.RECORDED),
        step(RequesterRegistered, None, _S.RECORDED),
        step(QualificationCreated, None, _S.RECORDED),
        step(AssignmentCreated, None, _S.RECORDED),
    ),
)

RecordEvent = DirectoryEvent | AssignmentCreated


class RecordState(msgspec.Struct, frozen=True, gc=False):
    """A fact that does not change."""

    status: RecordStatus
    fact: RecordEvent


def evolve(record: RecordState | None, event: RecordEvent) -> RecordState:
    """The record, once it is made.

    Raises:
        IllegalStepError: it was made before.
    """
    return RecordState(RECORD.after(record.status if record else None, event), event)
