"""Forgetting a worker: afterwards no byte of its name and words is in the data folder, and the log is still legal."""

from __future__ import annotations

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fcntl import LOCK_EX, flock
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import trio
from click.testing import CliRunner, Result

from mephisto_es.adapters.architects.router.python.journal.journal_contents import (
    ack_line,
    agent_line,
    header_line,
    packet_line,
    read_contents,
)
from mephisto_es.adapters.architects.router.python.journal.journal_lines import witness_line
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.ledger import open_ledger
from mephisto_es.adapters.erasure.files import RouterFolder, Traces, clear_journals
from mephisto_es.adapters.erasure.unfinished import begin_erasure, mark_path
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.command_issuer import CommandIssuer
from mephisto_es.core.commands.directory import EraseWorker
from mephisto_es.core.decisions.erase_worker import decide_erase_worker
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.agent import AgentAccepted, AgentSubmitted
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.task_run import TaskRunCompleted, TaskRunCreated
from mephisto_es.projections.registry import PROJECTIONS

from ..histories import numbered
from ..history_generator import HistoryGenerator
from ..history_search import SEEDS


class Talkative(HistoryGenerator):
    """A generator whose workers' names and words are all their own."""

    def _json(self, value: object, subject: WorkerId | None = None) -> PayloadRef:
        return self._seal(msgspec.json.encode({"said": f"word {self._next()} of {subject} on {value}"}), subject)

    def _text(self, text: str, subject: WorkerId) -> PayloadRef:
        return self._seal(f"{text} no {self._next()} Zoë".encode(), subject)


