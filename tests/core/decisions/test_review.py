"""Verdicts and bonuses, and what they make payable."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.agent import ReturnUnit
from mephisto_es.core.commands.review import GrantBonus, RecordPayment, ReviewWork, Verdict
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError, UnknownEntityError
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentApproved, AgentBonusGranted, AgentRejected, AgentSoftRejected
from mephisto_es.events.payment import PaymentIntended, PaymentOwed
from mephisto_es.events.unit import UnitAccepted, UnitRejected, UnitReopened, UnitSoftRejected

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

AGENT = ids.AgentId(1)


def verdict(given: Verdict, bonus_cents: int = 0, payment: int = 1) -> ReviewWork:
    return ReviewWork(
        task_run=RUN,
        agent=AGENT,
        verdict=given,
        note=DATA,
        bonus_cents=bonus_cents,
        pay_payment=ids.PaymentId(payment),
        bonus_payment=ids.PaymentId(payment + 1),
    )


def bonus(cents: int, payment: int = 9) -> GrantBonus:
    return GrantBonus(task_run=RUN, agent=AGENT, bonus_cents=cents, reason=DATA, payment=ids.PaymentId(payment))


@pytest.fixture
def reviewed(run: SmallRun) -> SmallRun:
    """A run with one submitted unit."""
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    return run


@pytest.mark.parametrize(
    ("given", "kinds", "cents"),
    [
        (Verdict.APPROVED, [AgentApproved, UnitAccepted], [PAY_CENTS]),
        (Verdict.SOFT_REJECTED, [AgentSoftRejected, UnitSoftRejected], [PAY_CENTS]),
        (Verdict.REJECTED, [AgentRejected, UnitRejected], []),
    ],
)
def test_a_verdict_changes_agent_and_unit_and_says_what_is_owed(
    reviewed: SmallRun, given: Verdict, kinds: list[type], cents: list[int]
) -> None:
    events = reviewed.execute(verdict(given))
    assert [type(event) for event in events if not isinstance(event, PaymentOwed)] == kinds
    assert [event.amount_cents for event in events if isinstance(event, PaymentOwed)] == cents


def test_a_bonus_is_owed_apart_from_the_pay(reviewed: SmallRun) -> None:
    events = reviewed.execute(verdict(Verdict.APPROVED, bonus_cents=5))
    owed = [(event.payment, event.amount_cents, event.purpose) for event in events if isinstance(event, PaymentOwed)]
    assert owed == [(1, PAY_CENTS, "pay"), (2, 5, "bonus")]


@pytest.mark.parametrize(("given", "cents"), [(Verdict.REJECTED, 5), (Verdict.APPROVED, -1)])
def test_a_bonus_that_makes_no_sense_is_refused(reviewed: SmallRun, given: Verdict, cents: int) -> None:
    with pytest.raises(CommandRefusedError, match=f"a bonus of {cents} cents does not go with work that is"):
        reviewed.execute(verdict(given, bonus_cents=cents))


def test_pay_is_owed_once_whatever_is_corrected(reviewed: SmallRun) -> None:
    reviewed.execute(verdict(Verdict.SOFT_REJECTED))
    events = reviewed.execute(verdict(Verdict.APPROVED, payment=3))
    assert not any(isinstance(event, PaymentOwed) for event in events)
    with pytest.raises(CommandRefusedError, match="agent-1 is already approved: approved work stays approved"):
        reviewed.execute(verdict(Verdict.REJECTED, payment=5))


def test_rejected_work_can_only_be_approved(reviewed: SmallRun) -> None:
    reviewed.execute(verdict(Verdict.REJECTED))
    with pytest.raises(CommandRefusedError, match="agent-1 is already rejected: the only other verdict"):
        reviewed.execute(verdict(Verdict.SOFT_REJECTED, payment=3))
    reviewed.execute(verdict(Verdict.APPROVED, payment=5))


def test_an_agent_at_work_or_without_a_submission_is_not_reviewed(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    with pytest.raises(CommandRefusedError, match=r"agent-1 is still at work \(in task\): review it once"):
        run.execute(verdict(Verdict.APPROVED))
    run.execute(ReturnUnit(task_run=RUN, agent=AGENT, concurrent=False))
    with pytest.raises(CommandRefusedError, match="agent-1 ended as 'returned' without submitting"):
        run.execute(verdict(Verdict.APPROVED))


def test_an_agent_whose_unit_was_reopened_is_not_reviewed(reviewed: SmallRun) -> None:
    reviewed.execute(verdict(Verdict.REJECTED))
    unit = streams.unit(RUN, reviewed.state.agents[streams.agent(RUN, AGENT)].unit)
    reviewed.state.evolve(unit, UnitReopened(reason="somebody else does it"))
    with pytest.raises(CommandRefusedError, match="agent-1 does not have unit-10 any more"):
        reviewed.execute(verdict(Verdict.APPROVED))


def test_a_bonus_is_granted_for_any_work_of_an_agent(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    events = run.execute(bonus(5))
    assert only(events, AgentBonusGranted).bonus_cents == 5
    assert only(events, PaymentOwed).purpose == "bonus"
    for cents in (0, -5):
        with pytest.raises(CommandRefusedError, match=f"{cents} cents are no bonus"):
            run.execute(bonus(cents, payment=10))


def test_the_budget_covers_verdicts_and_bonuses_or_they_are_refused() -> None:
    run = SmallRun()
    run.open(budget_cents=PAY_CENTS + 3)
    run.register(1)
    run.offer(1)
    run.assign(1, agent=1)
    run.submit(1)
    with pytest.raises(CommandRefusedError, match="budget of 13 cents has 13 left for it"):
        run.execute(verdict(Verdict.APPROVED, bonus_cents=4))
    with pytest.raises(CommandRefusedError, match=r"the bonus for unit-10 would cost 4 cents with fees, .* has 3 left"):
        run.execute(bonus(4))
    assert run.execute(verdict(Verdict.APPROVED, bonus_cents=3))


def test_an_unknown_agent_is_refused(run: SmallRun) -> None:
    for command in (verdict(Verdict.APPROVED), bonus(5)):
        with pytest.raises(UnknownEntityError, match="agent-1"):
            run.execute(command)


def test_what_becomes_of_a_payment_is_recorded_if_it_is_owed(reviewed: SmallRun) -> None:
    intended = RecordPayment(task_run=RUN, payment=ids.PaymentId(1), event=PaymentIntended(token="t"))
    with pytest.raises(IllegalStepError, match="payment-1"):
        reviewed.execute(intended)
    reviewed.execute(verdict(Verdict.APPROVED))
    assert reviewed.execute(intended) == [PaymentIntended(token="t")]
