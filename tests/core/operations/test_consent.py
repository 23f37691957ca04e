"""A run that needs consent asks for it, and a worker who withdraws it is paid and forgotten in that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Update
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.operations.services.consents import Consents
from mephisto_es.core.payloads import refs_of
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentSoftRejected, AgentSubmitted
from mephisto_es.events.engagement import ConsentGiven, ConsentRefused, ConsentWithdrawn
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.payment import PaymentOwed

from .operator_harness import HarnessTaskState, OperatorHarness, items, open_harness, page_of, until

RUN, ANN = TaskRunId(1), WorkerId(1)
TEXT = "We keep what you write for five years."


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


async def ask(router: MemoryRouter, worker: str, consent: Update | None = None, visit: int = 0) -> dict[str, Any]:
    page = page_of(worker, visit)
    return await router.request_agent(page if consent is None else {**page, "consent": consent})


def events_of(log: MemoryLog, *kinds: type) -> list[Any]:
    return [one.envelope.event for one in log.read() if isinstance(one.envelope.event, kinds)]


def version_of(harness: OperatorHarness) -> str:
    return harness.operator.ledger.state.task_runs[streams.task_run(RUN)].consent


async def test_a_page_asks_for_consent_and_gets_work_with_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path, MemoryLog()) as harness:
        await harness.launch(HarnessTaskState(data=items(3)), consent=TEXT)
        router, version = MemoryArchitect.routers[RUN], version_of(harness)
        assert len(version) == 12
        first = await ask(router, "ann")
        assert (first["agent_id"], first["needs_consent"]) == (None, True)
        refused = await ask(router, "ann", {"version": version, "given": False})
        assert (refused["agent_id"], refused["needs_consent"]) == (None, True)
        old = await ask(router, "ann", {"version": "of last year", "given": True})
        assert old["agent_id"] is None
        given = await ask(router, "ann", {"version": version, "given": True})
        assert given["agent_id"] is not None
        assert events_of(harness.log, ConsentGiven, ConsentRefused) == [
            ConsentRefused(version=version),
            ConsentGiven(version=version),
        ]
        await harness.operator.force_shutdown()


async def test_withdrawing_pays_and_deletes_what_was_sent(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path, MemoryLog()) as harness:
        await harness.launch(HarnessTaskState(data=items(3)), consent=TEXT, consent_version="2")
        router, log = MemoryArchitect.routers[RUN], harness.log
        assert version_of(harness) == "2"
        for worker in ("ann", "bob"):
            details = await ask(router, worker, {"version": "2", "given": True})
            router.submit_task(details["agent_id"], {"said": f"{worker} was here"})
        await until(harness, lambda: len(events_of(log, AgentSubmitted)) == 2)
        consents = Consents(RUN, harness.operator.ledger, harness.operator._ids, "reviewer")
        assert await consents.withdraw(ANN, "the worker asked for it") >= 1
        assert await consents.withdraw(ANN, "the worker asked for it") == 0
        [owed] = events_of(log, PaymentOwed)
        assert (owed.worker, len(events_of(log, AgentSoftRejected))) == (ANN, 1)
        assert len(events_of(log, ConsentWithdrawn)) == 1
        kept = [log.payload(ref) for event in events_of(log, AgentSubmitted) for ref in refs_of(event)]
        assert kept[0] is None
        assert b"bob was here" in (kept[1] or b"")
        again = await ask(router, "ann", visit=1)
        assert again["needs_consent"]
        with pytest.raises(CommandRefusedError, match="does not consent"):
            await harness.operator.reviewer().approve_work(
                next(iter(harness.operator.ledger.state.agents.values())).agent
            )
        await harness.operator.force_shutdown()


async def test_a_worker_withdraws_on_their_own_page(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path, MemoryLog()) as harness:
        await harness.launch(HarnessTaskState(data=items(3)), consent=TEXT, consent_version="2", language="de")
        router, log = MemoryArchitect.routers[RUN], harness.log
        details = await ask(router, "ann", {"version": "2", "given": True})
        token = details["worker_page"]
        page: Any = await router.request_worker_page(token, RUN)
        assert page["consents"] == [{"task_run": 1, "task": "A harness", "is_withdrawn": False, "is_at_work": True}], (
            "nobody withdraws in the middle of work"
        )
        assert (page["texts"]["language"], page["texts"]["texts"]["own.title"]) == ("de", "Ihre Arbeit")
        router.submit_task(details["agent_id"], {"said": "ann was here"})
        await until(harness, lambda: len(events_of(log, AgentSubmitted)) == 1)
        for stranger in (f"2-{token[2:]}", "made up", ""):
            assert await router.request_worker_page(stranger, RUN) is None
        assert events_of(log, ConsentWithdrawn) == []
        for unknown in (RUN + 1, 2**40):
            page = await router.request_worker_page(token, unknown)
            assert [consent["is_withdrawn"] for consent in page["consents"]] == [False]
        for _ in range(2):
            page = await router.request_worker_page(token, RUN)
            assert [consent["is_withdrawn"] for consent in page["consents"]] == [True]
            assert page["owed_cents"] == 10
        [withdrawn] = [one.envelope for one in log.read() if isinstance(one.envelope.event, ConsentWithdrawn)]
        assert withdrawn.actor == "worker/1"
        assert all(log.payload(ref) is None for event in events_of(log, AgentSubmitted) for ref in refs_of(event))
        await harness.operator.force_shutdown()
