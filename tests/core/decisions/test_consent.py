"""Without consent there is no work and no verdict; withdrawing it deletes, and takes no pay away."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mephisto_es.core.commands.admission import RecordConsent, RecordOnboardingOutcome, WithdrawConsent
from mephisto_es.core.commands.agent import ReturnUnit, SubmitMetadata, SubmitUnit
from mephisto_es.core.commands.directory import EraseWorker
from mephisto_es.core.commands.review import ReviewWork, Verdict
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentAccepted, AgentSoftRejected
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import (
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    RefusalReason,
    WorkerArrived,
    WorkerRefused,
)
from mephisto_es.events.onboarding import OnboardingStarted

from .conftest import DATA, RUN, SmallRun, only

WORKER, VERSION = ids.WorkerId(1), "2026-01"
REASON = "the worker asked for it"


def require_consent(run: SmallRun) -> None:
    """Let the run ask for consent from now on."""
    stream = streams.task_run(RUN)
    run.state.task_runs[stream] = replace(run.state.task_runs[stream], consent=VERSION)


def answer(run: SmallRun, *, given: bool = True, version: str = VERSION) -> list[Event]:
    return run.execute(RecordConsent(task_run=RUN, worker=WORKER, version=version, given=given))


def withdraw(run: SmallRun, *payloads: str) -> list[Event]:
    return run.execute(WithdrawConsent(task_run=RUN, worker=WORKER, reason=REASON, payloads=payloads))


def review(run: SmallRun, verdict: Verdict) -> list[Event]:
    command = ReviewWork(
        task_run=RUN,
        agent=ids.AgentId(1),
        verdict=verdict,
        pay_payment=ids.PaymentId(1),
        bonus_payment=ids.PaymentId(2),
    )
    return run.execute(command)


def test_there_is_no_work_without_consent(run: SmallRun) -> None:
    require_consent(run)
    run.offer(1)
    refused = only(run.assign(1, 1), WorkerRefused)
    assert (refused.rule, refused.reason) == ("consent_given", RefusalReason.CONSENT_MISSING)
    assert refused.inputs == {"version": VERSION, "has": None}
    assert only(run.start_onboarding(1, 1), WorkerRefused).reason is RefusalReason.CONSENT_MISSING
    assert answer(run, given=False) == [ConsentRefused(version=VERSION)]
    only(run.assign(1, 2), WorkerRefused)
    assert answer(run) == [ConsentGiven(version=VERSION)]
    assert answer(run) == []
    only(run.start_onboarding(1, 2), OnboardingStarted)
    only(run.assign(1, 3), AgentAccepted)


def test_a_worker_may_answer_before_anything_else(run: SmallRun) -> None:
    require_consent(run)
    assert answer(run) == [WorkerArrived(worker=WORKER), ConsentGiven(version=VERSION)]


def test_consent_to_another_text_is_none(run: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="does not ask for consent"):
        answer(run)
    require_consent(run)
    with pytest.raises(CommandRefusedError, match="does not ask for consent"):
        answer(run, version="2025-01")


@pytest.mark.parametrize("verdict", [Verdict.APPROVED, Verdict.REJECTED])
def test_work_without_consent_is_paid_and_not_reviewed(run: SmallRun, verdict: Verdict) -> None:
    run.offer(1)
    run.assign(1, 1)
    run.submit(1)
    require_consent(run)
    with pytest.raises(CommandRefusedError, match="worker-1 does not consent to run 1"):
        review(run, verdict)
    only(review(run, Verdict.SOFT_REJECTED), AgentSoftRejected)


def test_work_with_consent_is_reviewed(run: SmallRun) -> None:
    require_consent(run)
    answer(run)
    run.offer(1)
    run.assign(1, 1)
    run.submit(1)
    assert review(run, Verdict.APPROVED)


def test_withdrawing_deletes_once(run: SmallRun) -> None:
    require_consent(run)
    answer(run)
    assert withdraw(run, "aa", "bb") == [ConsentWithdrawn(reason=REASON, payloads=("aa", "bb"))]
    assert withdraw(run) == []
    assert withdraw(run, "cc") == [ConsentWithdrawn(reason=REASON, payloads=("cc",))]
    only(run.assign(1, 1), WorkerRefused)
    assert answer(run) == [ConsentGiven(version=VERSION)]
    assert not run.state.engagements[streams.engagement(RUN, WORKER)].has_withdrawn


def test_who_never_consented_has_nothing_to_withdraw(run: SmallRun) -> None:
    require_consent(run)
    answer(run, given=False)
    with pytest.raises(CommandRefusedError, match="has given no consent in run 1"):
        withdraw(run)


def test_nobody_withdraws_in_the_middle_of_work(run: SmallRun) -> None:
    require_consent(run)
    answer(run)
    run.offer(1)
    run.assign(1, 1)
    with pytest.raises(CommandRefusedError, match="the unit has to be returned first"):
        withdraw(run)
    run.submit(1)
    with pytest.raises(CommandRefusedError, match="has no verdict, and so no pay, yet"):
        withdraw(run)
    review(run, Verdict.SOFT_REJECTED)
    assert len(withdraw(run)) == 1


def test_nobody_withdraws_in_the_middle_of_the_onboarding(run: SmallRun) -> None:
    require_consent(run)
    answer(run)
    run.start_onboarding(1, 1)
    with pytest.raises(CommandRefusedError, match="is in the onboarding of run 1"):
        withdraw(run)
    run.submit_onboarding(1)
    knows = ids.QualificationId(7)
    outcome = RecordOnboardingOutcome(task_run=RUN, agent=ids.OnboardingAgentId(1), qualification=knows, passed=True)
    run.execute(outcome)
    assert len(withdraw(run)) == 1


def test_nothing_that_comes_later_is_kept(run: SmallRun) -> None:
    require_consent(run)
    answer(run)
    run.offer(1)
    run.assign(1, 1)
    run.execute(ReturnUnit(task_run=RUN, agent=ids.AgentId(1), concurrent=False))
    withdraw(run)
    with pytest.raises(CommandRefusedError, match="has withdrawn the consent to run 1"):
        run.execute(SubmitUnit(task_run=RUN, agent=ids.AgentId(1), submission=DATA))
    with pytest.raises(CommandRefusedError, match="has withdrawn the consent to run 1"):
        run.execute(SubmitMetadata(task_run=RUN, agent=ids.AgentId(1), metadata=DATA))


@pytest.mark.parametrize("is_done", [True, False], ids=["submitted again", "submitted late"])
def test_nothing_is_kept_that_arrives_after_the_worker_was_erased(run: SmallRun, is_done: bool) -> None:
    agent = ids.AgentId(1)
    submit = SubmitUnit(task_run=RUN, agent=agent, submission=DATA)
    run.offer(1)
    run.assign(1, 1)
    run.execute(submit if is_done else ReturnUnit(task_run=RUN, agent=agent, concurrent=False))
    run.execute(EraseWorker(worker=WORKER, reason=REASON))
    for command in (submit, SubmitMetadata(task_run=RUN, agent=agent, metadata=DATA)):
        with pytest.raises(CommandRefusedError, match="worker-1 was erased: nothing is kept"):
            run.execute(command)
    assert is_done or run.execute(replace(submit, from_site=True))
