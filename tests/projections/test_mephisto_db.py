"""The view is the fold of the log: kept event by event or rebuilt, whatever the pages were, it is the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted, AgentApproved, AgentBonusGranted
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import (
    AgentId,
    AssignmentId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)
from mephisto_es.events.records import QualificationCreated
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerErased,
    WorkerRegistered,
)
from mephisto_es.projections.engine.rebuild import differences

from ..histories import histories, history, numbered
from ..history_generator import ONLY_BY_PEOPLE
from .views import PROJECTION, empty, lived, rebuilt

slowly = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
CUTS = st.lists(st.integers(0, 10_000), max_size=20)


def unequal(one: sqlite3.Connection, other: sqlite3.Connection) -> list[str]:
    return [str(difference) for table in PROJECTION.tables for difference in differences(one, other, table)]


def rows(db: sqlite3.Connection, query: str) -> list[tuple[object, ...]]:
    return db.execute(query).fetchall()


@given(histories(), CUTS)
@slowly
def test_rebuilt_is_live_whatever_the_pages(requests: tuple[AppendRequest, ...], cuts: list[int]) -> None:
    assert_rebuilt_is_live(requests, cuts)


@given(histories(), st.integers(0, 10_000), CUTS)
@slowly
def test_the_view_says_what_the_world_says(requests: tuple[AppendRequest, ...], until: int, cuts: list[int]) -> None:
    events = numbered(requests)
    assert_view_is_world(events[: until % len(events) + 1], cuts)


@pytest.mark.parametrize("seed", range(12))
def test_both_hold_in_long_histories(seed: int) -> None:
    random = Random(seed)
    requests = history(random, 1000)
    cuts = [random.randrange(10_000) for _ in range(100)]
    assert_rebuilt_is_live(requests, cuts)
    assert_view_is_world(numbered(requests), cuts)


def assert_rebuilt_is_live(requests: tuple[AppendRequest, ...], cuts: Iterable[int]) -> None:
    live, store = lived(requests)
    assert unequal(live, rebuilt(numbered(requests), store.read, cuts)) == []
    assert unequal(live, rebuilt(numbered(requests), store.read)) == []


def assert_view_is_world(events: list[RecordedEvent], cuts: Iterable[int]) -> None:
    world = EntityStates()
    for _, envelope in events:
        world.apply(envelope)
    db = rebuilt(events, lambda _: None, cuts)

    of_units = "unit_id, assignment_id, unit_index, status, agent_id, worker_id, pay_cents"
    assert rows(db, f"SELECT {of_units} FROM units ORDER BY 1") == [
        (unit.unit, unit.assignment, unit.index, unit.status.value, unit.agent, unit.worker, unit.pay_cents)
        for unit in sorted(world.units.values(), key=lambda unit: unit.unit)
    ]
    assert rows(db, "SELECT agent_id, status, unit_id, assignment_id, worker_id FROM agents ORDER BY 1") == [
        (agent.agent, agent.status.value, agent.unit, agent.assignment, agent.worker)
        for agent in sorted(world.agents.values(), key=lambda agent: agent.agent)
    ]
    assert rows(db, "SELECT onboarding_agent_id, status, worker_id FROM onboarding_agents ORDER BY 1") == [
        (agent.agent, agent.status.value, agent.worker)
        for agent in sorted(world.onboardings.values(), key=lambda agent: agent.agent)
    ]
    assert rows(db, "SELECT task_run_id, status, server_url, assignment_count FROM task_runs ORDER BY 1") == [
        (run.task_run, run.status.value, run.url, run.assignments)
        for run in sorted(world.task_runs.values(), key=lambda run: run.task_run)
    ]
    assert rows(db, "SELECT worker_id, status FROM workers ORDER BY 1") == [
        (worker.worker, worker.status.value) for worker in sorted(world.workers.values(), key=lambda one: one.worker)
    ]
    assert rows(db, "SELECT worker_id, qualification_id, value FROM granted_qualifications ORDER BY 1, 2") == [
        (worker.worker, qualification, value)
        for worker in sorted(world.workers.values(), key=lambda one: one.worker)
        for qualification, value in sorted(worker.qualifications.items())
    ]
    of_runs = [one for one in events if streams.partition_of(one.envelope.stream) != streams.DIRECTORY]
    assert rows(db, "SELECT coalesce(sum(event_count), 0) FROM task_runs") == [(len(of_runs),)]


def test_histories_hold_every_kind_of_event() -> None:
    kinds = {type(recorded.envelope.event) for seed in range(60) for recorded in numbered(history(Random(seed), 400))}
    assert set(KIND_OF) - kinds == set(ONLY_BY_PEOPLE)


def test_an_event_of_a_run_that_nobody_created_is_refused() -> None:
    events = [one for one in numbered(history(Random(1), 0)) if one.envelope.stream.startswith("assignment/")]
    with pytest.raises(UnknownEntityError, match="there is no run-"):
        PROJECTION.apply(empty(), events, lambda _: None)


WORKER, RUN, AGENT = WorkerId(7), TaskRunId(1), AgentId(3)
NAME = seal(b"Ana", bytes(16), WORKER)


def request(*events: NewEvent) -> AppendRequest:
    return AppendRequest(
        command=str(events), actor="operator", at=1_767_225_600_123_456, events=events, payloads=(NAME,)
    )


def registered() -> NewEvent:
    return NewEvent(
        streams.worker(WORKER),
        WorkerRegistered(worker=WORKER, provider_type="mock", name=NAME.ref, identity="somebody"),
    )


def of_worker(
    *events: QualificationGranted | QualificationChanged | QualificationRevoked | WorkerErased,
) -> list[NewEvent]:
    return [NewEvent(streams.worker(WORKER), event) for event in events]


def test_dates_are_as_mephisto_writes_them() -> None:
    db, _ = lived([request(registered())])
    assert rows(db, "SELECT * FROM workers") == [(7, "Ana", "mock", "2026-01-01 00:00:00.123", "registered")]


def test_a_forgotten_worker_has_no_name_and_no_notes_or_reasons_but_later_ones() -> None:
    early, late = seal(b"very good", bytes(16), WORKER), seal(b"looked again", bytes(16))
    run = TaskRunCreated(
        task_run=RUN,
        task=TaskId(1),
        requester=RequesterId(1),
        blueprint_type="static_task",
        architect_type="mock",
        provider_type="inhouse",
        config="{}",
    )
    accepted = AgentAccepted(
        agent=AGENT, unit=UnitId(1), assignment=AssignmentId(1), worker=WORKER, token="t", registration="r"
    )
    agent = streams.agent(RUN, AGENT)
    events = (
        registered(),
        NewEvent(streams.task_run(RUN), run),
        NewEvent(agent, accepted),
        NewEvent(agent, AgentApproved(note=early.ref, bonus_cents=50)),
        NewEvent(agent, AgentBonusGranted(bonus_cents=20, reason=early.ref)),
        *of_worker(WorkerErased(reason="asked for it")),
        NewEvent(agent, AgentBonusGranted(bonus_cents=30, reason=late.ref)),
        NewEvent(agent, AgentApproved(note=late.ref)),
    )
    kept = {payload.ref.sha256: payload.body for payload in (NAME, early, late)}
    for cuts in (range(0), range(8)):
        db = rebuilt(numbered([request(*events)]), lambda ref: kept.get(ref.sha256), cuts)
        assert rows(db, "SELECT worker_name, status FROM workers") == [(None, "erased")]
        assert rows(db, "SELECT review_note, bonus, unit_id, worker_id FROM unit_review ORDER BY id") == [
            (None, 50, 1, 7),
            ("looked again", None, 1, 7),
        ]
        assert rows(db, "SELECT agent_id, bonus_cents, reason FROM agent_bonuses ORDER BY agent_bonus_id") == [
            (3, 50, None),
            (3, 20, None),
            (3, 30, "looked again"),
        ]


@pytest.mark.parametrize("cuts", [range(0), range(9)], ids=["one page", "a page each"])
def test_a_qualification_keeps_its_date_until_it_is_revoked(cuts: Iterable[int]) -> None:
    qualification = QualificationId(2)
    created = QualificationCreated(qualification=qualification, name="reads French")
    events = [
        registered(),
        NewEvent(streams.qualification(qualification), created),
        *of_worker(
            QualificationGranted(qualification=qualification, value=1),
            QualificationChanged(qualification=qualification, value=2),
            QualificationRevoked(qualification=qualification, reason="a mistake"),
            QualificationGranted(qualification=qualification, value=3),
            QualificationChanged(qualification=qualification, value=4),
        ),
    ]
    db = rebuilt(numbered([request(event) for event in events]), lambda _: None, cuts)
    query = "SELECT granted_qualification_id, worker_id, qualification_id, value FROM granted_qualifications"
    assert rows(db, query) == [(6, 7, 2, 4)]
