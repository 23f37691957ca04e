"""Any command, also one that makes no sense, is decided or refused; nothing else comes of it."""

from __future__ import annotations

import copy
from functools import cache
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.core.commands.base import Command
from mephisto_es.core.commands.catalogue import AnyCommand
from mephisto_es.core.decisions.registry import DECISIONS
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId

from ...histories import history, numbered
from ...strategies import shaped

COMMANDS: tuple[type[Command], ...] = get_args(AnyCommand)
MOVES = 250
#: No entity has this id.
NOBODY = 10**9
#: Fields that hold the id of an entity, or several, and the category of its stream.
CATEGORIES = {
    "worker": "worker",
    "agent": "agent",
    "unit": "unit",
    "units": "unit",
    "assignment": "assignment",
    "payment": "payment",
    "number": "resource",
    "qualification": "qualification",
}


@cache
def state_of(seed: int) -> DecisionState:
    state = DecisionState()
    for recorded in numbered(history(Random(seed), MOVES)):
        state.apply(recorded.envelope)
    return state


def ids_of(state: DecisionState, category: str, run: int) -> list[int]:
    """The ids of the entities of a category, in a run if they belong to one."""
    names = (streams.parse(stream) for stream in state.versions)
    return [name.number for name in names if name.category == category and name.run in (None, run)]


@st.composite
def commands(draw: st.DrawFn, kind: type[Command], state: DecisionState) -> Command:
    """A command of a type about entities that there are, most of the time."""
    run = draw(st.sampled_from([*(run.task_run for run in state.task_runs.values()), NOBODY]))
    numbers = st.sampled_from([-3, -2, -1, 0, 1, 2, 50, *ids_of(state, "unit", run)[:5], NOBODY])
    known: dict[str, st.SearchStrategy[Any]] = {"task_run": st.just(TaskRunId(run))}
    is_onboarding = "Onboarding" in kind.__name__
    for field, category in CATEGORIES.items():
        category = "onboarding_agent" if field == "agent" and is_onboarding else category
        ids = st.sampled_from([*ids_of(state, category, run), NOBODY])
        known[field] = st.lists(ids, max_size=3).map(tuple) if field == "units" else ids
    fields = msgspec.structs.fields(kind)
    values = {one.name: known[one.name] if one.name in known else shaped(one.type, numbers) for one in fields}
    return draw(st.builds(kind, **values))


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@settings(max_examples=max(25, settings().max_examples // 4), deadline=None)
@given(data=st.data())
def test_a_command_is_decided_or_refused_and_the_decision_changes_nothing(
    kind: type[Command], data: st.DataObject
) -> None:
    state = state_of(data.draw(st.integers(0, 3)))
    command = data.draw(commands(kind, state))
    before = (dict(state.versions), set(state.runs))
    try:
        events = DECISIONS[kind](state, command)
        state.check(events)
    except CommandRefusedError:
        events = ()
    assert (dict(state.versions), set(state.runs)) == before
    assert {streams.partition_of(stream) for stream, _ in events} <= set(command.partitions)
    if events:
        after = copy.deepcopy(state)
        for stream, event in events:
            after.evolve(stream, event)