class FinishedRun:
    """A data folder: a log, uploads, and servers' journals.

    Attributes:
        folder: where.
        worker: one with submissions and files who is not at work.
        busy: one who is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "mephisto.db"
        for seed in range(SEEDS):
            generator = Talkative(Random(seed))
            generator.begin()
            generator.write(900)
            self.requests = tuple(generator.requests)
            self.events = [recorded.envelope for recorded in numbered(self.requests)]
            busy, free = self._at_work_and_not(generator)
            if busy and free:
                break
        self.busy, self.worker = busy[0], free[0]
        with SqliteLog.create_or_open(self.path, PROJECTIONS) as log:
            for start in range(0, len(self.requests), 20):
                log.commit(self.requests[start : start + 20])
        for run in self.runs():
            self._serve(run)

    def copied(self, folder: Path) -> FinishedRun:
        """Return the same in another folder."""
        other = copy.copy(self)
        other.folder, other.path = shutil.copytree(self.folder, folder), folder / self.path.name
        return other

    def words_of(self, worker: int) -> list[bytes]:
        """All that is a worker's."""
        kept = [one for request in self.requests for one in request.payloads]
        return [one.body for one in kept if one.subject == worker]

    def name_of(self, worker: int) -> str:
        return self.words_of(worker)[0].decode()

    def uploads_of(self, worker: int) -> set[str]:
        agents = {each.stream for each in self.events if getattr(each.event, "worker", None) == worker}
        sent = [each.event for each in self.events if each.stream in agents and isinstance(each.event, AgentSubmitted)]
        return {file.filename for event in sent for file in event.files}

    def runs(self) -> list[int]:
        return [each.event.task_run for each in self.events if isinstance(each.event, TaskRunCreated)]

    def completed_runs(self) -> set[int]:
        done = [each.stream for each in self.events if isinstance(each.event, TaskRunCompleted)]
        return {int(stream.rpartition("/")[2]) for stream in done}

    def journal(self, run: int) -> Path:
        return self.folder / "runs" / str(run) / "router_data" / "journal-first.jsonl"

    def holding(self, words: list[bytes]) -> list[str]:
        """Files of the data folder with any of the words anywhere in their bytes."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return [path.name for path in files if any(word in path.read_bytes() for word in words)]

    def _at_work_and_not(self, generator: HistoryGenerator) -> tuple[list[int], list[int]]:
        """Workers who are at work, and workers who are not and have sent files."""
        busy, free = list[int](), list[int]()
        for stream, state in generator.state.workers.items():
            if state.status is WorkerStatus.ERASED:
                continue
            worker = WorkerId(int(stream.rpartition("/")[2]))
            try:
                generator.state.check(decide_erase_worker(generator.state, EraseWorker(worker=worker, reason="why")))
            except CommandRefusedError:
                busy.append(worker)
            else:
                free += [worker] if self.uploads_of(worker) else []
        return busy, free

    def _serve(self, run: int) -> None:
        """Write what a run's server leaves: everything but the last packet, of no agent, is acknowledged."""
        data = self.journal(run).parent
        (data / "uploads").mkdir(parents=True)
        packets = [
            {"packet_type": "register_worker", "provider_data": {"worker_name": self.name_of(worker)}}
            for worker in (self.worker, self.busy)
        ]
        accepted = [each.event for each in self.events if isinstance(each.event, AgentAccepted)]
        packets += [{"packet_type": "submit_unit", "subject_id": event.token, "data": "x"} for event in accepted]
        lines = [header_line("first", 1)]
        lines += [packet_line(seq, msgspec.json.encode(packet)) for seq, packet in enumerate(packets, 1)]
        lines += [agent_line("token", "completed"), ack_line(len(packets))]
        lines.append(packet_line(len(packets) + 1, b'{"packet_type":"alive"}'))
        self.journal(run).write_bytes(b"".join(lines))
        for worker in (self.worker, self.busy):
            for name in self.uploads_of(worker):
                (data / "uploads" / name).write_text(f"uploaded by {worker}")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return FinishedRun(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def finished(untouched: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FinishedRun:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    return untouched.copied(tmp_path / "data")


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def forgotten(code: int, finished: FinishedRun, *words: str) -> Any:
    result = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "asked us to", "--json", *words)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_no_byte_is_left_and_the_log_is_legal(finished: FinishedRun) -> None:
    words, uploads = finished.words_of(finished.worker), finished.uploads_of(finished.worker)
    before = replay(finished.path, PROJECTIONS)
    assert "mephisto.db" in finished.holding(words)
    done = forgotten(0, finished)
    assert finished.holding(words) == []
    assert {Path(path).name for path in done["uploads"]} == uploads
    assert not [path for path in finished.folder.rglob("*") if path.name in uploads]
    assert done["payloads"] == len(words)
    after = replay(finished.path, PROJECTIONS)
    assert after.findings == ()
    assert (after.events, after.seq) == (before.events + 1, done["seq"])
    assert after.payloads == before.payloads - len(words)
    assert after.erased_payloads == before.erased_payloads + len(words)
    assert ask("verify", finished.folder).exit_code == 0


def test_what_is_others_stays(finished: FinishedRun) -> None:
    others = [one.body for request in finished.requests for one in request.payloads if one.subject == finished.busy]
    forgotten(0, finished)
    with SqliteLog.open_read_only(finished.path) as log, closing(log.connect()) as db:
        kept = {body for (body,) in db.execute("SELECT body FROM payloads")}
        assert set(others) <= kept
        (name,) = db.execute("SELECT worker_name FROM workers WHERE worker_id = ?", (finished.busy,)).fetchone()
        assert name == finished.name_of(finished.busy)
    for run in finished.runs():
        uploads = {path.name for path in (finished.journal(run).parent / "uploads").iterdir()}
        assert uploads == finished.uploads_of(finished.busy) - finished.uploads_of(finished.worker)


def test_a_journal_keeps_what_nobody_took_and_its_place(finished: FinishedRun) -> None:
    counts = {run: len(finished.journal(run).read_bytes()) for run in finished.runs()}
    forgotten(0, finished)
    for run, before in counts.items():
        if run in finished.completed_runs():
            assert not finished.journal(run).exists()
            continue
        with finished.journal(run).open("rb") as lines:
            contents = read_contents(lines)
        [entry] = contents.outbox.entries_from(0, inf)
        assert entry.packet == b'{"packet_type":"alive"}'
        assert (contents.incarnation, contents.agents) == ("first", {"token": "completed"})
        assert entry.seq == contents.outbox.next_seq - 1 > 1
        assert finished.journal(run).stat().st_size < before


def test_files_that_somebody_put_there_are_named(finished: FinishedRun) -> None:
    name = finished.name_of(finished.worker)
    (finished.folder / "export.csv").write_text(f"1,{name},5\n")
    (finished.folder / "export.jsonl").write_text(json.dumps({"worker": name}))
    (finished.folder / "other.csv").write_text(f"1,{name}2,5\n")
    (finished.folder / "empty.csv").touch()
    assert ask("backup", finished.folder, "-o", finished.folder / "old.db").exit_code == 0
    result = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "asked us to")
    assert result.exit_code == 1
    left = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("✗")]
    assert left == [str(finished.folder / name) for name in ("export.csv", "export.jsonl", "old.db")]


def test_a_worker_at_work_is_not_forgotten(finished: FinishedRun) -> None:
    before = finished.path.read_bytes(), finished.holding(finished.words_of(finished.busy))
    result = ask("erase", finished.folder, f"worker-{finished.busy}", "--reason", "asked us to")
    assert result.exit_code == 1
    assert "try again" in result.stderr
    assert finished.holding(finished.words_of(finished.busy)) == before[1]
    assert replay(finished.path, PROJECTIONS).legal


def test_twice_is_harmless_and_deletes_what_came_back(finished: FinishedRun) -> None:
    first = forgotten(0, finished)
    run = finished.runs()[0]
    restored = finished.journal(run).parent / "uploads" / sorted(finished.uploads_of(finished.worker))[0]
    restored.write_text("from a backup")
    again = forgotten(0, finished)
    assert (again["repeated"], again["seq"], again["payloads"]) == (True, first["seq"], 0)
    assert not restored.exists()
    assert replay(finished.path, PROJECTIONS).legal
    third = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "again")
    assert third.stdout.startswith(f"worker-{finished.worker} was erased before, at seq {first['seq']:,}: ")


