"""The view is the fold of the log: rebuilt or kept event by event, and whatever the batches were, it is the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from random import Random

import pytest
import sqlite_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mephisto_es.core.errors import UnknownEntity
from mephisto_es.core.lifecycles.world import World
from mephisto_es.core.ports import Append
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.envelope import Recorded
from mephisto_es.projections.building import differences
from mephisto_es.projections.mephisto_db import MephistoDbProjection
from mephisto_es.projections.projection import ReadPayload

from ..histories import Vault, histories, history, numbered

PROJECTION = MephistoDbProjection()


def empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    PROJECTION.create(sqlite_utils.Database(db))
    return db


def pages(events: Sequence[Recorded], cuts: Iterable[int]) -> list[Sequence[Recorded]]:
    """The events, cut where the cuts say."""
    ends = sorted({cut % len(events) for cut in cuts} | {len(events)})
    return [events[start:end] for start, end in zip([0, *ends], ends, strict=False) if events[start:end]]


def rebuilt(events: Sequence[Recorded], payload: ReadPayload, cuts: Iterable[int] = ()) -> sqlite3.Connection:
    db = empty()
    for page in pages(events, cuts):
        PROJECTION.apply(db, page, payload)
    return db


def lived(requests: Sequence[Append]) -> tuple[sqlite3.Connection, Vault]:
    """The view as a log keeps it: request by request, with the payloads there were at the time."""
    db, vault, written = empty(), Vault(), 0
    events = numbered(requests)
    for request in requests:
        vault.take(request)
        page = events[written : written + len(request.events)]
        PROJECTION.apply(db, page, vault.read)
        written += len(page)
    return db, vault


def unequal(one: sqlite3.Connection, other: sqlite3.Connection) -> list[str]:
    return [str(difference) for table in PROJECTION.tables for difference in differences(one, other, table)]


@given(histories(), st.lists(st.integers(0, 10_000), max_size=20))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_rebuilt_is_live_whatever_the_pages(requests: tuple[Append, ...], cuts: list[int]) -> None:
    live, vault = lived(requests)
    assert unequal(live, rebuilt(numbered(requests), vault.read, cuts)) == []
    assert unequal(live, rebuilt(numbered(requests), vault.read)) == []


@given(histories(), st.integers(0, 10_000))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_view_says_what_the_world_says(requests: tuple[Append, ...], cut: int) -> None:
    events = numbered(requests)
    events = events[: cut % len(events) + 1]
    world = World()
    for _, envelope in events:
        world.apply(envelope)
    db = rebuilt(events, lambda _: None, [7, 70])

    assert db.execute(
        "SELECT unit_id, status, agent_id, worker_id, pay_cents FROM units ORDER BY 1"
    ).fetchall() == sorted(
        (unit.unit, unit.status.value, unit.agent, unit.worker, unit.pay_cents) for unit in world.units.values()
    )
    assert db.execute("SELECT agent_id, status, unit_id, worker_id FROM agents ORDER BY 1").fetchall() == sorted(
        (agent.agent, agent.status.value, agent.unit, agent.worker) for agent in world.agents.values()
    )
    assert db.execute("SELECT onboarding_agent_id, status, worker_id FROM onboarding_agents ORDER BY 1").fetchall() == (
        sorted((agent.agent, agent.status.value, agent.worker) for agent in world.onboardings.values())
    )
    assert db.execute("SELECT task_run_id, status, server_url FROM task_runs ORDER BY 1").fetchall() == sorted(
        (run.task_run, run.status.value, run.url) for run in world.task_runs.values()
    )
    assert db.execute("SELECT worker_id, status FROM workers ORDER BY 1").fetchall() == sorted(
        (worker.worker, worker.status.value) for worker in world.workers.values()
    )
    held = "SELECT worker_id, qualification_id, value FROM granted_qualifications ORDER BY 1, 2"
    assert db.execute(held).fetchall() == sorted(
        (worker.worker, qualification, value)
        for worker in world.workers.values()
        for qualification, value in worker.qualifications.items()
    )
    of_runs = [envelope for _, envelope in events if envelope.stream.count("/") == 2 or "task_run/" in envelope.stream]
    assert db.execute("SELECT coalesce(sum(event_count), 0) FROM task_runs").fetchone() == (len(of_runs),)


def test_histories_hold_every_kind_of_event() -> None:
    kinds = {type(recorded.envelope.event) for seed in range(60) for recorded in numbered(history(Random(seed), 400))}
    assert {kind.__name__ for kind in KIND_OF} - {kind.__name__ for kind in kinds} == set()


def test_an_event_of_a_run_that_nobody_created_is_refused() -> None:
    events = [one for one in numbered(history(Random(1), 0)) if one.envelope.stream.startswith("assignment/")]
    with pytest.raises(UnknownEntity, match="there is no task_run/"):
        PROJECTION.apply(empty(), events, lambda _: None)
