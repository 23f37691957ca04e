"""The audit's fold of statuses and the operator's fold of whole states check every step alike."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from mephisto_es.core.errors import IllegalStepError, VersionConflictError
from mephisto_es.core.lifecycles.table import Lifecycle, Status
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.core.state.status_fold import LIFECYCLES, StatusFold
from mephisto_es.events.base import Event
from mephisto_es.events.catalogue import CATEGORY_OF

from ..lifecycles.test_tables import example_of

EVENTS = [event for lifecycle in LIFECYCLES for event in lifecycle.events]


def ways(lifecycle: Lifecycle[Any]) -> dict[Status | None, list[type[Event]]]:
    """The shortest way from nothing to each status."""
    found: dict[Status | None, list[type[Event]]] = {None: []}
    waiting: deque[Status | None] = deque([None])
    while waiting:
        source = waiting.popleft()
        for row in lifecycle.steps:
            if source in row.sources and row.target not in found:
                found[row.target] = [*found[source], row.event]
                waiting.append(row.target)
    return found


def status_after(stream: str, events: list[type[Event]]) -> tuple[int, Status | None] | str:
    statuses = StatusFold()
    try:
        for version, event in enumerate(events, 1):
            statuses.step(stream, version, event)
    except IllegalStepError as error:
        return str(error)
    return statuses.by_stream[stream]


def state_after(stream: str, events: list[type[Event]]) -> tuple[int, Status | None] | str:
    states = EntityStates()
    families: list[Any] = [family for name, family in vars(states).items() if name not in ("versions", "_folds")]
    try:
        for event in events:
            states.evolve(stream, example_of(event))
    except IllegalStepError as error:
        return str(error)
    (state,) = [state for family in families if (state := family.get(stream)) is not None]
    return states.version(stream), state.status


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)
def test_they_agree_about_every_event_in_every_status(lifecycle: Lifecycle[Any]) -> None:
    reached = ways(lifecycle)
    assert reached.keys() == {None, *lifecycle.statuses.__members__.values()}
    for way in reached.values():
        for event in lifecycle.events:
            stream = f"{CATEGORY_OF[event]}/1/1"
            assert status_after(stream, [*way, event]) == state_after(stream, [*way, event])


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.name)
def test_what_happens_to_others_is_no_step_of_this_one(lifecycle: Lifecycle[Any]) -> None:
    for status, way in ways(lifecycle).items():
        for event in EVENTS:
            if status is not None and event not in lifecycle.events:
                said = status_after("it/1", [*way, event])
                assert said == str(IllegalStepError("it/1", status.value, str(event.__struct_config__.tag)))


def test_a_version_that_does_not_follow_is_refused() -> None:
    birth = next(row.event for row in LIFECYCLES[0].steps)
    with pytest.raises(VersionConflictError, match="it/1 is at version 0, not 1"):
        StatusFold().step("it/1", 2, birth)


def test_every_event_has_one_lifecycle() -> None:
    assert sorted(map(str, EVENTS)) == sorted(map(str, CATEGORY_OF))
