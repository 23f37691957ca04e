"""The cost of units and payments: decisions keep to a budget in any history."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.core.commands.review import ReviewWork, Verdict
from mephisto_es.core.commands.task_run import AssignmentPlan, LaunchUnits, UnitPlan
from mephisto_es.core.decisions.launch_work import creation_events, decide_launch_units
from mephisto_es.core.decisions.review import decide_review_work
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.ports import NewEvent
from mephisto_es.core.state.budget import Budget
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import AgentAccepted, AgentStarted, AgentSubmitted
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.events.unit import UnitAssigned, UnitCompleted

RUN = ids.TaskRunId(1)
DATA = PayloadRef("00" * 32, 2)
amounts = st.integers(0, 10**6)


@given(amounts, amounts, amounts, st.integers(0, 300))
def test_what_is_kept_back_covers_pay_and_bonus_each_rounded_up(pay: int, bonus: int, more: int, fee: int) -> None:
    budget = Budget(fee_percent=fee, bonus_limit_cents=bonus + more)
    assert budget.with_fee(pay) == ceil(pay * (1 + Fraction(fee, 100)))
    assert budget.cost_of_unit(pay) >= budget.with_fee(pay) + budget.with_fee(bonus)


def market_with(budget_cents: int | None, pays: list[list[int]], *, bonus_limit_cents: int = 0) -> DecisionState:
    """A run with assignments of created units, by what they pay; the units are numbered from 1 on."""
    state = DecisionState()
    created = TaskRunCreated(
        task_run=RUN,
        task=ids.TaskId(1),
        requester=ids.RequesterId(1),
        blueprint_type="static_task",
        architect_type="mock",
        provider_type="mock",
        config="{}",
        budget_cents=budget_cents,
        fee_percent=20,
        bonus_limit_cents=bonus_limit_cents,
    )
    plans: list[AssignmentPlan] = []
    last = 0
    for number, of_assignment in enumerate(pays):
        units = tuple(UnitPlan(ids.UnitId(last + place + 1), place, pay) for place, pay in enumerate(of_assignment))
        last += len(units)
        plans.append(AssignmentPlan(ids.AssignmentId(number + 1), number, DATA, units))
    take(state, [NewEvent(streams.task_run(RUN), created), *creation_events(RUN, plans)])
    return state


def take(state: DecisionState, events: list[NewEvent]) -> None:
    for stream, event in events:
        state.evolve(stream, event)


def launch(state: DecisionState, count: int) -> int:
    """Offer the first units; how many were launched."""
    launched = decide_launch_units(
        state, LaunchUnits(task_run=RUN, units=tuple(ids.UnitId(number + 1) for number in range(count)))
    )
    take(state, launched)
    return len(launched)


def hand_in(state: DecisionState) -> ids.AgentId:
    """The work of an agent that has the first unit."""
    agent, worker, unit = ids.AgentId(1), ids.WorkerId(1), ids.UnitId(1)
    stream = streams.agent(RUN, agent)
    accepted = AgentAccepted(
        agent=agent, unit=unit, assignment=ids.AssignmentId(1), worker=worker, token="t", registration="r"
    )
    events = [
        NewEvent(streams.unit(RUN, unit), UnitAssigned(agent=agent, worker=worker)),
        NewEvent(stream, accepted),
        NewEvent(stream, AgentStarted()),
        NewEvent(stream, AgentSubmitted(submission=DATA)),
        NewEvent(streams.unit(RUN, unit), UnitCompleted(agent=agent)),
    ]
    take(state, events)
    return agent


def review(state: DecisionState, verdict: Verdict, bonus_cents: int = 0, payment: int = 1) -> None:
    command = ReviewWork(
        task_run=RUN,
        agent=ids.AgentId(1),
        verdict=verdict,
        bonus_cents=bonus_cents,
        pay_payment=ids.PaymentId(payment),
        bonus_payment=ids.PaymentId(payment + 1),
    )
    take(state, decide_review_work(state, command))


@pytest.mark.parametrize(
    ("budget", "pays", "launched"),
    [
        (None, [[10], [10], [10]], 3),
        (36, [[10], [10], [10]], 3),
        (35, [[10], [10], [10]], 2),
        (11, [[10]], 0),
        (0, [[0], [0]], 2),
        (47, [[10, 10], [10, 10]], 2),  # a part of a group is of no use to anybody
        (59, [[20], [30], [10]], 1),  # nothing overtakes what is too dear
    ],
)
def test_only_what_the_budget_pays_for_is_launched(budget: int | None, pays: list[list[int]], launched: int) -> None:
    state = market_with(budget, pays)
    count = sum(map(len, pays))
    assert launch(state, count) == launched
    assert launch(state, count) == 0


def test_a_verdict_turns_what_was_kept_back_into_what_is_owed() -> None:
    state = market_with(100, [[10], [10]], bonus_limit_cents=5)
    money = state.runs[RUN].budget
    assert (launch(state, 1), money.reserved_cents, money.left_cents) == (1, 18, 82)
    hand_in(state)
    assert money.reserved_cents == 18
    review(state, Verdict.APPROVED, bonus_cents=3)
    assert (money.reserved_cents, money.committed_cents, money.left_cents) == (0, 16, 84)


def test_a_bonus_beyond_the_limit_is_paid_from_what_is_left_and_no_further() -> None:
    state = market_with(40, [[10], [10]], bonus_limit_cents=5)
    launch(state, 2)
    hand_in(state)
    with pytest.raises(
        CommandRefusedError, match="would cost 24 cents with fees, and the run's budget of 40 cents has 22"
    ):
        review(state, Verdict.APPROVED, bonus_cents=10)
    review(state, Verdict.APPROVED, bonus_cents=8)
    assert state.runs[RUN].budget.left_cents == 0


def test_a_rejection_is_corrected_only_while_there_is_money_for_it() -> None:
    state = market_with(12, [[10], [10]])
    launch(state, 1)
    hand_in(state)
    review(state, Verdict.REJECTED)
    assert launch(state, 2) == 1
    with pytest.raises(CommandRefusedError, match=r"the verdict on unit-1 would cost 12 cents .* has 0 left for it"):
        review(state, Verdict.APPROVED)


def test_soft_rejected_work_that_is_approved_is_not_paid_twice() -> None:
    state = market_with(12, [[10]])
    launch(state, 1)
    hand_in(state)
    review(state, Verdict.SOFT_REJECTED)
    review(state, Verdict.APPROVED, payment=3)
    assert state.runs[RUN].budget.committed_cents == 12
