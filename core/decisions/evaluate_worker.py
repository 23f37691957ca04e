"""Records what user code says about workers, and decides what follows: screenings passed, gold units right or wrong.

Results are kept as qualifications, so that they hold in later runs too. Each is appended together with the answer of
the launch script that it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...events import streams
from ...events.engagement import RefusalReason, WorkerExcluded, WorkerRefused
from ...events.ids import QualificationId, UnitId, WorkerId
from ..commands.admission import (
    DisqualifyWorker,
    GoldQualifications,
    RecordAnswers,
    RecordAssessment,
    RecordEvaluation,
    ScreeningQualifications,
)
from ..lifecycles.engagement import EXCLUSIONS, ON_SUBMITTED, Answer, EngagementState
from ..lifecycles.worker import WorkerStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from .worker_events import answer_events, arrival_events, grant_events

#: Kinds of evaluation.
SCREENING = "screening"
GOLD = "gold"


def decide_record_answers(state: DecisionState, command: RecordAnswers) -> list[NewEvent]:
    """Record the answers of a callback about a worker and units; the first answer stands."""
    return answer_events(state, command.task_run, command.worker, command.callback, command.answers)


def decide_record_evaluation(state: DecisionState, command: RecordEvaluation) -> list[NewEvent]:
    """Record the launch script's answer to a submission, with what follows from it for the worker.

    Returns:
        The events; none if the answer was recorded before.
    """
    run, worker, answer = command.task_run, command.worker, command.answer
    answered = answer_events(state, run, worker, ON_SUBMITTED, {command.unit: answer})
    is_erased = state.workers[streams.worker(worker)].status is WorkerStatus.ERASED
    if not answered or is_erased:
        return answered
    kind = _kind(state.engagements.get(streams.engagement(run, worker)), command.unit)
    if kind == SCREENING and command.screening is not None:
        return [*answered, *_screening_events(state, command, command.screening)]
    return [*answered, *_increment(state, worker, _counter(kind, answer, command.golds))]


def decide_disqualify_worker(state: DecisionState, command: DisqualifyWorker) -> list[NewEvent]:
    """Refuse a worker with too many wrong gold units, in this run and all later ones."""
    run, worker, assessment = command.task_run, command.worker, command.assessment
    inputs: dict[str, str | int | bool | None] = dict(assessment.facts)
    refused = WorkerRefused(rule=assessment.callback, inputs=inputs, reason=RefusalReason.NOT_QUALIFIED)
    return [
        *arrival_events(state, run, worker),
        *grant_events(state, worker, command.golds.disqualified, 1),
        NewEvent(streams.engagement(run, worker), refused),
    ]


def decide_record_assessment(state: DecisionState, command: RecordAssessment) -> list[NewEvent]:
    """Record what the launch script's own code said about a worker."""
    stream = streams.engagement(command.task_run, command.worker)
    return [*arrival_events(state, command.task_run, command.worker), NewEvent(stream, command.assessment)]


def known_assessment(engagement: EngagementState | None, callback: str, facts: Mapping[str, int]) -> bool | None:
    """Return what the launch script's own code said about a worker on the same facts; None if it was not asked."""
    last = engagement.assessments.get(callback) if engagement else None
    return last.answer if last is not None and last.facts == dict(facts) else None


def _kind(engagement: EngagementState | None, unit: UnitId) -> str | None:
    evaluations = engagement.evaluations.values() if engagement else ()
    return next((evaluation.kind for evaluation in evaluations if evaluation.unit == unit), None)


def _counter(kind: str | None, answer: Answer, golds: GoldQualifications | None) -> QualificationId | None:
    """Return which of the worker's counts goes up."""
    if golds is None or (kind == GOLD and not isinstance(answer, bool)):
        return None
    if kind == GOLD:
        return golds.correct if answer else golds.wrong
    return golds.completed


def _screening_events(
    state: DecisionState, command: RecordEvaluation, screening: ScreeningQualifications
) -> list[NewEvent]:
    worker = command.worker
    if command.answer is True:
        return grant_events(state, worker, screening.passed, 1)
    if command.answer is False:
        excluded = WorkerExcluded(reason=EXCLUSIONS[ON_SUBMITTED])
        stream = streams.engagement(command.task_run, worker)
        return [*grant_events(state, worker, screening.failed, 1), NewEvent(stream, excluded)]
    return []


def _increment(state: DecisionState, worker: WorkerId, counted: QualificationId | None) -> list[NewEvent]:
    if counted is None:
        return []
    has = state.workers[streams.worker(worker)].qualifications.get(counted, 0)
    return grant_events(state, worker, counted, has + 1)
