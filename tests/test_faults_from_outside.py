"""Faults from outside: a running operator returns to full service or stops clearly, and loses nothing it promised."""

import os
import resource
import signal
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection

from mephisto_es.adapters.channels import connection, websocket
from mephisto_es.adapters.channels.dial import dial
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.crowd.outcome_check import check_outcome
from mephisto_es.adapters.crowd.sentence_rating import configuration, sentences
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from .processes import (
    GIVE_UP_SECONDS,
    Gate,
    OperatorProcess,
    launched,
    no_router_is_left,
    rating,
    resumed,
    some_sentences,
)
from .test_resume import refused

__all__ = ["no_router_is_left"]

pytestmark = pytest.mark.usefixtures("no_router_is_left")

UNITS = 12
CROWD = 4
TASK = "sentence-rating"
LOG_FILES = (DATABASE_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm")


class People:
    """A crowd that goes on whatever becomes of the operator, and does not leave."""

    def __init__(self, url: str) -> None:
        bots = draw_bots(Random(2), CROWD, self.rate, returning=0, disconnecting=0, think_seconds=0.2)
        self.gate = Gate()
        self.crowd = Crowd(
            url,
            bots,
            before_submission=self.gate.pass_one,
            on_submitted=self.gate.count,
            patience_seconds=GIVE_UP_SECONDS,
            retry_seconds=GIVE_UP_SECONDS,
        )

    @staticmethod
    def rate(data: object, rng: Random) -> object:
        return {"rating": rating(data, rng), "comment": f"{rng.getrandbits(64):x}"}

    async def check(self, data_dir: Path) -> None:
        """All is done once, and all that was promised is there."""
        ending = await check_outcome(data_dir, self.crowd.submissions)
        assert ending.units == {TASK: {"completed": UNITS}}
        assert ending.acknowledged == UNITS
        assert list(ending.faults()) == []


@asynccontextmanager
async def people_at(script: OperatorProcess) -> AsyncIterator[People]:
    people = People(script.url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(people.crowd.run)
        yield people
        nursery.cancel_scope.cancel()


async def stopped(script: OperatorProcess, capfd: pytest.CaptureFixture[str]) -> str:
    """A script that cannot continue says so in one sentence, without a traceback."""
    assert await script.process.wait() == 1
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


async def test_an_operator_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script, people_at(script) as people:
        await people.gate.submit(2)
        await people.gate.queue(CROWD)
        script.process.send_signal(signal.SIGSTOP)
        await people.gate.submit(2)  # to the router, which knows nothing of it
        # Nobody takes its place: it may wake up at any moment.
        code, said = refused(data_dir, "1")
        assert (code, f"is being written by process {script.process.pid}" in said) == (2, True)
        script.process.send_signal(signal.SIGCONT)
        people.gate.open()
        assert await script.process.wait() == 0
    await people.check(data_dir)


async def test_a_unit_that_was_given_to_nobody_is_offered_again(tmp_path: Path) -> None:
    """An operator that was stopped answers a page that was told to try again, and has not."""
    data_dir = tmp_path / "data"
    limits = ["mephisto.architect.request_deadline_seconds=0.5", "mephisto.architect.heartbeat_limit_seconds=1"]
    async with launched(data_dir, some_sentences(tmp_path, 1), *limits) as script:
        script.process.send_signal(signal.SIGSTOP)
        who = {"worker_name": "ann", "agent_registration_id": "ann-1", "provider_type": "mock"}
        async with httpx.AsyncClient(base_url=script.url, trust_env=False) as page:
            answer = await page.post("/request_agent", json={"provider_data": who, "client_timestamp": time.time()})
        assert answer.json()["data"]["agent_id"] is None
        script.process.send_signal(signal.SIGCONT)
        async with people_at(script) as people:
            people.gate.open()
            assert await script.process.wait() == 0
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        # Nor did the crowd get an agent, where the operator needed longer than the deadline again.
        *lost, last = [agent.status for agent in db.find_agents()]
        assert (set(lost), last) == ({"disconnect"}, "completed")
        assert [unit.status for unit in db.find_units()] == ["completed"]


async def test_a_database_that_is_taken_away_stops_the_operator(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data_dir, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script, people_at(script) as people:
        await people.gate.submit(3)
        for name in LOG_FILES:
            (data_dir / name).rename(elsewhere / name)
        people.gate.open()
        assert "was removed or replaced while it was being written; put it back" in await stopped(script, capfd)
        for file in elsewhere.iterdir():
            file.rename(data_dir / file.name)
        async with resumed(data_dir) as operator:
            assert await operator.process.wait() == 0
    await people.check(data_dir)


async def test_a_log_whose_end_is_cut_off_stops_the_operator(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script, people_at(script) as people:
        await people.gate.submit(2)
        os.truncate(data_dir / f"{DATABASE_FILE}-wal", 0)
        people.gate.open()
        # It says so before it writes more, or when it has to read what is gone.
        assert "mephisto-es verify" in await stopped(script, capfd)


async def test_a_full_disk_stops_the_operator(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script, people_at(script) as people:
        await people.gate.submit(3)
        size = sum((data_dir / name).stat().st_size for name in LOG_FILES)
        resource.prlimit(script.process.pid, resource.RLIMIT_FSIZE, (size // 3, resource.RLIM_INFINITY))
        people.gate.open()
        assert str(data_dir / DATABASE_FILE) in await stopped(script, capfd)
        async with resumed(data_dir) as operator:
            assert await operator.process.wait() == 0
    await people.check(data_dir)


class Wire:
    """A way to wherever somebody wants to go. It can be cut without either end being told: it carries nothing more."""

    def __init__(self) -> None:
        self._cut = trio.Event()
        self._to = ("", 0)
        self._port = 0
        self.connections = 0

    async def open(self, nursery: trio.Nursery) -> None:
        listeners = await nursery.start(trio.serve_tcp, self._carry, 0)
        self._port = listeners[0].socket.getsockname()[1]

    def dial(self, url: str, ssl_context: ssl.SSLContext | None) -> AbstractAsyncContextManager[WebSocketConnection]:
        """As the channels' own, but over this wire."""
        address = urlsplit(url)
        self._to = (address.hostname or "", address.port or 80)
        return dial(f"ws://localhost:{self._port}/", ssl_context)

    def cut(self) -> None:
        """Carry nothing more of what is connected now; who connects later is served."""
        self._cut.set()
        self._cut = trio.Event()

    async def _carry(self, near: trio.SocketStream) -> None:
        self.connections += 1
        cut = self._cut
        async with await trio.open_tcp_stream(*self._to) as far, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, near, far, cut)
            nursery.start_soon(self._pass_on, far, near, cut)

    @staticmethod
    async def _pass_on(source: trio.SocketStream, target: trio.SocketStream, cut: trio.Event) -> None:
        with suppress(trio.BrokenResourceError):
            async for chunk in source:
                if cut.is_set():
                    await trio.sleep_forever()
                await target.send_all(chunk)
            await target.send_eof()


async def test_a_network_that_goes_silent_is_noticed_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_INTERVAL_SECONDS", 0.5)
    monkeypatch.setattr(connection, "PING_TIMEOUT_SECONDS", 0.5)
    data_dir, wire = tmp_path / "data", Wire()
    monkeypatch.setattr(websocket, "dial", wire.dial)
    with trio.fail_after(GIVE_UP_SECONDS):
        async with trio.open_nursery() as nursery:
            await wire.open(nursery)
            async with open_operator(data_dir) as operator:
                run = await operator.launch_task_run_or_die(configuration("python").mephisto, sentences(UNITS))
                people = People(operator.get_running_task_runs()[run].url)
                nursery.start_soon(people.crowd.run)
                await people.gate.submit(2)
                wire.cut()
                people.gate.open()
                await operator.wait_for_runs_then_shutdown(log_rate=None)
            nursery.cancel_scope.cancel()
    assert wire.connections > 1
    await people.check(data_dir)
