"""Waits for a disk that takes long, for instance because somebody submitted megabytes.

A submission is answered once it is durable. Others wait only for what their own answers depend on.
"""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import msgspec
import pytest
import trio.testing
from msgspec import Raw

from mephisto_es.adapters.architects.router.python.http.run_page import RunPage
from mephisto_es.adapters.architects.router.python.journal.journal import Journal
from mephisto_es.adapters.architects.router.python.journal.journal_file import JournalFile
from mephisto_es.adapters.architects.router.python.operator.operator_link import LARGE_PACKET_SECONDS, PIECE_BYTES
from mephisto_es.adapters.architects.router.python.router import Router
from mephisto_es.adapters.architects.router.python.settings import RouterSettings, Secret
from mephisto_es.adapters.architects.router.python.sockets.connection import Connection

LIMIT_SECONDS = 120
TURNS = 50


class HeldDisk:
    """Holds the next durable write until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_begun = anyio.Event()
        self._released = threading.Event()
        append = JournalFile.append

        def append_when_released(file: JournalFile, text: bytes, *, durably: bool) -> None:
            if durably:
                anyio.from_thread.run_sync(self.has_begun.set)
                self._released.wait(LIMIT_SECONDS)
            append(file, text, durably=durably)

        monkeypatch.setattr(JournalFile, "append", append_when_released)

    def release(self) -> None:
        self._released.set()


class Controls:
    """The controls of a socket that is none."""

    def lift_limit(self) -> None: ...

    def ping(self) -> None: ...

    def on_pong(self, listener: Callable[[], None]) -> None: ...


class Held:
    """A router that has the submission of an agent `a`, whose write is held; the operator is attached."""

    def __init__(self, router: Router, disk: HeldDisk, submitted: anyio.Event) -> None:
        self.router = router
        self.disk = disk
        #: Set once the submission is answered.
        self.submitted = submitted
        self._operator = Connection(Controls())
        self._arrived: list[Any] = []
        router.hub.connect(self._operator)
        self.say("alive", {"token": "secret"})
        self.say("agents", {"agents": {"a": "in task", "b": "in task"}})

    def say(self, packet_type: str, data: object) -> None:
        """Send a packet of the operator."""
        packet = {"packet_type": packet_type, "subject_id": "mephisto", "data": data}
        self.router.hub.on_message(self._operator, msgspec.json.encode(packet).decode())

    def say_live_update(self, agent: str) -> None:
        """Send a live update of an agent's page."""
        page = Connection(Controls())
        self.router.hub.connect(page)
        packet = {"packet_type": "mephisto_bound_live_update", "subject_id": agent, "data": {"update_id": "1"}}
        self.router.hub.on_message(page, msgspec.json.encode(packet).decode())

    async def arrived(self) -> list[str]:
        """Return the types of the packets that the operator was sent, once nothing more follows for a while."""
        for _ in range(TURNS):
            await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0):
            while True:
                self._arrived += map(msgspec.json.decode, await self._operator.next_packets(100, 2**30))
        return [packet["packet_type"] for packet in self._arrived]

    def answer(self, agent: str | None) -> None:
        """Answer the request that arrived last."""
        asked = [packet for packet in self._arrived if packet["packet_type"] == "register_agent"][-1]
        self.say("agent_details", {"request_id": asked["data"]["request_id"], "agent_id": agent, "status": "in task"})

    async def ask(self, answered: anyio.Event) -> None:
        """Ask for an agent as a page does."""
        await self.router.page_requests.request_agent(Raw(b"{}"), None)
        answered.set()


@asynccontextmanager
async def held(folder: Path, monkeypatch: pytest.MonkeyPatch, submission: bytes = b'"x"') -> AsyncIterator[Held]:
    """A router during the write of a submission; what the test awaits runs in a task group of its own."""
    journal = Journal.open(folder, max_outbox_bytes=10**8, new_incarnation=lambda: "first")
    settings = RouterSettings(data=str(folder))
    numbers = count(1)
    router = Router(
        settings,
        Secret("secret"),
        RunPage(None),
        journal,
        clock=lambda: 1.0,
        monotonic=lambda: 1.0,
        new_id=lambda: str(next(numbers)),
    )
    disk, submitted = HeldDisk(monkeypatch), anyio.Event()

    async def submit() -> None:
        await router.page_requests.submit("submit_unit", "a", Raw(b'{"final_data":%b}' % submission), None)
        submitted.set()

    with anyio.fail_after(LIMIT_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(router.run)
            one = Held(router, disk, submitted)
            await journal.wait_agents_written()
            tasks.start_soon(submit)
            await disk.has_begun.wait()
            try:
                yield one
                disk.release()
                await submitted.wait()
            finally:
                disk.release()
            assert "submit_unit" in await one.arrived()
            tasks.cancel_scope.cancel()
    await router.close_journal()


@pytest.mark.parametrize("agent", [None, "b"], ids=["no agent", "an agent that is known"])
async def test_a_request_is_answered_while_a_submission_of_others_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str | None
) -> None:
    async with held(tmp_path, monkeypatch) as router, anyio.create_task_group() as tasks:
        answered = anyio.Event()
        tasks.start_soon(router.ask, answered)
        assert "register_agent" in await router.arrived()
        router.answer(agent)
        await answered.wait()
        assert not router.submitted.is_set()
        assert "submit_unit" not in await router.arrived()


async def test_an_agent_that_was_just_given_is_told_once_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(tmp_path, monkeypatch) as router, anyio.create_task_group() as tasks:
        answered = anyio.Event()
        tasks.start_soon(router.ask, answered)
        await router.arrived()
        router.answer("c")
        await router.arrived()
        assert not answered.is_set()
        router.disk.release()
        await answered.wait()
        assert b'{"agent":"c","status":"in task"}' in (tmp_path / "journal-first.jsonl").read_bytes()


async def test_a_request_comes_after_the_live_updates_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with held(tmp_path, monkeypatch) as router, anyio.create_task_group() as tasks:
        router.say_live_update("b")
        tasks.start_soon(router.ask, anyio.Event())
        assert "register_agent" not in await router.arrived()
        router.disk.release()
        while "register_agent" not in (arrived := await router.arrived()):
            pass
        assert arrived.index("mephisto_bound_live_update") < arrived.index("register_agent")
        router.answer("b")


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_large_submission_is_answered_once_the_operator_has_committed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock, is_committed: bool
) -> None:
    async with held(tmp_path, monkeypatch, b'"%b"' % (b"x" * PIECE_BYTES)) as router:
        router.disk.release()
        while "submit_unit" not in await router.arrived():
            pass
        assert not router.submitted.is_set()
        if is_committed:
            router.say("ack", {"incarnation": "first", "seq": 1})
        else:
            mock_clock.jump(LARGE_PACKET_SECONDS)
        await router.submitted.wait()


async def test_other_submissions_are_answered_once_they_are_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    async with held(tmp_path, monkeypatch) as router:
        router.disk.release()
        await router.submitted.wait()
