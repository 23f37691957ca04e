"""Timelines of entities."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings

from mephisto_es.core.entity_ref import KINDS, EntityRef
from mephisto_es.core.ports import AppendRequest
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.projections.queries.history.timeline import TimelineEntry, entry_of, timeline

from ..histories import histories, numbered
from ..history_search import find_history
from .views import lived


def has_a_unit_of_two_agents(state: DecisionState) -> bool:
    """Return whether a unit was assigned to another worker after its first agent had left."""
    units = Counter(agent.unit for agent in state.agents.values())
    return max(units.values(), default=0) > 1


HISTORY = find_history(600, has_a_unit_of_two_agents)


@pytest.fixture(scope="module")
def log() -> list[RecordedEvent]:
    return numbered(HISTORY)


def streams(lines: list[TimelineEntry]) -> set[str]:
    return {line.stream for line in lines}


def a_unit_with_two_agents(log: list[RecordedEvent]) -> int:
    view, _ = lived(HISTORY)
    found = view.execute("SELECT unit_id FROM agents GROUP BY unit_id HAVING count(*) > 1").fetchone()
    return int(found[0])


def test_a_unit_with_its_agents(log: list[RecordedEvent]) -> None:
    number = a_unit_with_two_agents(log)
    lines = list(timeline(log, EntityRef("unit", number)))
    own = [line for line in lines if line.stream.endswith(f"/{number}") and line.stream.startswith("unit/")]
    assert own[0].kind == "unit_created"
    assert own[0].status == "created"
    assert lines[0] == own[0]
    given = [line for line in lines if line.kind == "unit_assigned"]
    assert len([name for name in streams(lines) if name.startswith("agent/")]) == len(given) >= 2
    assert all(before.seq < after.seq for before, after in pairwise(lines))


def test_an_agent_and_what_the_unit_says_of_it(log: list[RecordedEvent]) -> None:
    submitted = next(one for one in log if KIND_OF[type(one.envelope.event)] == "agent_submitted")
    number = int(submitted.envelope.stream.rpartition("/")[2])
    kinds = [line.kind for line in timeline(log, EntityRef("agent", number))]
    assert kinds[:2] == ["unit_assigned", "agent_accepted"]
    assert kinds.index("agent_submitted") < kinds.index("unit_completed")
    assert "unit_created" not in kinds


def test_a_worker_over_all_runs(log: list[RecordedEvent]) -> None:
    view, _ = lived(HISTORY)
    (number,) = view.execute(
        "SELECT worker_id FROM agents GROUP BY 1 ORDER BY count(DISTINCT task_run_id) DESC"
    ).fetchone()
    lines = list(timeline(log, EntityRef("worker", number)))
    agents = view.execute(
        "SELECT 'agent/' || task_run_id || '/' || agent_id FROM agents WHERE worker_id = ?", (number,)
    )
    assert {name for (name,) in agents} == {name for name in streams(lines) if name.startswith("agent/")}
    assert {name for name in streams(lines) if name.startswith("worker/")} == {f"worker/{number}"}
    assert {name.rpartition("/")[2] for name in streams(lines) if name.startswith("engagement/")} == {str(number)}


def test_a_run_without_what_its_units_did(log: list[RecordedEvent]) -> None:
    run = int(next(one for one in log if one.envelope.stream.startswith("resource/")).envelope.stream.split("/")[1])
    lines = list(timeline(log, EntityRef("run", run)))
    assert lines[0].kind == "task_run_created"
    assert {name.split("/")[0] for name in streams(lines)} == {"task_run", "resource", "payment"}


@given(histories(40))
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_event_about_somebody_is_in_a_timeline(requests: tuple[AppendRequest, ...]) -> None:
    events = numbered(requests)
    categories = dict(
        zip(("task_run", "assignment", "unit", "agent", "onboarding_agent", "worker"), KINDS, strict=True)
    )
    for recorded in events:
        category, _, rest = recorded.envelope.stream.partition("/")
        if category in categories:
            subject = EntityRef(categories[category], int(rest.rpartition("/")[2]))
            assert entry_of(recorded) in list(timeline(events, subject))


def test_no_secret_and_no_personal_value_in_a_line(log: list[RecordedEvent]) -> None:
    said = "\n".join(str(entry_of(recorded)) for recorded in log)
    assert not re.search(r"token \d", said)
    for private in ("registration ", "identity", "Zoë", "thank you", "happy families"):
        assert private not in said


def test_a_line_reads_as_one(log: list[RecordedEvent]) -> None:
    worker = next(one for one in log if one.envelope.stream.startswith("worker/") and one.envelope.actor != "reviewer")
    line = entry_of(worker)
    assert str(line) == f"{line.date}  {line.stream}  {line.text} -> registered"
    assert line.date.startswith("2026-01-01 00:00:0")
