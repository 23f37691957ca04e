"""Decisions on what a worker has shown in a unit that evaluates it: who passed a screening, who got a gold unit right.

Verdicts are kept as qualifications, so that they hold in later runs too. Each is appended together with the answer of
the launch script that it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...events import streams
from ...events.engagement import EngagementBarred, RefusalReason, WorkerJudged, WorkerRefused
from ...events.ids import QualificationId, TaskRunId, UnitId, WorkerId
from ..lifecycles.engagement import ON_SUBMITTED, Answer, EngagementState
from ..lifecycles.worker import WorkerStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from .worker_events import decide_arrival, decide_grant, decide_record_answers

SCREENING = "screening"
GOLD = "gold"


class ScreeningQualifications(NamedTuple):
    """The qualifications that say how a screening went."""

    passed: QualificationId
    failed: QualificationId


class GoldQualifications(NamedTuple):
    """The qualifications that count a worker's units, and one that says that there were too many wrong ones."""

    completed: QualificationId
    correct: QualificationId
    wrong: QualificationId
    disqualified: QualificationId


def decide_record_evaluation(
    state: DecisionState,
    run: TaskRunId,
    unit: UnitId,
    worker: WorkerId,
    answer: Answer,
    screening: ScreeningQualifications | None,
    golds: GoldQualifications | None,
) -> list[NewEvent]:
    """Put down that the launch script was told of a submission, and what its answer means for the worker.

    Args:
        state: the present state.
        run: the run.
        unit: the unit that was handed in.
        worker: who did it.
        answer: True: it was done well; False: it was not; anything else means nothing.
        screening: what to grant after a screening, if the run has any.
        golds: what to grant after a gold unit or an ordinary one, if the run has any.

    Returns:
        The events; none if the script was told before.
    """
    told = decide_record_answers(state, run, worker, ON_SUBMITTED, {unit: answer})
    gone = state.workers[streams.worker(worker)].status is WorkerStatus.FORGOTTEN
    if not told or gone:
        return told
    kind = _kind(state.engagements.get(streams.engagement(run, worker)), unit)
    if kind == SCREENING and screening is not None:
        return [*told, *_screened(state, run, worker, answer, screening)]
    return [*told, *_increment(state, worker, _counter(kind, answer, golds))]


def decide_disqualify(
    state: DecisionState, run: TaskRunId, worker: WorkerId, judged: WorkerJudged, golds: GoldQualifications
) -> list[NewEvent]:
    """Refuse a worker who got too many gold units wrong, in this run and all later ones.

    Args:
        state: the present state.
        run: the run.
        worker: the worker.
        judged: what the launch script's own code said, and on which facts.
        golds: what says it from now on.
    """
    inputs: dict[str, str | int | bool | None] = dict(judged.facts)
    refused = WorkerRefused(rule=judged.callback, inputs=inputs, reason=RefusalReason.NOT_QUALIFIED)
    return [
        *decide_arrival(state, run, worker),
        *decide_grant(state, worker, golds.disqualified, 1),
        NewEvent(streams.engagement(run, worker), refused),
    ]


def decide_judged(state: DecisionState, run: TaskRunId, worker: WorkerId, judged: WorkerJudged) -> list[NewEvent]:
    """Put down what the launch script's own code said of a worker."""
    return [*decide_arrival(state, run, worker), NewEvent(streams.engagement(run, worker), judged)]


def known_judgement(engagement: EngagementState | None, callback: str, facts: Mapping[str, int]) -> bool | None:
    """What the launch script's own code said of a worker on the same facts; None: it was not asked."""
    last = engagement.judgements.get(callback) if engagement else None
    return last.answer if last is not None and last.facts == dict(facts) else None


def _kind(engagement: EngagementState | None, unit: UnitId) -> str | None:
    evaluations = engagement.evaluations.values() if engagement else ()
    return next((evaluation.kind for evaluation in evaluations if evaluation.unit == unit), None)


def _counter(kind: str | None, answer: Answer, golds: GoldQualifications | None) -> QualificationId | None:
    """Which of the worker's counts goes up."""
    if golds is None or (kind == GOLD and not isinstance(answer, bool)):
        return None
    if kind == GOLD:
        return golds.correct if answer else golds.wrong
    return golds.completed


def _screened(
    state: DecisionState, run: TaskRunId, worker: WorkerId, answer: Answer, marks: ScreeningQualifications
) -> list[NewEvent]:
    if answer is True:
        return decide_grant(state, worker, marks.passed, 1)
    if answer is False:
        barred = EngagementBarred(reason="the screening was not passed")
        return [*decide_grant(state, worker, marks.failed, 1), NewEvent(streams.engagement(run, worker), barred)]
    return []


def _increment(state: DecisionState, worker: WorkerId, counted: QualificationId | None) -> list[NewEvent]:
    if counted is None:
        return []
    has = state.workers[streams.worker(worker)].qualifications.get(counted, 0)
    return decide_grant(state, worker, counted, has + 1)
