"""What a faulty function said against a worker is taken back with its consequences, once."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import (
    Applicant,
    AssignUnit,
    GoldQualifications,
    RecordAnswers,
    RecordAssessment,
    RecordEvaluation,
    RecordOnboardingOutcome,
    RequiredEvaluation,
    RevokeVerdicts,
    ScreeningQualifications,
    StartOnboarding,
)
from mephisto_es.core.commands.directory import EraseWorker, GrantQualification
from mephisto_es.core.commands.review import ReviewWork, Verdict
from mephisto_es.core.decisions.evaluate_worker import GOLD, SCREENING
from mephisto_es.core.decisions.worker_rights.revoke_verdicts import REVOCABLE
from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED
from mephisto_es.events import ids, streams
from mephisto_es.events.engagement import VerdictsRevoked, WorkerAssessed, WorkerRefused
from mephisto_es.events.onboarding import OnboardingStarted
from mephisto_es.events.worker import QualificationChanged, QualificationRevoked

from .conftest import RUN, SmallRun, only

WORKER, UNIT, AGENT = ids.WorkerId(1), ids.UnitId(10), ids.AgentId(1)
ENGAGEMENT = streams.engagement(RUN, WORKER)
PASSED, FAILED, KNOWS = ids.QualificationId(1), ids.QualificationId(2), ids.QualificationId(7)
GOLDS = GoldQualifications(*(ids.QualificationId(number) for number in (3, 4, 5, 6)))
REASON = "it was at fault"


def revoke(callback: str) -> RevokeVerdicts:
    return RevokeVerdicts(
        task_run=RUN,
        worker=WORKER,
        callback=callback,
        reason=REASON,
        onboarding=KNOWS,
        screening=ScreeningQualifications(PASSED, FAILED),
        golds=GOLDS,
    )


def evaluated(run: SmallRun, kind: str, *, answer: bool = False) -> None:
    """Let the worker submit an evaluation, which is judged."""
    run.offer(1)
    run.execute(
        AssignUnit(
            task_run=RUN,
            applicant=Applicant(WORKER, "token", "registration"),
            agent=AGENT,
            concurrent=False,
            evaluation=RequiredEvaluation(kind),
        )
    )
    run.submit(1)
    run.execute(
        RecordEvaluation(
            task_run=RUN,
            unit=UNIT,
            worker=WORKER,
            answer=answer,
            screening=ScreeningQualifications(PASSED, FAILED),
            golds=GOLDS,
        )
    )


def test_a_failed_onboarding_can_be_done_again_on_the_same_page(run: SmallRun) -> None:
    run.start_onboarding(1, 1)
    run.submit_onboarding(1)
    run.execute(
        RecordOnboardingOutcome(task_run=RUN, agent=ids.OnboardingAgentId(1), qualification=KNOWS, passed=False)
    )
    assert run.state.engagements[ENGAGEMENT].excluded is not None
    command = revoke("validate_onboarding")
    assert run.execute(command) == [
        VerdictsRevoked(callback="validate_onboarding", reason=REASON),
        QualificationRevoked(qualification=KNOWS, reason=REASON),
    ]
    assert run.state.engagements[ENGAGEMENT].excluded is None
    assert run.execute(command) == []
    applicant = Applicant(WORKER, "onboarding_2", "onboarding registration 1")
    again = StartOnboarding(task_run=RUN, applicant=applicant, agent=ids.OnboardingAgentId(2))
    only(run.execute(again), OnboardingStarted)


def test_a_passed_onboarding_stays(run: SmallRun) -> None:
    run.start_onboarding(1, 1)
    run.submit_onboarding(1)
    run.execute(RecordOnboardingOutcome(task_run=RUN, agent=ids.OnboardingAgentId(1), qualification=KNOWS, passed=True))
    assert run.execute(revoke("validate_onboarding")) == []


def test_a_failed_screening_is_judged_again(run: SmallRun) -> None:
    evaluated(run, SCREENING)
    assert run.execute(revoke(ON_SUBMITTED)) == [
        VerdictsRevoked(callback=ON_SUBMITTED, reason=REASON, units=(UNIT,)),
        QualificationRevoked(qualification=FAILED, reason=REASON),
    ]
    engagement = run.state.engagements[ENGAGEMENT]
    assert (engagement.excluded, engagement.undecided()) == (None, UNIT)


def test_an_evaluation_that_was_reviewed_evaluates_nobody_any_more(run: SmallRun) -> None:
    evaluated(run, SCREENING)
    run.execute(
        ReviewWork(
            task_run=RUN,
            agent=AGENT,
            verdict=Verdict.REJECTED,
            pay_payment=ids.PaymentId(1),
            bonus_payment=ids.PaymentId(2),
        )
    )
    revoked = only(run.execute(revoke(ON_SUBMITTED)), VerdictsRevoked)
    assert (revoked.units, revoked.agents) == ((UNIT,), (AGENT,))
    engagement = run.state.engagements[ENGAGEMENT]
    assert (engagement.evaluations, engagement.undecided()) == ({}, None)


def test_a_wrong_gold_unit_is_not_counted_any_more(run: SmallRun) -> None:
    evaluated(run, GOLD)
    run.qualification(GOLDS.disqualified, "out")
    run.execute(
        GrantQualification(worker=WORKER, qualification_name="out", value=1, new_qualification=ids.QualificationId(99))
    )
    assert run.execute(revoke(ON_SUBMITTED)) == [
        VerdictsRevoked(callback=ON_SUBMITTED, reason=REASON, units=(UNIT,)),
        QualificationRevoked(qualification=GOLDS.disqualified, reason=REASON),
        QualificationChanged(qualification=GOLDS.wrong, value=0),
    ]


def test_the_count_of_wrong_gold_units_is_never_below_nothing(run: SmallRun) -> None:
    run.qualification(GOLDS.wrong, "wrong")
    evaluated(run, GOLD)
    assert run.state.workers[streams.worker(WORKER)].qualifications[GOLDS.wrong] == 1
    run.execute(
        GrantQualification(
            worker=WORKER, qualification_name="wrong", value=0, new_qualification=ids.QualificationId(99)
        )
    )
    assert only(run.execute(revoke(ON_SUBMITTED)), QualificationChanged).value == 0


def test_the_functions_that_give_verdicts_on_workers() -> None:
    assert set(REVOCABLE) == {"validate_onboarding", "on_unit_submitted", "worker_can_do_unit", "worker_qualifies"}


@pytest.mark.parametrize("kind", [SCREENING, GOLD])
def test_good_verdicts_stay(run: SmallRun, kind: str) -> None:
    evaluated(run, kind, answer=True)
    assert run.execute(revoke(ON_SUBMITTED)) == []


def test_a_unit_that_was_refused_can_be_asked_about_again(run: SmallRun) -> None:
    command = RecordAnswers(
        task_run=RUN,
        worker=WORKER,
        callback="worker_can_do_unit",
        answers={ids.UnitId(10): False, ids.UnitId(20): True},
    )
    run.execute(command)
    assert run.execute(revoke("worker_can_do_unit")) == [
        VerdictsRevoked(callback="worker_can_do_unit", reason=REASON, units=(ids.UnitId(10),))
    ]
    assert run.state.engagements[ENGAGEMENT].answers == {("worker_can_do_unit", ids.UnitId(20)): True}


@pytest.mark.parametrize("answer", [True, False])
def test_an_assessment_against_the_worker_is_forgotten(run: SmallRun, answer: bool) -> None:
    assessed = WorkerAssessed(callback="worker_qualifies", facts={"num_incorrect": 1}, answer=answer)
    run.execute(RecordAssessment(task_run=RUN, worker=WORKER, assessment=assessed))
    events = run.execute(revoke("worker_qualifies"))
    assert events == ([] if answer else [VerdictsRevoked(callback="worker_qualifies", reason=REASON)])
    assert ("worker_qualifies" in run.state.engagements[ENGAGEMENT].assessments) == answer


def test_nothing_is_revoked_of_a_worker_who_never_came(run: SmallRun) -> None:
    assert run.execute(revoke("validate_onboarding")) == []


def test_a_worker_who_was_erased_has_no_qualifications_to_revoke(run: SmallRun) -> None:
    evaluated(run, SCREENING)
    run.execute(EraseWorker(worker=WORKER, reason="asked to"))
    assert run.execute(revoke(ON_SUBMITTED)) == [VerdictsRevoked(callback=ON_SUBMITTED, reason=REASON, units=(UNIT,))]


def test_a_run_without_such_qualifications_has_none_to_revoke(run: SmallRun) -> None:
    evaluated(run, SCREENING)
    for callback in ("validate_onboarding", "worker_qualifies"):
        assert run.execute(RevokeVerdicts(task_run=RUN, worker=WORKER, callback=callback, reason=REASON)) == []
    bare = RevokeVerdicts(task_run=RUN, worker=WORKER, callback=ON_SUBMITTED, reason=REASON)
    assert len(run.execute(bare)) == 1
    assert isinstance(only(run.assign(1, 2), WorkerRefused), WorkerRefused)
