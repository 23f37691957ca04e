"""Lifecycle of an assignment: one piece of input data, which may get answers until its label is sure enough."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ...events.assignment import AssignmentCreated, AssignmentEvent, AssignmentExtended, AssignmentSettled
from ...events.ids import AgentId, UnitId
from .table import Lifecycle, Status, existing, step


class AssignmentStatus(Status):
    """Status of an assignment; one without `stop_when` stays open."""

    OPEN = "open"
    SETTLED = "settled"


_S = AssignmentStatus

ASSIGNMENT = Lifecycle(
    "assignment",
    AssignmentStatus,
    (
        step(AssignmentCreated, None, _S.OPEN),
        step(AssignmentExtended, (_S.OPEN, _S.SETTLED), _S.OPEN),  # settled: work that counted was rejected
        step(AssignmentSettled, (_S.OPEN, _S.SETTLED), _S.SETTLED),  # settled: further work came in
    ),
)


class AssignmentState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of an assignment."""

    status: AssignmentStatus
    created: AssignmentCreated
    #: The agents whose work the last decision counted; None if nothing was decided.
    counted: tuple[AgentId, ...] | None = None
    #: All further units that decisions opened.
    further: tuple[UnitId, ...] = ()


def evolve(assignment: AssignmentState | None, event: AssignmentEvent) -> AssignmentState:
    """Return the assignment after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = ASSIGNMENT.after(assignment.status if assignment else None, event)
    if isinstance(event, AssignmentCreated):
        return AssignmentState(status, event)
    assignment = existing(assignment)
    further = event.units if isinstance(event, AssignmentExtended) else ()
    return replace(assignment, status=status, counted=event.evidence.agents, further=(*assignment.further, *further))
