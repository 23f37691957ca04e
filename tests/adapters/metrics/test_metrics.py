"""Metrics of an operator."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.metrics.endpoint import serve_metrics
from mephisto_es.adapters.metrics.operator_metrics import OperatorMetrics
from mephisto_es.core.commands.pending import AnyRequest
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.engagement import WorkerRefused, WorkStarted
from mephisto_es.events.onboarding import OnboardingStarted
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...commands import TEST_DECISIONS, append
from ...histories import history, numbered
from ...sample_log import DONE, UNITS, sample_history

GIVE_UP_SECONDS = 300
#: Mephisto's, and ours.
NAMES = {
    "active_unit_statuses",
    "active_agent_statuses",
    "agent_details_responses",
    "worker_pool_onboarding_outcomes",
    "worker_pool_active_onboardings",
    "database_latency_seconds",
    "mephisto_es_commit_commands",
    "mephisto_es_events",
    "mephisto_es_queue_commands",
    "mephisto_es_refused",
    "mephisto_es_projection_lag_events",
}
#: Many more values would be a label that grows with the run.
MAX_SERIES = 150

Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def request_of(written: AppendRequest) -> AnyRequest:
    return append(written.command, *written.events, actor=written.actor, payloads=written.payloads)


class Watched:
    """An operator's ledger, and what is told of it."""

    def __init__(self, ledger: Ledger, client: httpx.AsyncClient) -> None:
        self.ledger = ledger
        self.client = client

    async def told(self) -> Told:
        page = await self.client.get("/metrics")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(page.text)
        return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@asynccontextmanager
async def watched(path: Path) -> AsyncIterator[Watched]:
    with trio.fail_after(GIVE_UP_SECONDS), SqliteLog.create_or_open(path, PROJECTIONS) as log:
        metrics = OperatorMetrics()
        ledger = Ledger(log, SystemClock(), metrics.timed(commit_in_thread), TEST_DECISIONS)
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            port = await nursery.start(serve_metrics, metrics, ledger, log, "127.0.0.1", 0)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield Watched(ledger, client)
            nursery.cancel_scope.cancel()


def value(told: Told, name: str, **labels: str) -> float:
    return told[name, frozenset(labels.items())]


async def test_a_run_as_it_goes_on(tmp_path: Path) -> None:
    requests = sample_history()
    async with watched(tmp_path / "mephisto.db") as operator:
        nothing = await operator.told()
        assert value(nothing, "active_unit_statuses", status="launched", unit_type="standard") == 0
        assert value(nothing, "agent_details_responses_total", response="no_available_units") == 0
        for request in requests:
            operator.ledger.submit(request_of(request))
        assert operator.ledger.waiting == len(requests)
        assert value(await operator.told(), "mephisto_es_queue_commands") in range(len(requests) + 1)
        await operator.ledger.execute(append("last"))
        told = await operator.told()
        assert value(told, "mephisto_es_queue_commands") == 0
        assert value(told, "active_unit_statuses", status="completed", unit_type="standard") == DONE
        assert value(told, "active_unit_statuses", status="launched", unit_type="standard") == UNITS - DONE - 1
        assert value(told, "active_agent_statuses", status="in task", agent_type="main") == 1
        assert value(told, "agent_details_responses_total", response="assigned") == DONE + 2
        assert value(told, "mephisto_es_events_total") == len(numbered(requests))
        commits = value(told, "database_latency_seconds_count", method="commit")
        assert 0 < commits == value(told, "mephisto_es_commit_commands_count")
        assert value(told, "mephisto_es_commit_commands_sum") == len(requests)
        assert 0 < value(told, "database_latency_seconds_sum", method="commit") < GIVE_UP_SECONDS
        assert value(told, "mephisto_es_projection_lag_events", projection="mephisto_db") == 0


async def test_what_was_before_is_counted_and_figures_agree_with_the_view(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    requests = history(Random(3), 1500)
    half = len(requests) // 2
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(requests[:half])
    async with watched(path) as operator:
        for request in requests[half:]:
            await operator.ledger.execute(request_of(request))
        told = await operator.told()
        db = MephistoDB(operator.ledger.log.connect())  # type: ignore[attr-defined]  # it is an SqliteLog
        units = Counter(unit.status for unit in db.find_units())
        for status, count in units.items():
            assert value(told, "active_unit_statuses", status=status, unit_type="standard") == count
        agents = Counter(agent.status for agent in db.find_agents())
        for status, count in agents.items():
            assert value(told, "active_agent_statuses", status=status, agent_type="main") == count
        onboardings = [agent.status for agent in db.find_onboarding_agents()]
        live = sum(status in ("onboarding", "waiting") for status in onboardings)
        assert value(told, "worker_pool_active_onboardings") == live
        since = [one.envelope.event for one in numbered(requests)[-int(value(told, "mephisto_es_events_total")) :]]
        for response, kind in (("assigned", WorkStarted), ("assigned_onboarding", OnboardingStarted)):
            counted = sum(isinstance(event, kind) for event in since)
            assert value(told, "agent_details_responses_total", response=response) == counted
        refusals = Counter(event.reason.name.lower() for event in since if isinstance(event, WorkerRefused))
        for response, count in refusals.items():
            assert value(told, "agent_details_responses_total", response=response) == count


async def test_names_are_kept_and_labels_are_bounded(tmp_path: Path) -> None:
    async with watched(tmp_path / "mephisto.db") as operator:
        before = await operator.told()
        for request in history(Random(3), 600):
            await operator.ledger.execute(request_of(request))
        after = await operator.told()
        text = (await operator.client.get("/metrics")).text
    assert {family.name for family in text_string_to_metric_families(text)} >= NAMES
    assert len(after) <= len(before) + 5 < MAX_SERIES
    assert not any({"run", "worker_id", "unit", "agent"} & {name for name, _ in labels} for _, labels in after)


async def test_nothing_else_is_answered(tmp_path: Path) -> None:
    async with watched(tmp_path / "mephisto.db") as operator:
        assert (await operator.client.get("/")).status_code == 404
        assert (await operator.client.post("/metrics")).status_code == 405
        head = await operator.client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")
        for words in (b"not http at all\r\n\r\n", b"GET /metrics HTTP/1.1\r\n\r\n", b""):
            stream = await trio.open_tcp_stream("127.0.0.1", operator.client.base_url.port or 0)
            async with stream:
                if words:
                    await stream.send_all(words)
                await stream.send_eof()
                assert b"database_latency" not in await stream.receive_some(65_536)
        assert await operator.told()


async def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, SqliteLog.create_or_open(tmp_path / "a.db") as log:
        port = taken.getsockname()[1]
        async with trio.open_nursery() as nursery:
            with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1: .*mephisto.metrics.port"):
                await nursery.start(
                    serve_metrics,
                    OperatorMetrics(),
                    Ledger(log, SystemClock(), commit_in_thread),
                    log,
                    "127.0.0.1",
                    port,
                )
