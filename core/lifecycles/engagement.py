"""The life of an engagement: what a worker does in one run. The limits on a worker are enforced here."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.engagement import (
    AllWorkEnded,
    CallbackAnswered,
    EngagementEvent,
    WorkEnded,
    WorkerArrived,
    WorkerAssessed,
    WorkerExcluded,
    WorkerOnboarded,
    WorkerRefused,
    WorkStarted,
)
from ...events.ids import AgentId, AssignmentId, UnitId, WorkerId
from .table import Lifecycle, Status, existing, stays, step


class EngagementStatus(Status):
    """Whether the worker has a unit now."""

    IDLE = "idle"
    WORKING = "working"


_S = EngagementStatus

Answer = str | int | bool | None

ENGAGEMENT = Lifecycle(
    "engagement",
    EngagementStatus,
    (
        step(WorkerArrived, None, _S.IDLE),
        step(WorkStarted, (_S.IDLE, _S.WORKING), _S.WORKING),
        step(WorkEnded, _S.WORKING, _S.WORKING),  # another unit is still open
        step(AllWorkEnded, _S.WORKING, _S.IDLE),
        *stays(WorkerOnboarded, *_S),
        *stays(WorkerExcluded, *_S),
        *stays(WorkerRefused, *_S),
        *stays(CallbackAnswered, *_S),
        *stays(WorkerAssessed, *_S),
    ),
)


#: The callback whose answer on an evaluation says whether it was done well.
ON_SUBMITTED = "on_unit_submitted"


class Evaluation(msgspec.Struct, frozen=True):
    """A unit that tells something of the worker."""

    unit: UnitId
    #: `screening` or `gold`.
    kind: str
    counts: bool
    #: The agent's status in which it ended; None: the worker is at it.
    outcome: str | None = None


class EngagementState(msgspec.Struct, frozen=True):
    """What is known of a worker's part in a run."""

    status: EngagementStatus
    worker: WorkerId
    #: Agents that have a unit now.
    live: frozenset[AgentId] = frozenset()
    #: Assignments of which the worker ever had a unit: it gets no other unit of them.
    assignments: frozenset[AssignmentId] = frozenset()
    #: Units that count against `maximum_units_per_worker`: those at work on and those handed in.
    counted: int = 0
    onboarded: bool = False
    #: Reason for which no unit of this run is for the worker.
    excluded: str | None = None
    #: What the launch script's own code answered, by callback and unit.
    answers: dict[tuple[str, UnitId], Answer] = {}
    #: The units that tell something of the worker, by the agent that had them.
    evaluations: dict[AgentId, Evaluation] = {}
    #: The last that the launch script's own code said of the worker, by callback.
    assessments: dict[str, WorkerAssessed] = {}

    def undecided(self) -> UnitId | None:
        """The evaluation that the worker is at, or that was handed in and not looked at; there is one at a time."""
        for evaluation in self.evaluations.values():
            waits = evaluation.outcome == "completed" and (ON_SUBMITTED, evaluation.unit) not in self.answers
            if evaluation.outcome is None or waits:
                return evaluation.unit
        return None

    def given(self, kind: str) -> int:
        """How many evaluations of a kind the worker was ever given in this run."""
        return sum(evaluation.kind == kind for evaluation in self.evaluations.values())


#: Outcomes of an agent after which the unit does not count against the worker's maximum.
NOT_COUNTED_OUTCOMES = frozenset({"returned", "expired", "disconnect", "timeout"})


def evolve(engagement: EngagementState | None, event: EngagementEvent) -> EngagementState:
    """The engagement after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = ENGAGEMENT.after(engagement.status if engagement else None, event)
    if isinstance(event, WorkerArrived):
        return EngagementState(status, event.worker)
    engagement = existing(engagement)
    match event:
        case WorkStarted():
            return replace(
                engagement,
                status=status,
                live=engagement.live | {event.agent},
                assignments=engagement.assignments | {event.assignment},
                counted=engagement.counted + event.counts,
                evaluations=_with(engagement, event),
            )
        case WorkEnded() | AllWorkEnded():
            evaluation = engagement.evaluations.get(event.agent)
            counts = evaluation is None or evaluation.counts
            ended = {} if evaluation is None else {event.agent: replace(evaluation, outcome=event.outcome)}
            return replace(
                engagement,
                status=status,
                live=engagement.live - {event.agent},
                counted=engagement.counted - (counts and event.outcome in NOT_COUNTED_OUTCOMES),
                evaluations=engagement.evaluations | ended,
            )
        case WorkerOnboarded():
            return replace(engagement, onboarded=True)
        case WorkerExcluded():
            return replace(engagement, excluded=event.reason)
        case CallbackAnswered():
            return replace(engagement, answers=engagement.answers | {(event.callback, event.unit): event.answer})
        case WorkerAssessed():
            return replace(engagement, assessments=engagement.assessments | {event.callback: event})
        case WorkerRefused():
            return engagement
        case _:
            assert_never(event)


def _with(engagement: EngagementState, taken: WorkStarted) -> dict[AgentId, Evaluation]:
    if taken.evaluation is None:
        return engagement.evaluations
    return engagement.evaluations | {taken.agent: Evaluation(taken.unit, taken.evaluation, taken.counts)}
