"""Every cent of a run, and the decision it goes back to."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentBonusGranted
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.payment import (
    Answer,
    PaymentEvent,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentOwed,
    PaymentRequested,
    Sighting,
)
from mephisto_es.events.streams import run_of
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.queries.money.budget_check import find_overspending
from mephisto_es.projections.queries.money.pay_ledger import find_untraced, pay_ledger

from ..histories import histories, history
from .memory_as_of import MemoryAsOf

HISTORY = history(Random(10), 1500)


def runs_of(as_of: MemoryAsOf) -> list[TaskRunId]:
    return [TaskRunId(run) for (run,) in as_of.db.execute("SELECT task_run_id FROM task_runs")]


@given(histories())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_cent_is_traced_and_counted_once(requests: tuple[AppendRequest, ...]) -> None:
    as_of = MemoryAsOf(requests)
    state = DecisionState()
    for recorded in as_of.events:
        state.apply(recorded.envelope)
    for run in runs_of(as_of):
        ledger = pay_ledger(as_of, run)
        of_run = [one for stream, one in state.payments.items() if stream.startswith(f"payment/{run}/")]
        assert find_untraced(as_of, run) == []
        assert sum(ledger.cents.values()) == sum(one.amount_cents for one in of_run)
        assert sum(cents for one in ledger.accounts for cents in one.cents.values()) == sum(ledger.cents.values())
        assert {one.payment: one.status for one in ledger.payments} == {one.payment: one.status.value for one in of_run}
        due = "SELECT sum(pay_cents) FROM units WHERE task_run_id = ? AND status IN ('accepted', 'soft_rejected')"
        pay = sum(one.amount_cents for one in of_run if one.purpose == "pay")
        # Work that was left out of the data, and is done again by somebody else, is paid as well.
        assert pay >= (as_of.db.execute(due, (run,)).fetchone()[0] or 0)


def tampered(change: dict[str, object]) -> tuple[AppendRequest, ...]:
    """The history with the first payment of pay changed, as nobody could by a decision."""
    done = False

    def altered(new: NewEvent) -> NewEvent:
        nonlocal done
        if done or not isinstance(new.event, PaymentOwed) or new.event.purpose != "pay":
            return new
        done = True
        return new._replace(event=replace(new.event, **change))

    return tuple(replace(request, events=tuple(map(altered, request.events))) for request in HISTORY)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount_cents": 999}, "999 cents are owed as pay, "),
        ({"agent": 77777}, "no verdict on agent-77777 grants this pay"),
        ({"purpose": "present"}, "grants this present"),
    ],
)
def test_what_was_not_decided_is_named(change: dict[str, object], said: str) -> None:
    as_of = MemoryAsOf(tampered(change))
    faults = [fault for run in runs_of(as_of) for fault in find_untraced(as_of, run)]
    assert any(said in fault for fault in faults)


def test_the_providers_words_stay_with_a_payment_that_was_looked_for_since() -> None:
    owed = next(
        new.stream for request in reversed(HISTORY) for new in request.events if isinstance(new.event, PaymentOwed)
    )
    asked: tuple[PaymentEvent, ...] = (
        PaymentIntended(token="t"),
        PaymentRequested(token="t"),
        PaymentInDoubt(answer=Answer.REFUSED, reason="no code was entered"),
        PaymentLooked(sighting=Sighting.NOT_THERE),
    )
    for count, said in (
        (3, "no code was entered"),
        (4, "no code was entered; the provider's books were read: not there"),
    ):
        events = tuple(NewEvent(owed, event) for event in asked[:count])
        as_of = MemoryAsOf([*HISTORY, replace(HISTORY[-1], command="asked", events=events)])
        found = {f"payment/{run_of(owed)}/{one.payment}": one for one in pay_ledger(as_of, run_of(owed)).payments}
        assert found[owed].failure == said


def test_a_payment_that_was_requested_while_in_doubt_is_named() -> None:
    owed = next(
        new.stream for request in reversed(HISTORY) for new in request.events if isinstance(new.event, PaymentOwed)
    )
    asked: tuple[PaymentEvent, ...] = (
        PaymentIntended(token="t"),
        PaymentRequested(token="t"),
        PaymentInDoubt(answer=Answer.UNKNOWN),
        PaymentRequested(token="u"),
    )
    forged = replace(HISTORY[-1], command="forged", events=tuple(NewEvent(owed, event) for event in asked))
    faults = find_untraced(MemoryAsOf([*HISTORY, forged]), run_of(owed))
    assert faults == [f"{owed}: it was requested again while it may have been paid"]


def test_work_that_nobody_owes_anything_for_is_named() -> None:
    without = tuple(
        replace(request, events=tuple(new for new in request.events if not new.stream.startswith("payment/")))
        for request in HISTORY
    )
    as_of = MemoryAsOf([request for request in without if request.events])
    faults = [fault for run in runs_of(as_of) for fault in find_untraced(as_of, run)]
    assert any("but no payment owes them" in fault for fault in faults)
    assert any("a bonus of 5 cents was granted, but no payment owes it" in fault for fault in faults)
    assert all("but no payment owes" in fault for fault in faults)


def test_a_bonus_that_is_owed_twice_by_one_decision_is_named() -> None:
    def doubled(request: AppendRequest) -> AppendRequest:
        if not any(isinstance(new.event, AgentBonusGranted) for new in request.events):
            return request
        owed = [new for new in request.events if isinstance(new.event, PaymentOwed)]
        again = [NewEvent(f"{new.stream}000", new.event) for new in owed]
        return replace(request, events=(*request.events, *again))

    as_of = MemoryAsOf([doubled(request) for request in HISTORY])
    faults = [fault for run in runs_of(as_of) for fault in find_untraced(as_of, run)]
    assert faults
    assert all(": bonus of agent-" in fault and "is already owed by payment/" in fault for fault in faults)


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownEntityError, match="there is no run-99999"):
        pay_ledger(MemoryAsOf(history(Random(5), 10)), TaskRunId(99999))


def with_budget(cents: int | None) -> MemoryAsOf:
    """The history of runs with a budget that nobody kept to."""

    def limited(new: NewEvent) -> NewEvent:
        if not isinstance(new.event, TaskRunCreated):
            return new
        return new._replace(event=replace(new.event, budget_cents=cents, fee_percent=20, bonus_limit_cents=0))

    return MemoryAsOf([replace(request, events=tuple(map(limited, request.events))) for request in HISTORY])


def test_each_time_a_budget_was_exceeded_is_named() -> None:
    as_of = with_budget(100)
    state, crossed = DecisionState(), defaultdict[TaskRunId, list[int]](list)
    is_over: dict[TaskRunId, bool] = {}
    for recorded in as_of.events:
        state.apply(recorded.envelope)
        stream = recorded.envelope.stream
        if stream.startswith(("unit/", "payment/")):
            run = run_of(stream)
            over = not state.runs[run].budget.fits(0)
            if over and not is_over.get(run):
                crossed[run].append(recorded.seq)
            is_over[run] = over
    assert crossed
    for run in runs_of(as_of):
        named = list(find_overspending(as_of, run))
        assert [sentence.partition(" ")[2].partition(" ")[0] for sentence in named] == [
            f"{seq:,}" for seq in crossed[run]
        ]
        assert all("but the budget is 1.00" in sentence for sentence in named)


@pytest.mark.parametrize("cents", [None, 10_000_000])
def test_a_budget_that_was_kept_is_not_named(cents: int | None) -> None:
    as_of = with_budget(cents)
    assert [sentence for run in runs_of(as_of) for sentence in find_overspending(as_of, run)] == []
