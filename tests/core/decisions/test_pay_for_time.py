"""Pay for time: for whoever returned a unit or lost it, once, within the limit and the budget."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import RecordOnboardingOutcome
from mephisto_es.core.commands.agent import AgentDeparture, EndAgent
from mephisto_es.core.commands.review import PayForOnboarding, PayForTime
from mephisto_es.core.commands.task_run import AssignmentPlan, CreateRun, RecordRunEvent, UnitPlan
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentBonusGranted, AgentDisconnected, AgentExpired, AgentReturned, AgentTimedOut
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import AllWorkEnded, WorkEnded
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.events.task_run import TaskRunCreated, TaskRunDeployed, TaskRunPrepared, TaskRunWentLive

from .conftest import DATA, RUN, SmallRun, only

MINUTE = 60_000_000


def paying(*, budget_cents: int | None = None, fee_percent: int = 0) -> SmallRun:
    """A live run that pays 6 cents a minute, 20 at most, in which two workers have a unit."""
    run = SmallRun()
    run.execute(
        CreateRun(
            created=TaskRunCreated(
                task_run=RUN,
                task=ids.TaskId(1),
                requester=ids.RequesterId(1),
                blueprint_type="static_task",
                architect_type="local",
                provider_type="mock",
                config="{}",
                budget_cents=budget_cents,
                fee_percent=fee_percent,
                pay_for_time_cents=6,
                pay_for_time_limit_cents=20,
            ),
            task_name="rating",
            requester_name="lab",
        )
    )
    for event in (TaskRunPrepared(), TaskRunDeployed(url="http://localhost:3000"), TaskRunWentLive()):
        run.execute(RecordRunEvent(task_run=RUN, event=event))
    for number in (1, 2):
        run.register(number)
        run.offer(number)
        run.assign(number, agent=number)
    return run


def end(run: SmallRun, departure: AgentDeparture, agent: int = 1) -> None:
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(agent), departure=departure, concurrent=False))


def pay(run: SmallRun, worked_us: int, agent: int = 1) -> list[Event]:
    command = PayForTime(
        task_run=RUN, agent=ids.AgentId(agent), worked_us=worked_us, reason=DATA, payment=ids.PaymentId(agent)
    )
    return run.execute(command)


def test_a_cent_is_paid_and_less_time_than_any_is_not() -> None:
    run = paying()
    end(run, AgentReturned(reason="gave up"))
    assert pay(run, 0) == []
    assert only(pay(run, 1), AgentBonusGranted) == AgentBonusGranted(bonus_cents=1, reason=DATA, worked_seconds=1)


@pytest.mark.parametrize("departure", [AgentReturned(reason="gave up"), AgentExpired(reason="our failure")])
def test_the_time_of_whoever_returns_or_loses_a_unit_is_paid_once(departure: AgentDeparture) -> None:
    run = paying()
    end(run, departure)
    events = pay(run, MINUTE + 1)
    assert only(events, AgentBonusGranted) == AgentBonusGranted(bonus_cents=7, reason=DATA, worked_seconds=61)
    owed = only(events, PaymentOwed)
    assert (owed.amount_cents, owed.purpose, owed.agent, owed.worker) == (7, "bonus", 1, 1)
    assert pay(run, 10 * MINUTE) == []


@pytest.mark.parametrize("departure", [AgentTimedOut(reason="slow"), AgentDisconnected(reason="gone")])
def test_whoever_stays_away_is_not_paid_for_it(departure: AgentDeparture) -> None:
    run = paying()
    end(run, departure)
    assert pay(run, MINUTE) == []


def test_nobody_is_paid_for_time_who_is_at_work_or_submitted() -> None:
    run = paying()
    assert pay(run, MINUTE) == []
    run.submit(1)
    assert pay(run, MINUTE) == []


def test_the_limit_holds_for_each_piece_of_work() -> None:
    run = paying()
    for agent in (1, 2):
        end(run, AgentReturned(reason="gave up"), agent)
        assert only(pay(run, 600 * MINUTE, agent), PaymentOwed).amount_cents == 20


def test_the_budget_is_never_exceeded_with_fees() -> None:
    # 2 units of 10 cents are reserved with a fee of 20 %: 24; 10 cents are left, which cover 8 and their fee.
    run = paying(budget_cents=34, fee_percent=20)
    end(run, AgentReturned(reason="gave up"))
    assert only(pay(run, 3 * MINUTE), PaymentOwed).amount_cents == 8
    budget = run.state.runs[RUN].budget
    assert (budget.committed_cents, budget.left_cents) == (10, 0)
    end(run, AgentReturned(reason="gave up"), agent=2)
    assert pay(run, 3 * MINUTE, agent=2) == []


def test_no_time_is_no_pay() -> None:
    run = paying()
    end(run, AgentReturned(reason="at once"))
    assert pay(run, 0) == []


def pay_for_onboarding(run: SmallRun, worked_us: int, number: int = 1) -> list[Event]:
    unit = UnitPlan(ids.UnitId(900 + number), ids.COMPENSATION_UNIT_INDEX, 0)
    plan = AssignmentPlan(ids.AssignmentId(900 + number), ids.COMPENSATION_UNIT_INDEX, DATA, (unit,))
    command = PayForOnboarding(
        task_run=RUN,
        onboarding_agent=ids.OnboardingAgentId(1),
        worked_us=worked_us,
        reason=DATA,
        payment=ids.PaymentId(100 + number),
        assignment=plan,
        agent=ids.AgentId(100 + number),
        token=f"token {number}",
    )
    return run.execute(command)


def onboarded(run: SmallRun, worker: int, *, passed: bool) -> None:
    run.start_onboarding(worker, agent=1)
    run.submit_onboarding(1)
    qualification = run.qualification(1, "onboarded")
    outcome = RecordOnboardingOutcome(
        task_run=RUN, agent=ids.OnboardingAgentId(1), qualification=qualification, passed=passed
    )
    run.execute(outcome)


@pytest.mark.parametrize("is_at_work", [False, True])
def test_an_onboarding_that_was_not_passed_is_paid_once(is_at_work: bool) -> None:
    run = paying()
    worker = 1 if is_at_work else 3
    if not is_at_work:
        run.register(3)
    onboarded(run, worker, passed=False)
    events = pay_for_onboarding(run, 2 * MINUTE)
    assert only(events, PaymentOwed).amount_cents == 12
    assert only(events, AgentBonusGranted).worked_seconds == 120
    assert [type(event) for event in events].count(WorkEnded if is_at_work else AllWorkEnded) == 1
    agent = run.state.agents[streams.agent(RUN, ids.AgentId(101))]
    assert (agent.status, agent.registration) == (
        AgentStatus.RETURNED,
        "compensation/onboarding registration 1",
    )
    assert run.state.units[streams.unit(RUN, ids.UnitId(901))].status is UnitStatus.EXPIRED
    assert run.state.agent_by_registration(RUN, "onboarding registration 1") is not None
    # Neither another process nor the ordinary pay for time pays again.
    assert pay_for_onboarding(run, 2 * MINUTE, 2) == []
    assert pay(run, 2 * MINUTE, 101) == []


def test_an_onboarding_that_was_passed_or_is_worth_nothing_is_not_paid() -> None:
    run = paying()
    run.register(3)
    onboarded(run, 3, passed=True)
    assert pay_for_onboarding(run, 2 * MINUTE) == []
    broke = paying(budget_cents=20)
    broke.register(3)
    onboarded(broke, 3, passed=False)
    assert pay_for_onboarding(broke, 2 * MINUTE) == []
