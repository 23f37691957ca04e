"""Lifecycle of an engagement: a worker in one run. The limits on a worker's work rest on it."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.engagement import (
    AllWorkEnded,
    CallbackAnswered,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    EngagementEvent,
    PlaceTaken,
    ProviderObserved,
    SiteMessageAnswered,
    SiteMessageIntended,
    VerdictsRevoked,
    VisitAdmitted,
    WorkEnded,
    WorkerArrived,
    WorkerAssessed,
    WorkerExcluded,
    WorkerOnboarded,
    WorkerRefused,
    WorkStarted,
)
from ...events.ids import AgentId, UnitId, WorkerId
from .table import Lifecycle, Status, existing, stays, step


class EngagementStatus(Status):
    """Status of an engagement: `working` while the worker has a unit."""

    IDLE = "idle"
    WORKING = "working"


_S = EngagementStatus

Answer = str | int | bool | None

ENGAGEMENT = Lifecycle(
    "engagement",
    EngagementStatus,
    (
        step(WorkerArrived, None, _S.IDLE),
        *stays(VisitAdmitted, *_S),
        *stays(PlaceTaken, *_S),
        *stays(ProviderObserved, *_S),
        *stays(SiteMessageIntended, *_S),
        *stays(SiteMessageAnswered, *_S),
        step(WorkStarted, (_S.IDLE, _S.WORKING), _S.WORKING),
        step(WorkEnded, _S.WORKING, _S.WORKING),  # another unit is still open
        step(AllWorkEnded, _S.WORKING, _S.IDLE),
        *stays(WorkerOnboarded, *_S),
        *stays(WorkerExcluded, *_S),
        *stays(WorkerRefused, *_S),
        *stays(CallbackAnswered, *_S),
        *stays(WorkerAssessed, *_S),
        *stays(VerdictsRevoked, *_S),
        *stays(ConsentGiven, *_S),
        *stays(ConsentRefused, *_S),
        *stays(ConsentWithdrawn, *_S),
    ),
)


#: The callback whose answer says whether an evaluation was done well.
ON_SUBMITTED = "on_unit_submitted"
#: The callback whose answer says whether an onboarding was passed.
VALIDATE_ONBOARDING = "validate_onboarding"
#: Reasons for which a worker is excluded, by the callback that said so.
EXCLUSIONS = {
    VALIDATE_ONBOARDING: "the onboarding was not passed",
    ON_SUBMITTED: "the screening was not passed",
}


class Evaluation(msgspec.Struct, frozen=True):
    """A unit that evaluates the worker."""

    unit: UnitId
    #: `screening` or `gold`.
    kind: str
    counts: bool
    #: Status in which its agent ended; None while the worker is at work on it.
    outcome: str | None = None


class EngagementState(msgspec.Struct, frozen=True):
    """State of a worker in one run."""

    status: EngagementStatus
    worker: WorkerId
    #: Agents that have a unit now.
    live: frozenset[AgentId] = frozenset()
    #: Number of units that count against `maximum_units_per_worker`: in progress or submitted.
    counted: int = 0
    onboarded: bool = False
    #: Reason for which no unit of this run is for the worker.
    excluded: str | None = None
    #: Answers of the launch script's own code, by callback and unit.
    answers: dict[tuple[str, UnitId], Answer] = {}
    #: Evaluations of the worker, by agent.
    evaluations: dict[AgentId, Evaluation] = {}
    #: Latest assessment by the launch script's own code, by callback.
    assessments: dict[str, WorkerAssessed] = {}
    #: Registrations whose place at the provider is known, with what the provider last showed; None: nothing yet.
    places: dict[str, ProviderObserved | None] = {}

    #: Version of the text that the worker agreed to; None if there is none, or not any more.
    consent: str | None = None
    #: True after the worker has withdrawn the consent, and not given it again.
    has_withdrawn: bool = False

    def undecided(self) -> UnitId | None:
        """Return the unit of an evaluation that is in progress or has no answer yet; there is one at a time."""
        for evaluation in self.evaluations.values():
            waits = evaluation.outcome == "completed" and (ON_SUBMITTED, evaluation.unit) not in self.answers
            if evaluation.outcome is None or waits:
                return evaluation.unit
        return None

    def given(self, kind: str) -> int:
        """Return the number of evaluations of a kind that the worker ever had in this run."""
        return sum(evaluation.kind == kind for evaluation in self.evaluations.values())


#: How work ends that does not count against the worker's maximum; `partner disconnect`: it was completed all the same.
NOT_COUNTED_OUTCOMES = frozenset({"returned", "expired", "disconnect", "timeout", "partner disconnect"})


def evolve(engagement: EngagementState | None, event: EngagementEvent) -> EngagementState:
    """Return the engagement after an event.

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
                counted=engagement.counted + event.counts,
                evaluations=_with(engagement, event),
            )
        case WorkEnded() | AllWorkEnded():
            evaluation = engagement.evaluations.get(event.agent)
            counts = evaluation is None or evaluation.counts
            evaluations = engagement.evaluations
            if evaluation is not None:
                evaluations = evaluations | {event.agent: replace(evaluation, outcome=event.outcome)}
            return replace(
                engagement,
                status=status,
                live=engagement.live - {event.agent},
                counted=engagement.counted - (counts and event.outcome in NOT_COUNTED_OUTCOMES),
                evaluations=evaluations,
            )
        case PlaceTaken():
            return replace(engagement, places=engagement.places | {event.registration: None})
        case ProviderObserved():
            return replace(engagement, places=engagement.places | {event.registration: event})
        case WorkerOnboarded():
            return replace(engagement, onboarded=True)
        case WorkerExcluded():
            return replace(engagement, excluded=event.reason)
        case CallbackAnswered():
            return replace(engagement, answers=engagement.answers | {(event.callback, event.unit): event.answer})
        case WorkerAssessed():
            return replace(engagement, assessments=engagement.assessments | {event.callback: event})
        case VerdictsRevoked():
            return _without_verdicts(engagement, event)
        case ConsentGiven():
            return replace(engagement, consent=event.version, has_withdrawn=False)
        case ConsentRefused() | ConsentWithdrawn():
            return replace(engagement, consent=None, has_withdrawn=isinstance(event, ConsentWithdrawn))
        case WorkerRefused() | VisitAdmitted() | SiteMessageIntended() | SiteMessageAnswered():
            return engagement
        case _:
            assert_never(event)


def _without_verdicts(engagement: EngagementState, revoked: VerdictsRevoked) -> EngagementState:
    name, answers, assessments = revoked.callback, engagement.answers, engagement.assessments
    was_excluded_by_it = engagement.excluded == EXCLUSIONS.get(name)
    return replace(
        engagement,
        excluded=None if was_excluded_by_it else engagement.excluded,
        answers={key: answer for key, answer in answers.items() if key[0] != name or key[1] not in revoked.units},
        assessments={key: one for key, one in assessments.items() if key != name},
        evaluations={key: one for key, one in engagement.evaluations.items() if key not in revoked.agents},
    )


def _with(engagement: EngagementState, taken: WorkStarted) -> dict[AgentId, Evaluation]:
    if taken.evaluation is None:
        return engagement.evaluations
    return engagement.evaluations | {taken.agent: Evaluation(taken.unit, taken.evaluation, taken.counts)}
