"""Lifecycle of an assignment: one piece of input data, which may get answers until its label is sure enough."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ...events.assignment import (
    AssignmentCreated,
    AssignmentEvent,
    AssignmentExtended,
    AssignmentLabelled,
    AssignmentSettled,
)
from ...events.ids import AgentId, UnitId
from .table import Lifecycle, Status, existing, stays, step


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
        *stays(AssignmentLabelled, _S.OPEN, _S.SETTLED),
    ),
)


class DecidedLabel(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The decisions of reviewers on the answer to one question."""

    question: str
    #: Number of decisions, those included that take an earlier one back.
    decisions: int
    #: The author of the latest.
    reviewer: str
    #: True if the latest took the one before back.
    is_taken_back: bool


class AssignmentState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of an assignment."""

    status: AssignmentStatus
    created: AssignmentCreated
    #: The agents whose work the last decision counted; None if nothing was decided.
    counted: tuple[AgentId, ...] | None = None
    #: All further units that decisions opened.
    further: tuple[UnitId, ...] = ()
    #: What reviewers decided, one for each question.
    labels: tuple[DecidedLabel, ...] = ()

    def label_of(self, question: str) -> DecidedLabel | None:
        """Return what reviewers decided about a question; None if nobody did."""
        return next((one for one in self.labels if one.question == question), None)


def evolve(assignment: AssignmentState | None, event: AssignmentEvent) -> AssignmentState:
    """Return the assignment after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = ASSIGNMENT.after(assignment.status if assignment else None, event)
    if isinstance(event, AssignmentCreated):
        return AssignmentState(status, event)
    assignment = existing(assignment)
    if isinstance(event, AssignmentLabelled):
        return _labelled(assignment, event)
    further = event.units if isinstance(event, AssignmentExtended) else ()
    return replace(assignment, status=status, counted=event.evidence.agents, further=(*assignment.further, *further))


def _labelled(assignment: AssignmentState, event: AssignmentLabelled) -> AssignmentState:
    before = assignment.label_of(event.question)
    decided = DecidedLabel(
        event.question, 1 if before is None else before.decisions + 1, event.reviewer, event.label is None
    )
    others = (one for one in assignment.labels if one.question != event.question)
    return replace(assignment, labels=(*others, decided))
