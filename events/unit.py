"""Events of a unit: the smallest piece of work, done by one worker."""

from __future__ import annotations

from .base import Event
from .ids import AgentId, AssignmentId, UnitId, WorkerId


class UnitCreated(Event, frozen=True, kw_only=True, tag="unit_created"):
    """The unit exists, and nobody can see it yet."""

    unit: UnitId
    assignment: AssignmentId
    #: Place in the assignment: 0, 1, 2 ... Negative: screening, gold, compensation.
    index: int
    #: Pay for the completed unit, in cents.
    pay_cents: int


class UnitLaunched(Event, frozen=True, kw_only=True, tag="unit_launched"):
    """The unit is on offer."""


class UnitAssigned(Event, frozen=True, kw_only=True, tag="unit_assigned"):
    """An agent has the unit."""

    agent: AgentId
    worker: WorkerId


class UnitReleased(Event, frozen=True, kw_only=True, tag="unit_released"):
    """The agent ended without a submission; the unit is offered again."""

    agent: AgentId
    reason: str


class UnitCompleted(Event, frozen=True, kw_only=True, tag="unit_completed"):
    """The agent submitted its work."""

    agent: AgentId


class UnitAccepted(Event, frozen=True, kw_only=True, tag="unit_accepted"):
    """A reviewer accepted the work; it is to be paid."""


class UnitLateAccepted(Event, frozen=True, kw_only=True, tag="unit_late_accepted"):
    """A reviewer accepted late work on a unit that nobody else had done; it is to be paid."""

    #: The agent that did the work, and that has the unit from now on.
    agent: AgentId
    worker: WorkerId


class UnitSoftRejected(Event, frozen=True, kw_only=True, tag="unit_soft_rejected"):
    """A reviewer left the work out of the data; it is paid all the same."""


class UnitRejected(Event, frozen=True, kw_only=True, tag="unit_rejected"):
    """A reviewer rejected the work; it is not paid."""


class UnitVerdictWithdrawn(Event, frozen=True, kw_only=True, tag="unit_verdict_withdrawn"):
    """A reviewer took the verdict back; the work is to be reviewed again."""


class UnitExpired(Event, frozen=True, kw_only=True, tag="unit_expired"):
    """The unit was withdrawn before it was done."""

    reason: str


class UnitReopened(Event, frozen=True, kw_only=True, tag="unit_reopened"):
    """The unit is to be done again from the start."""

    reason: str


UnitEvent = (
    UnitCreated
    | UnitLaunched
    | UnitAssigned
    | UnitReleased
    | UnitCompleted
    | UnitAccepted
    | UnitLateAccepted
    | UnitSoftRejected
    | UnitRejected
    | UnitVerdictWithdrawn
    | UnitExpired
    | UnitReopened
)
