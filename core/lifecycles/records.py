"""Lifecycle of records, which never change: projects, requesters, qualifications."""

from __future__ import annotations

import msgspec

from ...events.records import ProjectCreated, QualificationCreated, RecordEvent, RequesterRegistered
from .table import Lifecycle, Status, step


class RecordStatus(Status):
    """The one status of a record."""

    RECORDED = "recorded"


_S = RecordStatus

RECORD = Lifecycle(
    "record",
    RecordStatus,
    (
        step(ProjectCreated, None, _S.RECORDED),
        step(RequesterRegistered, None, _S.RECORDED),
        step(QualificationCreated, None, _S.RECORDED),
    ),
)


class RecordState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of a record: the event that created it."""

    status: RecordStatus
    fact: RecordEvent


def evolve(record: RecordState | None, event: RecordEvent) -> RecordState:
    """Return the record after its only event.

    Raises:
        IllegalStepError: it was made before.
    """
    return RecordState(RECORD.after(record.status if record else None, event), event)
