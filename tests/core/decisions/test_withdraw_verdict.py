"""Verdicts that are taken back: the work is to be reviewed again, and nothing is owed for it."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import RecordProviderObservation
from mephisto_es.core.commands.agent import ReturnUnit, SubmitUnit
from mephisto_es.core.commands.review import (
    AcceptLateWork,
    RecordPayment,
    ReviewWork,
    SubmitAppeal,
    Verdict,
    WithdrawVerdict,
)
from mephisto_es.core.errors import CommandRefusedError, UnknownEntityError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentVerdictWithdrawn
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import ProviderObserved, SiteWorkStatus
from mephisto_es.events.payment import PaymentIntended, PaymentOwed, PaymentWithdrawn
from mephisto_es.events.unit import UnitReopened, UnitVerdictWithdrawn

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

AGENT = ids.AgentId(1)
ANN = "user/ann"


def review(run: SmallRun, given: Verdict, bonus_cents: int = 0, payment: int = 1) -> list[Event]:
    return run.execute(
        ReviewWork(
            task_run=RUN,
            agent=AGENT,
            verdict=given,
            bonus_cents=bonus_cents,
            reviewer=ANN,
            pay_payment=ids.PaymentId(payment),
            bonus_payment=ids.PaymentId(payment + 1),
        )
    )


def withdraw(run: SmallRun) -> list[Event]:
    return run.execute(WithdrawVerdict(task_run=RUN, agent=AGENT, reason=DATA, reviewer=ANN))


@pytest.fixture
def reviewed(run: SmallRun) -> SmallRun:
    """A run with one submitted unit."""
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    return run


@pytest.mark.parametrize("given", Verdict)
def test_the_work_is_unreviewed_again(reviewed: SmallRun, given: Verdict) -> None:
    review(reviewed, given)
    events = withdraw(reviewed)
    assert [type(event) for event in events][:2] == [AgentVerdictWithdrawn, UnitVerdictWithdrawn]
    assert reviewed.state.agents[streams.agent(RUN, AGENT)].status is AgentStatus.COMPLETED
    assert reviewed.state.units[streams.unit(RUN, ids.UnitId(10))].status is UnitStatus.COMPLETED
    with pytest.raises(CommandRefusedError, match="agent-1 is 'completed': there is no verdict to take back"):
        withdraw(reviewed)


def test_nothing_is_owed_any_more_and_another_verdict_owes_it_again(reviewed: SmallRun) -> None:
    review(reviewed, Verdict.APPROVED, bonus_cents=5)
    events = withdraw(reviewed)
    assert only(events, AgentVerdictWithdrawn).bonus_cents == 5
    assert [event.amount_cents for event in events if isinstance(event, PaymentWithdrawn)] == [PAY_CENTS, 5]
    assert reviewed.state.payments[streams.payment(RUN, ids.PaymentId(1))].status is PaymentStatus.WITHDRAWN
    assert reviewed.state.runs[RUN].budget.committed_cents == 0
    owed = only(review(reviewed, Verdict.APPROVED, payment=3), PaymentOwed)
    assert (owed.payment, owed.amount_cents) == (3, PAY_CENTS)
    assert only(withdraw(reviewed), PaymentWithdrawn).amount_cents == PAY_CENTS


def test_a_corrected_verdict_is_taken_back_with_the_pay_of_the_first(reviewed: SmallRun) -> None:
    review(reviewed, Verdict.SOFT_REJECTED)
    review(reviewed, Verdict.APPROVED, bonus_cents=5, payment=3)
    assert [event.amount_cents for event in withdraw(reviewed) if isinstance(event, PaymentWithdrawn)] == [PAY_CENTS, 5]


def test_what_is_being_paid_is_not_taken_back(reviewed: SmallRun) -> None:
    review(reviewed, Verdict.APPROVED)
    reviewed.execute(RecordPayment(task_run=RUN, payment=ids.PaymentId(1), event=PaymentIntended(token="t")))
    with pytest.raises(CommandRefusedError, match="the verdict on agent-1 stays: payment-1 for it is already approved"):
        withdraw(reviewed)


def test_a_worker_may_object_to_another_rejection(reviewed: SmallRun) -> None:
    objection = SubmitAppeal(task_run=RUN, agent=AGENT, objection=DATA)
    review(reviewed, Verdict.REJECTED)
    reviewed.execute(objection)
    withdraw(reviewed)
    review(reviewed, Verdict.REJECTED, payment=3)
    reviewed.execute(objection)


def test_the_verdict_on_late_work_stays(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.execute(ReturnUnit(task_run=RUN, agent=AGENT, concurrent=False))
    run.execute(SubmitUnit(task_run=RUN, agent=AGENT, submission=DATA))
    run.execute(AcceptLateWork(task_run=RUN, agent=AGENT, payment=ids.PaymentId(1)))
    with pytest.raises(CommandRefusedError, match="the log does not say what it made payable"):
        withdraw(run)


def test_the_verdict_stays_once_somebody_else_is_to_do_the_unit(reviewed: SmallRun) -> None:
    review(reviewed, Verdict.REJECTED)
    reviewed.state.evolve(streams.unit(RUN, ids.UnitId(10)), UnitReopened(reason="somebody else does it"))
    with pytest.raises(CommandRefusedError, match="agent-1 does not have unit-10 any more: its verdict stays"):
        withdraw(reviewed)


@pytest.mark.parametrize("shown", [SiteWorkStatus.APPROVED, SiteWorkStatus.PARTIALLY_APPROVED])
def test_what_a_crowd_site_has_paid_stays(reviewed: SmallRun, shown: SiteWorkStatus) -> None:
    review(reviewed, Verdict.APPROVED)
    registration = reviewed.state.agents[streams.agent(RUN, AGENT)].registration
    worker = reviewed.state.agents[streams.agent(RUN, AGENT)].worker

    def observe(status: SiteWorkStatus) -> None:
        observed = ProviderObserved(registration=registration, status=status)
        reviewed.execute(RecordProviderObservation(task_run=RUN, worker=worker, observed=observed))

    observe(SiteWorkStatus.SUBMITTED)
    withdraw(reviewed)
    review(reviewed, Verdict.APPROVED, payment=3)
    observe(shown)
    with pytest.raises(CommandRefusedError, match=f"the crowd site shows the work as {shown.value}"):
        withdraw(reviewed)


def test_the_budget_must_have_room_for_another_verdict() -> None:
    run = SmallRun()
    run.open(budget_cents=PAY_CENTS)
    run.register(1)
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    review(run, Verdict.APPROVED)
    withdraw(run)
    review(run, Verdict.REJECTED, payment=3)
    run.offer(2)
    with pytest.raises(CommandRefusedError, match="another verdict on unit-10 would cost 10 cents"):
        withdraw(run)


def test_only_an_agent_has_a_verdict(run: SmallRun) -> None:
    with pytest.raises(UnknownEntityError):
        withdraw(run)
