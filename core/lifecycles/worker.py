"""Lifecycle of a worker over all runs."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import QualificationId, WorkerId
from ...events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerBlocked,
    WorkerErased,
    WorkerEvent,
    WorkerRegistered,
    WorkerUnblocked,
)
from .table import Lifecycle, Status, existing, stays, step


class WorkerStatus(Status):
    """Status of a worker."""

    REGISTERED = "registered"
    BLOCKED = "blocked"
    ERASED = "erased"


_S = WorkerStatus

WORKER = Lifecycle(
    "worker",
    WorkerStatus,
    (
        step(WorkerRegistered, None, _S.REGISTERED),
        step(WorkerBlocked, _S.REGISTERED, _S.BLOCKED),
        step(WorkerUnblocked, _S.BLOCKED, _S.REGISTERED),
        step(WorkerErased, (_S.REGISTERED, _S.BLOCKED), _S.ERASED),
        *stays(QualificationGranted, _S.REGISTERED, _S.BLOCKED),
        *stays(QualificationChanged, _S.REGISTERED, _S.BLOCKED),
        *stays(QualificationRevoked, _S.REGISTERED, _S.BLOCKED),
    ),
)


class WorkerState(msgspec.Struct, frozen=True):
    """State of a worker."""

    status: WorkerStatus
    worker: WorkerId
    provider_type: str
    identity: str
    #: Value of each qualification that the worker has.
    qualifications: dict[QualificationId, int] = {}


def evolve(worker: WorkerState | None, event: WorkerEvent) -> WorkerState:
    """Return the worker after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = WORKER.after(worker.status if worker else None, event)
    if isinstance(event, WorkerRegistered):
        return WorkerState(status, event.worker, event.provider_type, event.identity)
    worker = existing(worker)
    held = worker.qualifications
    match event:
        case QualificationGranted() | QualificationChanged():
            return replace(worker, qualifications=held | {event.qualification: event.value})
        case QualificationRevoked():
            return replace(worker, qualifications={k: v for k, v in held.items() if k != event.qualification})
        case WorkerBlocked() | WorkerUnblocked() | WorkerErased():
            return replace(worker, status=status)
        case _:
            assert_never(event)