async def commit_and_be_killed(finished: FinishedRun, left: Path) -> None:
    """Record an erasure, and copy the disk as it is before the values are gone from the files beside the log."""
    async with open_ledger(finished.path) as (ledger, ids, _):
        begin_erasure(finished.path)
        command = EraseWorker(worker=WorkerId(finished.worker), reason="asked us to")
        await CommandIssuer(ledger, ids, "privacy").issue(command)
        shutil.copytree(finished.folder, left)


@pytest.mark.parametrize("verb", [("runs",), ("replay",), ("show", "--table", "workers"), ("erase",)])
def test_what_a_killed_erasure_left_is_gone_after_the_next_command(
    finished: FinishedRun, reader: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0.1)
    words, left = finished.words_of(finished.worker), tmp_path / "left"
    trio.run(commit_and_be_killed, finished, left)
    reader.close()
    finished.folder = left
    assert "mephisto.db" in finished.holding(words)
    options = [f"worker-{finished.worker}", "--reason", "again"] if verb[0] == "erase" else verb[1:]
    assert ask(verb[0], left, *options).exit_code == 0
    assert not [name for name in finished.holding(words) if name.startswith("mephisto.db")]
    assert not mark_path(left / finished.path.name).exists()
    assert replay(left / finished.path.name, PROJECTIONS).legal


def test_nobody_is_refused(finished: FinishedRun) -> None:
    result = ask("erase", finished.folder, "worker-999999", "--reason", "asked us to")
    assert result.exit_code == 1
    assert "there is no worker-999999" in result.stderr


def an_open_run(finished: FinishedRun) -> int:
    return next(run for run in finished.runs() if run not in finished.completed_runs())


def test_a_server_that_runs_keeps_its_journal_until_the_worker_is_erased_again(finished: FinishedRun) -> None:
    journal = finished.journal(an_open_run(finished))
    before = journal.read_bytes()
    with (journal.parent / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        result = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "asked us to")
    assert result.exit_code == 1
    assert f"✗ {journal}, the journal of a server that runs, may still have" in result.stdout
    assert "delete or recreate it" not in result.stdout
    assert journal.read_bytes() == before
    assert finished.holding(finished.words_of(finished.worker)) == [journal.name]
    with (journal.parent / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        # Nobody knows the name any more.
        early = forgotten(1, finished)
    assert early["journals_in_use"] == early["left"] == [str(journal)]
    again = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "the run has ended")
    assert again.exit_code == 0, again.output
    assert finished.holding(finished.words_of(finished.worker)) == []
    assert replay(finished.path, PROJECTIONS).legal


def test_the_journal_of_a_server_that_runs_is_named_however_short_the_name_is(tmp_path: Path) -> None:
    journal = tmp_path / "journal-first.jsonl"
    packet = msgspec.json.encode({"packet_type": "register_worker", "provider_data": {"worker_name": "Ada"}})
    journal.write_bytes(header_line("first", 1) + packet_line(1, packet) + ack_line(1))

    def kept(name: str) -> list[Path]:
        traces = Traces(name, frozenset(), frozenset(), ())
        return clear_journals(RouterFolder(tmp_path, is_in_use=True), traces, over=False)

    # A worker who was erased before has no name any more.
    assert (kept("Ada"), kept("Bob"), kept("")) == ([journal], [], [journal])


def test_packets_of_the_worker_that_nobody_took_are_in_the_way(finished: FinishedRun) -> None:
    packet = {"packet_type": "register_worker", "provider_data": {"worker_name": finished.name_of(finished.worker)}}
    with finished.journal(an_open_run(finished)).open("rb") as lines:
        seq = read_contents(lines).outbox.next_seq
    with finished.journal(an_open_run(finished)).open("ab") as file:
        file.write(packet_line(seq, msgspec.json.encode(packet)))
    result = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "asked us to")
    assert result.exit_code == 1
    assert "no operator has taken" in result.stderr


def test_a_damaged_journal_is_said(finished: FinishedRun) -> None:
    journal = finished.journal(an_open_run(finished))
    damaged = journal.read_bytes().replace(b'"alive"', b'"alove"').replace(b"ack", b"kca")
    journal.write_bytes(damaged + witness_line(len(damaged)))
    result = ask("erase", finished.folder, f"worker-{finished.worker}", "--reason", "asked us to")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


@pytest.fixture
def reader(finished: FinishedRun) -> Iterator[sqlite3.Connection]:
    """Somebody who has the log open in the middle of a transaction."""
    with closing(sqlite3.connect(f"file:{finished.path}?mode=ro", uri=True, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM events").fetchone()
        yield db


def test_a_reader_who_holds_the_log_is_told_of(
    finished: FinishedRun, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0.1)
    assert forgotten(1, finished)["held_by_reader"]
    reader.close()
    SqliteLog.create_or_open(finished.path, PROJECTIONS).close()
    assert finished.holding(finished.words_of(finished.worker)) == []


def test_help_has_an_example() -> None:
    assert "mephisto-es erase mephisto_data worker-3" in ask("erase", "--help").stdout


def test_requests_are_what_the_log_took(finished: FinishedRun) -> None:
    assert all(isinstance(request, AppendRequest) for request in finished.requests)
    assert finished.worker != finished.busy
    assert len(finished.words_of(finished.worker)) > 2
    assert finished.uploads_of(finished.worker)
