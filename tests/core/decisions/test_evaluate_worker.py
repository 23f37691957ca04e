"""What follows from a worker's evaluations."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import (
    Applicant,
    AssignUnit,
    DisqualifyWorker,
    GoldQualifications,
    RecordAnswers,
    RecordAssessment,
    RecordEvaluation,
    RequiredEvaluation,
    ScreeningQualifications,
)
from mephisto_es.core.commands.directory import EraseWorker
from mephisto_es.core.decisions.evaluate_worker import GOLD, SCREENING, known_assessment
from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED, Answer
from mephisto_es.events import ids, streams
from mephisto_es.events.engagement import (
    CallbackAnswered,
    RefusalReason,
    WorkerArrived,
    WorkerAssessed,
    WorkerExcluded,
    WorkerRefused,
)
from mephisto_es.events.worker import QualificationChanged, QualificationGranted

from .conftest import RUN, SmallRun

WORKER, UNIT = ids.WorkerId(1), ids.UnitId(10)
PASSED, FAILED = ids.QualificationId(1), ids.QualificationId(2)
COMPLETED, CORRECT, WRONG, OUT = (ids.QualificationId(number) for number in (3, 4, 5, 6))
SCREENING_RESULT = ScreeningQualifications(PASSED, FAILED)
GOLDS = GoldQualifications(COMPLETED, CORRECT, WRONG, OUT)


def submitted(run: SmallRun, kind: str | None) -> None:
    """Let the worker submit a unit, which is an evaluation of a kind."""
    run.offer(1)
    applicant = Applicant(WORKER, "token", "registration")
    evaluation = None if kind is None else RequiredEvaluation(kind)
    run.execute(
        AssignUnit(task_run=RUN, applicant=applicant, agent=ids.AgentId(1), concurrent=False, evaluation=evaluation)
    )
    run.submit(1)


def record(answer: Answer, *, screening: bool = False, golds: bool = False) -> RecordEvaluation:
    return RecordEvaluation(
        task_run=RUN,
        unit=UNIT,
        worker=WORKER,
        answer=answer,
        screening=SCREENING_RESULT if screening else None,
        golds=GOLDS if golds else None,
    )


def granted(qualification: ids.QualificationId, value: int = 1) -> QualificationGranted:
    return QualificationGranted(qualification=qualification, value=value)


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        (SCREENING, True, [granted(PASSED)]),
        (SCREENING, False, [granted(FAILED), WorkerExcluded(reason="the screening was not passed")]),
        (SCREENING, None, []),
        (GOLD, True, [granted(CORRECT)]),
        (GOLD, False, [granted(WRONG)]),
        (GOLD, None, []),
        (None, True, [granted(COMPLETED)]),
        (None, None, [granted(COMPLETED)]),
    ],
)
def test_an_answer_has_its_consequences_once(
    run: SmallRun, kind: str | None, answer: Answer, expected: list[object]
) -> None:
    submitted(run, kind)
    answered = CallbackAnswered(callback=ON_SUBMITTED, unit=UNIT, answer=answer)
    command = record(answer, screening=True, golds=True)
    assert run.execute(command) == [answered, *expected]
    assert run.execute(command) == []


@pytest.mark.parametrize("kind", [SCREENING, GOLD, None])
def test_an_answer_has_no_consequences_in_a_run_without_evaluations(run: SmallRun, kind: str | None) -> None:
    submitted(run, kind)
    assert [type(event) for event in run.execute(record(True))] == [CallbackAnswered]


def test_counts_go_up_by_one(run: SmallRun) -> None:
    submitted(run, None)
    run.execute(record(True, golds=True))
    again = RecordEvaluation(task_run=RUN, unit=ids.UnitId(99), worker=WORKER, answer=True, screening=None, golds=GOLDS)
    assert QualificationChanged(qualification=COMPLETED, value=2) in run.execute(again)


def test_an_erased_worker_gets_no_qualification(run: SmallRun) -> None:
    submitted(run, GOLD)
    run.execute(EraseWorker(worker=WORKER, reason="asked to"))
    assert [type(event) for event in run.execute(record(True, golds=True))] == [CallbackAnswered]


def test_an_assessment_is_known_on_the_same_facts_only(run: SmallRun) -> None:
    stream = streams.engagement(RUN, WORKER)
    assert known_assessment(None, "worker_qualifies", {}) is None
    said = WorkerAssessed(callback="worker_qualifies", facts={"wrong": 1}, answer=True)
    command = RecordAssessment(task_run=RUN, worker=WORKER, assessment=said)
    assert run.execute(command) == [WorkerArrived(worker=WORKER), said]
    engagement = run.state.engagements[stream]
    assert known_assessment(engagement, "worker_qualifies", {"wrong": 1}) is True
    assert known_assessment(engagement, "worker_qualifies", {"wrong": 2}) is None
    assert known_assessment(engagement, "worker_needs_gold", {"wrong": 1}) is None


def test_a_disqualified_worker_is_refused_with_the_facts(run: SmallRun) -> None:
    said = WorkerAssessed(callback="worker_qualifies", facts={"wrong": 3}, answer=False)
    command = DisqualifyWorker(task_run=RUN, worker=WORKER, assessment=said, golds=GOLDS)
    refused = WorkerRefused(rule="worker_qualifies", inputs={"wrong": 3}, reason=RefusalReason.NOT_QUALIFIED)
    assert run.execute(command) == [WorkerArrived(worker=WORKER), granted(OUT), refused]
    assert run.execute(command) == [refused]


def test_the_first_answer_about_a_unit_stands(run: SmallRun) -> None:
    units = [ids.UnitId(number) for number in (1, 2, 3)]

    def answers(given: dict[ids.UnitId, Answer]) -> RecordAnswers:
        return RecordAnswers(task_run=RUN, worker=WORKER, callback="worker_can_do_unit", answers=given)

    assert len(run.execute(answers({units[0]: True, units[1]: False}))) == 3
    events = run.execute(answers({units[1]: True, units[2]: True}))
    assert events == [CallbackAnswered(callback="worker_can_do_unit", unit=units[2], answer=True)]
