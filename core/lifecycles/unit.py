"""Lifecycle of a unit: the smallest piece of work."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import AgentId, AssignmentId, UnitId, WorkerId
from ...events.unit import (
    UnitAccepted,
    UnitAssigned,
    UnitCompleted,
    UnitCreated,
    UnitEvent,
    UnitExpired,
    UnitLateAccepted,
    UnitLaunched,
    UnitRejected,
    UnitReleased,
    UnitReopened,
    UnitSoftRejected,
    UnitVerdictWithdrawn,
)
from .table import Lifecycle, Status, existing, step


class UnitStatus(Status):
    """Status of a unit, in Mephisto's words."""

    CREATED = "created"
    LAUNCHED = "launched"
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    SOFT_REJECTED = "soft_rejected"
    REJECTED = "rejected"
    EXPIRED = "expired"


_S = UnitStatus

UNIT = Lifecycle(
    "unit",
    UnitStatus,
    (
        step(UnitCreated, None, _S.CREATED),
        step(UnitLaunched, _S.CREATED, _S.LAUNCHED),
        step(UnitAssigned, _S.LAUNCHED, _S.ASSIGNED),
        step(UnitReleased, _S.ASSIGNED, _S.LAUNCHED),  # no work was done: offer it again
        step(UnitCompleted, _S.ASSIGNED, _S.COMPLETED),
        step(UnitAccepted, (_S.COMPLETED, _S.REJECTED, _S.SOFT_REJECTED), _S.ACCEPTED),  # a reviewer may correct
        # Late work, on a unit that nobody else has or did.
        step(UnitLateAccepted, (_S.CREATED, _S.LAUNCHED, _S.EXPIRED), _S.ACCEPTED),
        step(UnitSoftRejected, _S.COMPLETED, _S.SOFT_REJECTED),
        step(UnitRejected, _S.COMPLETED, _S.REJECTED),
        step(UnitVerdictWithdrawn, (_S.ACCEPTED, _S.SOFT_REJECTED, _S.REJECTED), _S.COMPLETED),
        step(UnitExpired, (_S.CREATED, _S.LAUNCHED, _S.ASSIGNED), _S.EXPIRED),
        step(UnitReopened, (_S.EXPIRED, _S.REJECTED, _S.SOFT_REJECTED), _S.CREATED),
    ),
)

#: Statuses of units whose work was submitted, whatever the verdict.
DONE_UNIT_STATUSES = frozenset({_S.COMPLETED, _S.ACCEPTED, _S.SOFT_REJECTED, _S.REJECTED})
#: Statuses of units that keep their run open.
OPEN_UNIT_STATUSES = frozenset({_S.CREATED, _S.LAUNCHED, _S.ASSIGNED})


class UnitState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of a unit."""

    status: UnitStatus
    unit: UnitId
    assignment: AssignmentId
    index: int
    pay_cents: int
    agent: AgentId | None = None
    worker: WorkerId | None = None


def evolve(unit: UnitState | None, event: UnitEvent) -> UnitState:
    """Return the unit after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = UNIT.after(unit.status if unit else None, event)
    if isinstance(event, UnitCreated):
        return UnitState(status, event.unit, event.assignment, event.index, event.pay_cents)
    unit = existing(unit)
    match event:
        case (
            UnitLaunched()
            | UnitCompleted()
            | UnitAccepted()
            | UnitExpired()
            | UnitSoftRejected()
            | UnitRejected()
            | UnitVerdictWithdrawn()
        ):
            return replace(unit, status=status)
        case UnitAssigned() | UnitLateAccepted():
            return replace(unit, status=status, agent=event.agent, worker=event.worker)
        case UnitReleased() | UnitReopened():
            return replace(unit, status=status, agent=None, worker=None)
        case _:
            assert_never(event)
