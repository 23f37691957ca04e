"""Submissions after the end of the work, and what accepting them means for agent, unit and money."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.core.commands.agent import AgentDeparture, EndAgent, ReturnUnit
from mephisto_es.core.commands.review import AcceptLateWork, ReviewWork, Verdict
from mephisto_es.core.commands.task_run import ExpireUnits
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError, UnknownEntityError
from mephisto_es.core.lifecycles.agent import LATE_STATUSES, AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import (
    AgentDisconnected,
    AgentExpired,
    AgentLateAccepted,
    AgentReturned,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    AgentTimedOut,
)
from mephisto_es.events.base import Event
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.events.unit import UnitAssigned, UnitLateAccepted

from .conftest import DATA, PAY_CENTS, RUN, SmallRun, only

UNIT = ids.UnitId(10)
ENDINGS: list[AgentDeparture] = [
    AgentTimedOut(reason="slow"),
    AgentReturned(reason="gave up"),
    AgentDisconnected(reason="gone"),
    AgentExpired(reason="the run ended"),
]


def end(run: SmallRun, agent: int, departure: AgentDeparture = ENDINGS[0], *, concurrent: bool = False) -> None:
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(agent), departure=departure, concurrent=concurrent))


def accept_late(run: SmallRun, agent: int, payment: int | None = None) -> list[Event]:
    number = ids.PaymentId(payment or agent)
    return run.execute(AcceptLateWork(task_run=RUN, agent=ids.AgentId(agent), note=DATA, payment=number))


def approve(run: SmallRun, agent: int) -> list[Event]:
    pay, bonus = ids.PaymentId(100 + agent), ids.PaymentId(200 + agent)
    verdict = Verdict.APPROVED
    return run.execute(
        ReviewWork(task_run=RUN, agent=ids.AgentId(agent), verdict=verdict, pay_payment=pay, bonus_payment=bonus)
    )


def debts(events: list[Event]) -> list[PaymentOwed]:
    return [event for event in events if isinstance(event, PaymentOwed)]


def statuses(run: SmallRun, agent: int) -> tuple[AgentStatus, UnitStatus]:
    state = run.state
    return state.agents[streams.agent(RUN, ids.AgentId(agent))].status, state.units[streams.unit(RUN, UNIT)].status


@pytest.fixture
def late(run: SmallRun) -> SmallRun:
    """A run with one unit, on offer again, and late work on it by agent 1."""
    run.offer(1)
    run.assign(1, agent=1)
    end(run, 1)
    run.submit(1)
    return run


@pytest.mark.parametrize("ending", ENDINGS)
def test_work_after_any_ending_is_recorded_as_late_and_can_be_accepted(run: SmallRun, ending: AgentDeparture) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    end(run, 1, ending)
    before = statuses(run, 1)
    assert before[0] in LATE_STATUSES
    assert run.submit(1) == [AgentSubmittedLate(submission=DATA)]
    assert statuses(run, 1) == before
    events = accept_late(run, 1)
    assert events[:2] == [AgentLateAccepted(note=DATA), UnitLateAccepted(agent=ids.AgentId(1), worker=ids.WorkerId(1))]
    assert (only(events, PaymentOwed).amount_cents, only(events, PaymentOwed).purpose) == (PAY_CENTS, "pay")
    assert statuses(run, 1) == (AgentStatus.APPROVED, UnitStatus.ACCEPTED)
    assert run.submit(1) == [AgentSubmittedAgain(submission=DATA)]


def test_an_accepted_unit_is_not_offered_any_more_and_has_its_agent(late: SmallRun) -> None:
    assert list(late.state.runs[RUN].offered) == [UNIT]
    accept_late(late, 1)
    assert not late.state.runs[RUN].offered
    assert not late.state.runs[RUN].has_open_work
    assert late.state.units[streams.unit(RUN, UNIT)].agent == 1


def test_a_unit_that_expired_is_accepted_too(late: SmallRun) -> None:
    late.execute(ExpireUnits(task_run=RUN, units=(UNIT,), reason="the run ends"))
    assert only(accept_late(late, 1), UnitLateAccepted).agent == 1
    assert statuses(late, 1) == (AgentStatus.APPROVED, UnitStatus.ACCEPTED)


@pytest.mark.parametrize("submitted", [False, True])
def test_work_on_a_unit_of_somebody_else_is_only_paid(late: SmallRun, submitted: bool) -> None:
    late.assign(2, agent=2)
    if submitted:
        late.submit(2)
    unit = late.state.units[streams.unit(RUN, UNIT)]
    events = accept_late(late, 1)
    assert events[0] == AgentLateAccepted(note=DATA, pay_only_cents=PAY_CENTS)
    assert [type(event) for event in events[1:]] == [PaymentOwed]
    assert late.state.units[streams.unit(RUN, UNIT)] == unit
    if not submitted:
        late.submit(2)
    assert only(approve(late, 2), PaymentOwed).worker == 2
    assert late.state.runs[RUN].budget.committed_cents == 2 * PAY_CENTS


def test_late_work_that_pays_nothing_is_accepted_and_owes_nothing(run: SmallRun) -> None:
    run.offer(1, pay_cents=0)
    run.assign(1, agent=1)
    end(run, 1)
    run.submit(1)
    assert [type(event) for event in accept_late(run, 1)] == [AgentLateAccepted, UnitLateAccepted]


def test_late_work_is_accepted_once(late: SmallRun) -> None:
    accept_late(late, 1)
    with pytest.raises(IllegalStepError, match="agent-1 is 'approved'"):
        accept_late(late, 1, payment=2)


def test_work_that_came_in_time_is_not_late(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    with pytest.raises(IllegalStepError, match="agent-1 is 'in task'"):
        accept_late(run, 1)
    run.submit(1)
    with pytest.raises(CommandRefusedError, match="the work of agent-1 is not late: review it as usual"):
        accept_late(run, 1)


def test_nothing_is_accepted_from_an_agent_that_submitted_nothing(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.execute(ReturnUnit(task_run=RUN, agent=ids.AgentId(1), concurrent=False))
    with pytest.raises(CommandRefusedError, match="agent-1 submitted nothing: there is no late work to accept"):
        accept_late(run, 1)
    with pytest.raises(UnknownEntityError, match="agent-7"):
        accept_late(run, 7)


def test_the_budget_covers_late_work_or_it_is_refused() -> None:
    run = SmallRun()
    run.open(budget_cents=PAY_CENTS + 5)
    run.register(1)
    run.register(2)
    run.offer(1)
    run.assign(1, agent=1)
    end(run, 1)
    run.submit(1)
    run.assign(2, agent=2)
    refusal = "the late work on unit-10 would cost 10 cents with fees, .* budget of 15 cents has 5 left for it"
    with pytest.raises(CommandRefusedError, match=refusal):
        accept_late(run, 1)
    end(run, 2)
    accept_late(run, 1)
    budget = run.state.runs[RUN].budget
    assert (budget.committed_cents, budget.reserved_cents) == (PAY_CENTS, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["assign", "end", "return", "submit", "accept_late", "approve", "expire"]), st.integers(1, 4)
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_nobody_is_paid_twice_for_a_unit(steps: list[tuple[str, int]]) -> None:
    run = SmallRun()
    run.open(budget_cents=4 * PAY_CENTS)
    run.offer(1)
    for worker in (1, 2, 3, 4):
        run.register(worker)
    owed: list[PaymentOwed] = []
    for number, (action, agent) in enumerate(steps):
        one = ids.AgentId(agent)
        try:
            match action:
                case "assign":
                    run.assign(agent, agent=agent)
                case "end":
                    end(run, agent, ENDINGS[number % 4])
                case "return":
                    run.execute(ReturnUnit(task_run=RUN, agent=one, concurrent=False))
                case "submit":
                    run.submit(agent)
                case "accept_late":
                    owed += debts(accept_late(run, agent, 1000 + number))
                case "approve":
                    owed += debts(approve(run, agent))
                case _:
                    run.execute(ExpireUnits(task_run=RUN, units=(UNIT,), reason="over"))
        except (CommandRefusedError, UnknownEntityError):
            continue
    workers = [event.worker for event in owed]
    assert len(set(workers)) == len(workers)
    budget = run.state.runs[RUN].budget
    assert budget.committed_cents == len(owed) * PAY_CENTS
    assert budget.left_cents is not None
    assert budget.left_cents >= 0


def test_late_work_is_not_accepted_while_its_worker_has_the_unit_again(late: SmallRun) -> None:
    # No command gives a worker the same data twice; a log of an earlier version might.
    late.state.evolve(streams.unit(RUN, UNIT), UnitAssigned(agent=ids.AgentId(2), worker=ids.WorkerId(1)))
    with pytest.raises(CommandRefusedError, match="worker-1 has unit-10 again as agent-2"):
        accept_late(late, 1)
