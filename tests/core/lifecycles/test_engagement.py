"""What an engagement knows of a worker's evaluations and limits."""

from __future__ import annotations

import pytest

from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED, EngagementState, evolve
from mephisto_es.events import ids
from mephisto_es.events.engagement import (
    AllWorkEnded,
    CallbackAnswered,
    EngagementEvent,
    WorkEnded,
    WorkerArrived,
    WorkStarted,
)

ARRIVED = WorkerArrived(worker=ids.WorkerId(1))


def started(number: int, evaluation: str | None = None, *, counts: bool = True) -> WorkStarted:
    return WorkStarted(
        agent=ids.AgentId(number),
        unit=ids.UnitId(number),
        assignment=ids.AssignmentId(number),
        evaluation=evaluation,
        counts=counts,
    )


def ended(number: int, outcome: str) -> AllWorkEnded:
    return AllWorkEnded(agent=ids.AgentId(number), outcome=outcome)


def after(*events: EngagementEvent) -> EngagementState:
    state = evolve(None, ARRIVED)
    for event in events:
        state = evolve(state, event)
    return state


def test_an_evaluation_is_undecided_until_it_is_answered() -> None:
    answered = CallbackAnswered(callback=ON_SUBMITTED, unit=ids.UnitId(1), answer=True)
    assert after().undecided() is None
    assert after(started(1)).undecided() is None
    assert after(started(1, "gold")).undecided() == 1
    assert after(started(1, "gold"), ended(1, "completed")).undecided() == 1
    assert after(started(1, "gold"), ended(1, "completed"), answered).undecided() is None


@pytest.mark.parametrize("outcome", ["returned", "expired", "disconnect", "timeout"])
def test_an_evaluation_that_was_not_submitted_is_decided(outcome: str) -> None:
    state = after(started(1, "gold"), ended(1, outcome))
    assert state.undecided() is None
    assert (state.given("gold"), state.given("screening")) == (1, 0)


@pytest.mark.parametrize(("outcome", "counted"), [("completed", 1), ("returned", 0), ("timeout", 0)])
@pytest.mark.parametrize("evaluation", [None, "screening"])
def test_units_count_that_are_in_progress_or_submitted(evaluation: str | None, outcome: str, counted: int) -> None:
    assert after(started(1, evaluation)).counted == 1
    assert after(started(1, evaluation), ended(1, outcome)).counted == counted


def test_units_that_do_not_count_never_count() -> None:
    assert after(started(1, "gold", counts=False)).counted == 0
    assert after(started(1, "gold", counts=False), ended(1, "returned")).counted == 0


def test_the_live_agents_are_those_whose_work_has_not_ended() -> None:
    state = after(started(1), started(2), WorkEnded(agent=ids.AgentId(1), outcome="completed"))
    assert state.live == {2}
