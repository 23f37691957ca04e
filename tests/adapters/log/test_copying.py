"""Copies of logs in PostgreSQL, and back: the same events in the same order, and nothing of a copy that failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.postgres import copying
from mephisto_es.adapters.log.postgres.copying import copy_from_postgres, copy_to_postgres
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.errors import DamagedLogError, UnusableLogError
from mephisto_es.core.payloads import refs_of
from mephisto_es.core.ports import EventLog
from mephisto_es.projections.registry import PROJECTIONS

from ...json_schema import assert_fits
from ...postgres import Cluster
from ...sample_log import sample_history
from .support import edited, is_written, register, unit_request


@pytest.fixture
def address(cluster: Cluster) -> str:
    return cluster.new_database()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of which half was written by another writer."""
    path, history = tmp_path / "mephisto.db", sample_history()
    for part in (history[: len(history) // 2], history[len(history) // 2 :]):
        with SqliteLog.create_or_open(path, PROJECTIONS) as log:
            log.commit(part)
    return path


def content(log: EventLog | LogReader) -> list[tuple[object, ...]]:
    """All events, with what their references lead to."""
    return [(*each, *map(log.payload, refs_of(each.envelope.event))) for each in log.read()]


def as_administrator(address: str, statement: str) -> None:
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(statement.encode())


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_a_log_comes_back_as_it_was(address: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH_ROWS", 7)
    back = tmp_path / "back.db"
    with LogReader(path) as log:
        events = content(log)
    assert copy_to_postgres(path, address) == len(events)
    with closing(PostgresLog(address)) as copy:
        assert content(copy) == events
        assert len({recorded.envelope.stream.split("/")[0] for recorded in copy.read()}) > 5
    assert copy_from_postgres(address, back, PROJECTIONS) == len(events)
    with LogReader(back) as log:
        assert content(log) == events
    report = replay(back, PROJECTIONS)
    assert (report.legal, report.events) == (True, len(events))


def work(log: SqliteLog, workers: Iterator[int]) -> None:
    """Do what each operator does first: issue commands with ids of its own."""
    ids = SystemIds({}, log.epoch)
    for _ in range(2):
        number = next(workers)
        (outcome,) = log.commit([replace(register(number, f"Ada {number}"), command=ids.command_id())])
        assert is_written(outcome)


@pytest.mark.parametrize("begins_on_server", [False, True])
def test_a_copied_log_goes_on_with_new_command_ids(address: str, tmp_path: Path, begins_on_server: bool) -> None:
    """From place to place and back, with some operators in each; the log stays legal in fresh copies."""
    workers, operators = count(1), 2
    place = tmp_path / "0.db"
    if begins_on_server:
        for operator in range(operators):
            with MirroredLog.open(address, tmp_path / f"operator-{operator}.db", PROJECTIONS) as log:
                work(log, workers)
        copy_from_postgres(address, place, PROJECTIONS)
    for journey in (1, 2):
        for _ in range(operators):
            with SqliteLog.create_or_open(place, PROJECTIONS) as log:
                work(log, workers)
        as_administrator(address, "DROP SCHEMA IF EXISTS es CASCADE")
        copy_to_postgres(place, address)
        for operator in range(operators + 1):
            with MirroredLog.open(address, tmp_path / f"{journey}-{operator}.db", PROJECTIONS) as log:
                work(log, workers)
        mirror = tmp_path / f"{journey}-fresh.db"
        MirroredLog.open(address, mirror, PROJECTIONS).close()
        assert replay(mirror, PROJECTIONS).legal
        place = tmp_path / f"{journey}.db"
        copy_from_postgres(address, place, PROJECTIONS)
    with SqliteLog.create_or_open(place, PROJECTIONS) as log:
        work(log, workers)
        commands = [each.envelope.command for each in log.read()]
    assert len(set(commands)) == len(commands) == next(workers) - 1
    assert commands == sorted(commands)


def test_a_log_without_its_last_number_continues_after_its_commands(address: str, tmp_path: Path) -> None:
    path, workers = tmp_path / "mephisto.db", count(1)
    for _ in range(3):
        with SqliteLog.create_or_open(path, PROJECTIONS) as log:
            work(log, workers)
    copy_to_postgres(path, address)
    as_administrator(address, "UPDATE es.meta SET epoch = 0")
    with closing(PostgresLog(address)) as server_log:
        assert server_log.epoch == 4
    back = tmp_path / "back.db"
    copy_from_postgres(address, back, PROJECTIONS)
    with edited(back) as db:
        db.execute("UPDATE writer SET epoch = 1")
    with SqliteLog.create_or_open(back, PROJECTIONS) as log:
        assert log.epoch == 4


def test_a_copy_continues_after_writers_that_wrote_nothing(address: str, path: Path, tmp_path: Path) -> None:
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        last = log.epoch
    copy_to_postgres(path, address)
    with closing(PostgresLog(address)) as server_log:
        assert server_log.epoch == last + 1
    back = tmp_path / "back.db"
    copy_from_postgres(address, back, PROJECTIONS)
    with SqliteLog.create_or_open(back, PROJECTIONS) as log:
        assert log.epoch > last + 1


def test_all_copies_of_one_log_have_the_same_chain(address: str, path: Path, tmp_path: Path) -> None:
    copy_to_postgres(path, address)
    copies = tmp_path / "one.db", tmp_path / "two.db"
    for copy in copies:
        copy_from_postgres(address, copy, PROJECTIONS)
    one, two = (LogReader(copy) for copy in copies)
    with one, two:
        assert one.head() == two.head()
        assert one.pseudonym_key == two.pseudonym_key


def test_a_copy_in_a_database_can_be_written_to(address: str, path: Path, tmp_path: Path) -> None:
    events = copy_to_postgres(path, address)
    with closing(PostgresLog(address)) as log:
        log.commit([register(77, "Ada")])
        assert log.head().seq == events + 1
    assert copy_from_postgres(address, tmp_path / "back.db", PROJECTIONS) == events + 1


def test_a_database_with_events_is_left_as_it_is(address: str, path: Path) -> None:
    with closing(PostgresLog(address)) as log:
        log.commit([unit_request(1, 0)])
        before = list(log.read())
        with pytest.raises(UnusableLogError, match="has a log with events already"):
            copy_to_postgres(path, address)
        assert list(log.read()) == before


def test_an_event_that_was_changed_in_the_database_is_not_copied(address: str, path: Path, tmp_path: Path) -> None:
    copy_to_postgres(path, address)
    as_administrator(address, "UPDATE es.event SET data = data || 'x' WHERE partition = 'run/1' AND seq = 9")
    with pytest.raises(DamagedLogError, match="chain of run/1"):
        copy_from_postgres(address, tmp_path / "back.db", PROJECTIONS)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("back")] == []


def test_an_event_that_is_missing_in_the_database_is_noticed(address: str, path: Path, tmp_path: Path) -> None:
    copy_to_postgres(path, address)
    as_administrator(address, "UPDATE es.feed SET pos = pos + 1 WHERE pos = (SELECT max(pos) FROM es.feed)")
    with pytest.raises(DamagedLogError, match="gap"):
        copy_from_postgres(address, tmp_path / "back.db", PROJECTIONS)
    with closing(PostgresLog(address)) as log, pytest.raises(DamagedLogError, match="gap"):
        list(log.read())


def test_the_verb_copies_both_ways(address: str, path: Path, tmp_path: Path) -> None:
    there = run("log", "copy", path.parent, address, "--json")
    assert there.exit_code == 0, there.output
    answer = assert_fits("log copy", there.stdout)
    assert answer["copied_events"] == answer["report"]["events"]
    back = run("log", "copy", address, tmp_path / "back.db")
    assert back.exit_code == 0, back.output
    assert f"copied {answer['copied_events']} events" in back.output
    again = run("log", "copy", address, tmp_path / "back.db")
    assert (again.exit_code, "exists already" in again.output) == (2, True)


def test_the_verb_copies_no_log_that_is_not_legal(address: str, path: Path) -> None:
    with edited(path) as db:
        db.execute("UPDATE events SET at = at + 1 WHERE seq = 5")
    result = run("log", "copy", path, address)
    assert result.exit_code == 1
    assert "not legal" in result.output
    assert "nothing was copied" in result.output
    with closing(PostgresLog(address)) as log:
        assert log.head().seq == 0


def test_a_database_without_a_log_is_refused(address: str, tmp_path: Path) -> None:
    result = run("log", "copy", address, tmp_path / "back.db")
    assert (result.exit_code, "has no log" in result.output) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a.db", "b.db", "mephisto-es backup"),
        ("postgresql://x/a", "postgresql://x/b", "the other one a file"),
        ("a.db", "postgresql://ada:hunter2@host/x", "~/.pgpass"),
        ("postgresql://ada@host/x?password=hunter2", "a.db", "~/.pgpass"),
        ("a.db", "postgresql://ada@host/x?hunter2=1", "is not valid"),
    ],
)
def test_a_wrong_command_line_is_refused_without_repeating_secrets(source: str, target: str, said: str) -> None:
    result = run("log", "copy", source, target)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")
    assert "hunter2" not in result.output
