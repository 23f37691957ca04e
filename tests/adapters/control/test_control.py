"""Commands of people while a run is live: the real script, the real router, the real command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.control.client import ask_to_yield, open_control
from mephisto_es.adapters.control.protocol import MAX_LINE_BYTES, author_of, socket_path
from mephisto_es.adapters.control.reviews import content_key, record_verdicts
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import CommandRefusedError, ConfigError, UnusableLogError
from mephisto_es.core.operations.control.requests import (
    BlockRequest,
    BonusRequest,
    PauseRequest,
    RetryRequest,
    VerdictRequest,
)
from mephisto_es.events.agent import AgentApproved
from mephisto_es.events.ids import AgentId, TaskRunId, WorkerId
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.events.task_run import TaskRunPaused
from mephisto_es.events.worker import WorkerBlocked
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...ports import free_port
from ...processes import COMMAND, Gate, OperatorProcess, end_routers, launched, resumed, some_sentences, status_of_run

UNITS = 40


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """Return a data folder, and end the routers that paused runs leave running."""
    folder = tmp_path / "data"
    yield folder
    end_routers(folder)


def run_verb(*words: object, code: int = 0) -> str:
    """Run a verb of the command line; what it prints."""
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def completed(data_dir: Path) -> list[AgentId]:
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        return [AgentId(agent.agent_id) for agent in db.find_agents(status="completed")]


async def some_work(script: OperatorProcess, data_dir: Path, count: int) -> list[AgentId]:
    """Let a crowd submit some work, and leave."""
    gate = Gate()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(script.crowd(gate).run)
        await gate.submit(count)
        nursery.cancel_scope.cancel()
    # The router has answered the worker; the operator may still have to write it.
    while len(agents := completed(data_dir)) < count:  # noqa: ASYNC110 - another process writes the log
        await trio.sleep(0.05)
    return agents[:count]


async def test_people_decide_while_a_run_is_live(tmp_path: Path, data_dir: Path) -> None:
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script:
        first, second, third = await some_work(script, data_dir, 3)
        said = await trio.to_thread.run_sync(
            lambda: run_verb("review", data_dir, 1, "--approve", f"agent-{first}", "--bonus", "0.50", "--as", "ann")
        )
        assert said == f"agent-{first}: approved, bonus 0.50\n"
        said = await trio.to_thread.run_sync(
            lambda: run_verb("review", data_dir, 1, "--approve", f"agent-{first}", "--bonus", "0.50", "--as", "ann")
        )
        assert said == f"agent-{first}: approved, bonus 0.50  (recorded before)\n"
        await trio.to_thread.run_sync(
            lambda: run_verb(
                "review", data_dir, 1, "--reject", f"agent-{second}", "--approve", f"agent-{third}", "--note", "seen"
            )
        )
        bonus = ("worker", data_dir, "worker-1", "--bonus", "0.25", "--reason", "found a mistake")
        assert ": bonus of 0.25 for unit-" in await trio.to_thread.run_sync(lambda: run_verb(*bonus))
        assert "was given before" in await trio.to_thread.run_sync(lambda: run_verb(*bonus))
        assert ": bonus of 0.25 for unit-" in await trio.to_thread.run_sync(lambda: run_verb(*bonus, "--again"))
        await trio.to_thread.run_sync(lambda: run_verb("worker", data_dir, "worker-2", "--block", "at random"))
        paid = json.loads(await trio.to_thread.run_sync(lambda: run_verb("pay", data_dir, 1, "--yes", "--json")))
        assert paid["paid"] is True
        assert paid["to_pay"] == []
        said = await trio.to_thread.run_sync(lambda: run_verb("pause", data_dir, 1, "--now", "--as", "bob"))
        assert said == f"run-1 is paused; `mephisto-es resume {data_dir}` continues it\n"
        assert await script.process.wait() == 0
    assert status_of_run(data_dir) == "paused"
    with LogReader(data_dir / DATABASE_FILE) as log:
        events = [recorded.envelope for recorded in log.read()]
    approvals = {one.stream: one.actor for one in events if isinstance(one.event, AgentApproved)}
    assert approvals[f"agent/1/{first}"] == "user/ann"
    assert approvals[f"agent/1/{third}"] == author_of()
    assert [one.actor for one in events if isinstance(one.event, WorkerBlocked)] == [author_of()]
    bonuses = [one.event.amount_cents for one in events if isinstance(one.event, PaymentOwed)]
    assert Counter(bonuses)[25] == 2
    assert [(one.event.reason, one.actor) for one in events if isinstance(one.event, TaskRunPaused)] == [
        ("paused by hand", "user/bob")
    ]
    assert replay(data_dir / DATABASE_FILE, PROJECTIONS).legal


async def test_a_paused_run_is_ended_and_reopened_without_its_operator(tmp_path: Path, data_dir: Path) -> None:
    async with launched(data_dir, some_sentences(tmp_path, 3)) as script:
        script.process.send_signal(signal.SIGTERM)
        assert await script.process.wait() == 0
    assert status_of_run(data_dir) == "paused"
    assert "run-1 has ended\n" in run_verb("end", data_dir, 1, "--reason", "enough")
    assert status_of_run(data_dir) == "completed"
    assert f"cannot be resumed; `mephisto-es reopen {data_dir}` puts back" in run_verb("resume", data_dir, 1, code=1)
    assert "run 1 has ended: there is nothing to pause" in run_verb("pause", data_dir, 1, code=1)
    assert run_verb("reopen", data_dir, 1) == f"run-1 is open again; `mephisto-es resume {data_dir}` continues it\n"
    async with resumed(data_dir) as operator:
        crowd = await operator.work_to_the_end()
    assert crowd.summary().submissions == 3
    assert status_of_run(data_dir) == "completed"
    assert replay(data_dir / DATABASE_FILE, PROJECTIONS).legal


async def test_a_request_that_is_repeated_after_a_lost_answer_happens_once(tmp_path: Path, data_dir: Path) -> None:
    database = data_dir / DATABASE_FILE
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script:
        agents = await some_work(script, data_dir, 4)
        verdicts = [VerdictRequest(agent=agent, verdict=Verdict.APPROVED) for agent in agents]
        with trio.move_on_after(0.01):
            await record_verdicts(database, "user/ann", verdicts)
        await script.kill()
    for _ in range(2):  # without an operator: the log itself is opened
        assert (await record_verdicts(database, "user/ann", verdicts)).recorded == len(verdicts)
    with LogReader(database) as log:
        approved = Counter(one.envelope.stream for one in log.read() if isinstance(one.envelope.event, AgentApproved))
    assert approved == {f"agent/1/{agent}": 1 for agent in agents}


async def test_requests_of_many_reviewers_share_the_log_without_an_operator(tmp_path: Path, data_dir: Path) -> None:
    database = data_dir / DATABASE_FILE
    async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script:
        agents = await some_work(script, data_dir, 4)
        await script.kill()
    recorded: list[int] = []

    async def review(agent: AgentId) -> None:
        verdict = VerdictRequest(agent=agent, verdict=Verdict.APPROVED)
        recorded.append((await record_verdicts(database, f"user/{agent}", [verdict])).recorded)

    async with trio.open_nursery() as nursery:
        for agent in agents:
            nursery.start_soon(review, agent)
    assert recorded == [1] * len(agents)


async def test_what_is_refused_is_refused_with_its_reason(tmp_path: Path, data_dir: Path) -> None:
    async with (
        launched(data_dir, some_sentences(tmp_path, 3)) as script,
        open_control(data_dir / DATABASE_FILE, "user/ann") as control,
    ):
        with pytest.raises(CommandRefusedError, match="there is no worker"):
            await control.execute(BlockRequest(worker=WorkerId(99), reason="nobody"))
        with pytest.raises(CommandRefusedError, match="there is no run-7"):
            await control.execute(PauseRequest(task_run=TaskRunId(7), reason="x"))
        with pytest.raises(CommandRefusedError, match="run 7 is not live"):
            await control.execute(RetryRequest(task_run=TaskRunId(7)))
        await control.execute(RetryRequest(task_run=TaskRunId(1)))
        mode = socket_path(data_dir / DATABASE_FILE).stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        script.process.send_signal(signal.SIGTERM)
        assert await script.process.wait() == 0
    assert not socket_path(data_dir / DATABASE_FILE).exists()


async def test_what_a_live_run_refuses_is_counted(tmp_path: Path, data_dir: Path) -> None:
    port = free_port()
    async with launched(data_dir, some_sentences(tmp_path, 3), f"mephisto.metrics.port={port}") as script:
        async with httpx.AsyncClient() as client:
            for _ in range(2):
                forged = {"USED_AGENT_ID": "a guess", "final_data": 1}
                assert (await client.post(f"{script.url}/submit_task", json=forged)).status_code == 403
            metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        assert 'mephisto_es_refused{reason="router: unknown_agent"} 2.0' in metrics
        said = await trio.to_thread.run_sync(lambda: run_verb("status", data_dir, 1))
        assert "refused  router: unknown_agent 2" in said
        told = json.loads(await trio.to_thread.run_sync(lambda: run_verb("status", data_dir, 1, "--json")))
        assert told["refused"] == {"router: unknown_agent": 2}
        script.process.send_signal(signal.SIGTERM)
        assert await script.process.wait() == 0
    told = json.loads(await trio.to_thread.run_sync(lambda: run_verb("status", data_dir, 1, "--json")))
    assert told["refused"] is None


async def test_nonsense_on_the_socket_harms_nobody(tmp_path: Path, data_dir: Path) -> None:
    path = socket_path(data_dir / DATABASE_FILE)
    async with launched(data_dir, some_sentences(tmp_path, 3)) as script:
        for nonsense in (
            b"\xff\xfe\n",
            b"{}\n",
            b'{"id": 1, "request": {"request": "burn"}}\n',
            b"x" * (MAX_LINE_BYTES + 1),
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(os.fspath(path))
                try:
                    connection.sendall(nonsense)
                    connection.settimeout(120)
                    assert connection.recv(10) == b""
                except (BrokenPipeError, ConnectionResetError):
                    pass
        async with open_control(data_dir / DATABASE_FILE, "user/ann") as control:
            with pytest.raises(CommandRefusedError, match="there is no worker"):
                await control.execute(BlockRequest(worker=WorkerId(99), reason="nobody"))
        await script.kill()


async def test_a_client_that_leaves_before_its_answer_harms_nobody(tmp_path: Path, data_dir: Path) -> None:
    async with launched(data_dir, some_sentences(tmp_path, 3)) as script:
        script.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            await ask_to_yield(data_dir / DATABASE_FILE, limit_seconds=0.2)
            with trio.move_on_after(0.2):
                await record_verdicts(
                    data_dir / DATABASE_FILE, "user/ann", [VerdictRequest(agent=AgentId(1), verdict=Verdict.APPROVED)]
                )
        script.process.send_signal(signal.SIGCONT)
        async with open_control(data_dir / DATABASE_FILE, "user/ann") as control:
            with pytest.raises(CommandRefusedError, match="there is no worker"):
                await control.execute(BlockRequest(worker=WorkerId(99), reason="nobody"))
        await script.kill()


async def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match="check the path"):
        async with open_control(tmp_path / DATABASE_FILE, "user/ann"):
            raise AssertionError("there is nothing to open")


def test_the_socket_of_a_long_path_is_short(tmp_path: Path) -> None:
    long = tmp_path.joinpath(*["a folder with a long name"] * 6) / DATABASE_FILE
    assert len(os.fsencode(socket_path(long))) < 108
    assert socket_path(long) != socket_path(long.with_name("other.db"))
    assert socket_path(Path("/data/mephisto.db")) == Path("/data/mephisto.db.sock")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65])
def test_what_is_no_name_of_an_author(name: str) -> None:
    with pytest.raises(ConfigError, match="an author's name has"):
        author_of(name)


def test_the_key_of_a_request_is_made_from_what_it_says() -> None:
    bonus = BonusRequest(worker=WorkerId(1), amount_cents=50, reason="kind")
    assert content_key(bonus, "user/ann") == content_key(bonus, "user/ann")
    assert content_key(bonus, "user/ann") != content_key(bonus, "user/bob")
