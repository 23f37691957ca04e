"""Blockers of runs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.queries.runs.blockers import MAX_LISTED, find_blockers

from ..histories import histories, history
from ..history_search import find_history, has_an_offer
from .memory_as_of import MemoryAsOf


@given(histories())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_it_agrees_with_what_the_operator_waits_for(requests: tuple[AppendRequest, ...]) -> None:
    as_of = MemoryAsOf(requests)
    state = DecisionState()
    for recorded in as_of.events:
        state.apply(recorded.envelope)
    for run in state.task_runs.values():
        index = state.runs[run.task_run]
        openness = find_blockers(as_of, run.task_run)
        counted = {"unit": 0, "agent": 0, "onboarding": 0, "resource/": 0}
        for blocker in openness.blockers:
            for kind in counted:
                if blocker.entities and blocker.entities[0].startswith(kind):
                    counted[kind] += blocker.count
            assert len(blocker.entities) <= MAX_LISTED
        held = [
            stream
            for stream, server in state.resources.items()
            if stream.startswith(f"resource/{run.task_run}/") and server.status is not ResourceStatus.RELEASED
        ]
        assert counted["resource/"] == len(held)
        if run.status in ENDED_RUN_STATUSES:
            assert openness.is_open is bool(held)
        else:
            assert counted["agent"] == len(index.live_agents)
            assert counted["onboarding"] == len(index.live_onboardings)
            nobodys = [unit for unit in index.open_units if unit not in index.agent_of_unit]
            assert counted["unit"] == len(nobodys)
            assert openness.is_open


def test_since_when() -> None:
    as_of = MemoryAsOf(find_history(300, has_an_offer))
    with_an_offer = (
        "SELECT task_run_id FROM task_runs JOIN units USING (task_run_id)"
        " WHERE task_runs.status = 'live' AND units.status = 'launched'"
    )
    (run,) = as_of.db.execute(with_an_offer).fetchone()
    offered = next(one for one in find_blockers(as_of, TaskRunId(run)).blockers if "units offered" in one.reason)
    since = [
        envelope.at
        for subject in offered.entities
        for _, envelope in as_of.stream(f"unit/{run}/{subject.removeprefix('unit-')}")[-1:]
    ]
    assert offered.since is not None
    assert offered.since.startswith("2026-01-01 ")
    assert min(since) > 0


def test_a_run_that_is_not_there() -> None:
    with pytest.raises(UnknownEntityError, match="there is no run-99999; the nearest is run-"):
        find_blockers(MemoryAsOf(history(Random(5), 10)), TaskRunId(99999))
