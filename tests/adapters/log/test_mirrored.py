"""A log on a server with a copy in a file: one writer at a time, and the copy has what was acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import gethostname

import psycopg
import pytest
import trio
from click.testing import CliRunner
from msgspec.structs import replace

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.composition.clock_and_ids import SystemClock, SystemIds
from mephisto_es.adapters.composition.log_choice import LOG_VARIABLE, open_log
from mephisto_es.adapters.erasure.worker import erase_worker
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.adapters.log.postgres.copying import copy_to_postgres
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.open_checks import IN_POSTGRES
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.errors import DamagedLogError, LogError, UnusableLogError, WriterFencedError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.services.directory import Directory
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.streams import DIRECTORY, partition_of_run
from mephisto_es.events.worker import WorkerBlocked
from mephisto_es.projections.registry import PROJECTIONS

from ...json_schema import assert_fits
from ...postgres import Cluster
from ...sample_log import sample_history
from .support import RUN, RosterProjection, forget, is_repeat, is_written, register, unit_request

VIEWS = (RosterProjection(),)
PARTITION = partition_of_run(RUN)


@pytest.fixture
def address(cluster: Cluster) -> str:
    return cluster.new_database()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mephisto.db"


@pytest.fixture
def log(address: str, path: Path) -> Iterator[MirroredLog]:
    with MirroredLog.open(address, path, VIEWS) as log:
        yield log


def as_administrator(address: str, statement: str) -> None:
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(statement.encode())


def test_the_copy_has_what_was_acknowledged_at_the_same_positions(log: MirroredLog) -> None:
    (one,), (two,) = log.commit([register(3, "Ada")]), log.commit([unit_request(1, 0)])
    assert is_written(one)
    assert is_written(two)
    assert [recorded.seq for recorded in (*one.events, *two.events)] == [1, 2]
    with LogReader(log.path) as reader:
        assert list(reader.read()) == [*one.events, *two.events]
        assert reader.find("unit-1-0") == two.events
    (again,) = log.commit([unit_request(1, 0)])
    assert is_repeat(again)
    assert again.events == two.events


def test_a_run_on_the_server_is_legal_in_every_copy(address: str, tmp_path: Path) -> None:
    history, copies = sample_history(), [tmp_path / "one.db", tmp_path / "two.db"]
    for path, part in zip(copies, (history[:20], history[20:]), strict=True):
        with MirroredLog.open(address, path, PROJECTIONS) as log:
            log.commit(part)
    with MirroredLog.open(address, copies[0], PROJECTIONS):
        pass
    one, two = (replay(path, PROJECTIONS) for path in copies)
    assert (one.legal, two.legal) == (True, True)
    assert (one.events, one.chain) == (two.events, two.chain)


@contextmanager
def two_writers(address: str, tmp_path: Path) -> Iterator[tuple[MirroredLog, MirroredLog]]:
    """Two writers, each with a copy of its own."""
    with (
        MirroredLog.open(address, tmp_path / "one.db", VIEWS) as one,
        MirroredLog.open(address, tmp_path / "two.db", VIEWS) as two,
    ):
        yield one, two


def commands_of(events: Iterable[RecordedEvent]) -> list[str]:
    return [each.envelope.command for each in events]


def test_each_writer_reads_what_the_other_wrote_in_the_common_order(address: str, tmp_path: Path) -> None:
    with two_writers(address, tmp_path) as (one, two):
        one.commit([register(3, "Ada"), unit_request(1, 0)])
        turn = two.begin([PARTITION], (), ["unit-1-0", "new"])
        assert [each.seq for each in turn.news] == [1, 2]
        assert {command: [each.seq for each in events] for command, events in turn.known.items()} == {"unit-1-0": [2]}
        two.commit([unit_request(1, 1)])
        assert two.take_news() == ()
        assert commands_of(one.begin([PARTITION], (), ()).news) == ["unit-1-1"]
        (written,) = one.commit([unit_request(1, 2)])
        assert is_written(written)
        assert [each.seq for each in written.events] == [4]
        two.begin([], (), ())
        two.commit([])
        assert list(one.read()) == list(two.read())


def test_what_others_wrote_elsewhere_during_a_turn_is_known_after_the_commit(address: str, tmp_path: Path) -> None:
    with two_writers(address, tmp_path) as (one, two):
        one.begin([PARTITION], (), ())
        two.commit([register(3, "Ada")])
        one.commit([unit_request(1, 0)])
        assert commands_of(one.take_news()) == ["register-3"]
        assert one.head().seq == 2
        assert one.begin([PARTITION], (), ()).news == ()
        one.commit([])


def test_what_is_decided_after_news_is_an_effect_of_them_whatever_the_clock_says(address: str, tmp_path: Path) -> None:
    with two_writers(address, tmp_path) as (one, two):
        one.commit([replace(register(3, "Ada"), at=5_000_000)])
        two.begin([PARTITION], (), ())
        two.commit([unit_request(1, 0, at=5)])
        assert commands_of(two.read()) == ["register-3", "unit-1-0"]
        assert two.head().at > 5_000_000


def test_an_operator_that_was_taken_for_dead_writes_nothing_more_anywhere(address: str, tmp_path: Path) -> None:
    with two_writers(address, tmp_path) as (stale, heir):
        as_administrator(address, "SELECT es.join('ada:1', interval '1 hour')")
        stale.commit([unit_request(1, 0)])
        stale.server_log.own("ada:1", PARTITION, 1)
        stale.commit([unit_request(1, 1)])
        as_administrator(address, "DELETE FROM es.operator")
        with pytest.raises(WriterFencedError, match=PARTITION):
            stale.commit([register(3, "Ada")])
        with pytest.raises(LogError, match="accepts nothing more"):
            stale.commit([unit_request(1, 2)])
        heir.commit([unit_request(1, 2)])
        assert commands_of(heir.read()) == ["unit-1-0", "unit-1-1", "unit-1-2"]


def test_a_copy_that_lags_behind_is_brought_up_to_date(address: str, path: Path) -> None:
    """As after a crash between the commit of the server and that of the file."""
    MirroredLog.open(address, path, VIEWS).close()
    with closing(PostgresLog(address)) as server:
        server.commit([register(3, "Ada"), unit_request(1, 0)])
        server.commit([forget(3)])
    with MirroredLog.open(address, path, VIEWS) as log:
        assert [each.envelope.command for each in log.read()] == ["register-3", "unit-1-0", "forget-3"]


def test_no_byte_of_an_erased_worker_stays_in_the_tables_or_the_copy(address: str, path: Path) -> None:
    with MirroredLog.open(address, path, VIEWS) as log:
        log.commit([register(3, "Augusta Ada King")])
        assert b"Augusta" in b"".join(file.read_bytes() for file in path.parent.iterdir())
        log.commit([forget(3)])
    assert b"Augusta" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    with psycopg.connect(address) as db:
        assert db.execute("SELECT count(*) FROM es.payload").fetchone() == (0,)


async def test_an_erasure_names_the_copies_that_have_not_deleted_the_values(
    address: str, path: Path, tmp_path: Path
) -> None:
    others = [tmp_path / "another.db", tmp_path / "live.db"]
    MirroredLog.open(address, others[0], VIEWS).close()
    with MirroredLog.open(address, path, VIEWS) as log, MirroredLog.open(address, others[1], VIEWS) as live:
        ledger = Ledger(log, SystemClock(), commit_in_thread)
        async with trio.open_nursery() as nursery:
            await nursery.start(run_writer, ledger)
            ids = SystemIds(ledger.state.highest_ids(), epoch=log.epoch)
            ada = await Directory(ledger, ids).new_worker("Augusta Ada King", "mock")
            live.begin((), (), ())
            live.commit(())
            erased = await erase_worker(path, ledger, ids, ada, "asked to", "grace", patience_seconds=0)
            assert erased.unconfirmed == tuple(f"{gethostname()}:{other.resolve()}" for other in others)
            live.begin((), (), ())
            assert log.unconfirmed(erased.seq, 0) == erased.unconfirmed[:1]
            async with trio.open_nursery() as waiting:
                # Whoever waits is notified.
                waiting.start_soon(trio.to_thread.run_sync, log.unconfirmed, erased.seq, 60)
                MirroredLog.open(address, others[0], VIEWS).close()
            again = await erase_worker(path, ledger, ids, ada, "asked to", "grace", patience_seconds=0)
            assert (again.repeated, again.unconfirmed) == (True, ())
            nursery.cancel_scope.cancel()
    assert b"Augusta" not in b"".join(file.read_bytes() for file in others)


def test_the_furthest_copy_replaces_a_server_that_has_lost_events(address: str, tmp_path: Path) -> None:
    short, far = tmp_path / "short.db", tmp_path / "far.db"
    for path in (short, far):
        with MirroredLog.open(address, path, VIEWS) as log:
            log.commit([register(int(path is far) + 1, "Ada")])
    as_administrator(address, "DELETE FROM es.feed WHERE pos = 2; DELETE FROM es.event WHERE seq = 2")
    MirroredLog.open(address, short, VIEWS).close()
    with pytest.raises(DamagedLogError, match="`mephisto-es log copy FILE DATABASE`"):
        MirroredLog.open(address, far, VIEWS)
    as_administrator(address, "DROP SCHEMA es CASCADE")
    assert copy_to_postgres(far, address) == 2
    for path in (short, far):
        with MirroredLog.open(address, path, VIEWS) as log:
            (outcome,) = log.commit([unit_request(1, int(path is far))])
            assert is_written(outcome)
    with LogReader(far) as reader:
        assert commands_of(reader.read()) == ["register-1", "register-2", "unit-1-0", "unit-1-1"]


def test_a_database_without_a_log_is_named_with_the_next_step(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG_VARIABLE, address)
    result = CliRunner().invoke(main, ["operators"])
    assert (result.exit_code, "has no log: check the address" in result.stderr) == (2, True)


def test_an_erasure_names_what_is_out_of_reach(address: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with MirroredLog.open(address, path, PROJECTIONS) as log:
        log.commit([register(3, "Ada")])
    monkeypatch.setenv(LOG_VARIABLE, address)
    result = CliRunner().invoke(main, ["erase", str(path), "worker-3", "--reason", "asked to"])
    assert result.exit_code == 0, result.output
    assert "not reached: the database server's backups and write-ahead archives" in result.stdout
    assert "not reached: folders of runs on other machines" in result.stdout


def test_a_copy_is_not_written_to_as_if_it_were_the_log(address: str, path: Path) -> None:
    MirroredLog.open(address, path, VIEWS).close()
    with pytest.raises(UnusableLogError, match=LOG_VARIABLE):
        SqliteLog.create_or_open(path)
    with MirroredLog.open(address, path, VIEWS) as log:
        assert is_written(log.commit([unit_request(1, 0)])[0])


def test_a_log_of_its_own_is_not_overwritten(address: str, path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        log.commit([unit_request(1, 0)])
    with pytest.raises(UnusableLogError, match="is not a copy"):
        MirroredLog.open(address, path, VIEWS)
    with LogReader(path) as reader:
        assert len(list(reader.read())) == 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM es.feed WHERE pos = 2; DELETE FROM es.event WHERE seq = 2", "lost its tail"),
        (
            "UPDATE es.event SET data = replace(convert_from(data, 'UTF8'), 'operator', 'operetta')::bytea",
            "different events",
        ),
    ],
)
def test_a_server_that_went_back_is_noticed(address: str, path: Path, damage: str, said: str) -> None:
    with MirroredLog.open(address, path, VIEWS) as log:
        log.commit([unit_request(1, 0)])
        log.head()
        log.commit([unit_request(1, 1)])
    as_administrator(address, damage)
    with pytest.raises(DamagedLogError, match=said):
        MirroredLog.open(address, path, VIEWS)


def test_a_server_that_has_lost_its_tail_under_a_writer_is_noticed_before_anything_is_written(
    log: MirroredLog, address: str
) -> None:
    log.commit([unit_request(1, 0)])
    # In the directory, so the partition of the run has lost nothing.
    log.commit([register(1, "Ada")])
    as_administrator(address, "DELETE FROM es.feed WHERE pos = (SELECT max(pos) FROM es.feed)")
    as_administrator(address, f"DELETE FROM es.event WHERE partition = '{DIRECTORY}'")
    # As after a failover to a standby that has less. Another writer was there before, so it is not shorter.
    with closing(PostgresLog(address)) as other:
        other.commit([unit_request(2, 0), unit_request(3, 0), unit_request(4, 0)])
        other.head()
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    as_administrator(address, f"SELECT pg_terminate_backend(pid, 10000) {others}")
    with pytest.raises(DamagedLogError, match="different events"):
        log.begin([PARTITION], (), ())
    with pytest.raises(LogError, match="accepts nothing more"):
        log.commit([unit_request(1, 1)])


def test_the_environment_says_where_the_log_is(
    address: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    nowhere = run(main, ["log", "update", str(path)])
    assert (nowhere.exit_code, LOG_VARIABLE in nowhere.output) == (2, True)
    monkeypatch.setenv(LOG_VARIABLE, address)
    with open_log(path, PROJECTIONS) as log:
        log.commit(sample_history())
        updated = run(main, ["log", "update", str(tmp_path / "copy")])
        assert updated.exit_code == 0, updated.output
        assert f"{log.head().seq} events" in updated.output
        again = run(main, ["log", "update", str(tmp_path / "copy"), "--json"])
        assert assert_fits("log update", again.stdout)["events"] == log.head().seq
        assert (tmp_path / "copy" / "mephisto.db").is_file()
    monkeypatch.delenv(LOG_VARIABLE)
    with open_log(tmp_path / "own.db", PROJECTIONS) as own:
        assert type(own) is SqliteLog


def test_a_server_that_is_down_is_not_answered_for_by_a_local_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = "postgresql://nobody@127.0.0.1:1/none"
    SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS).close()
    monkeypatch.setenv(LOG_VARIABLE, down)
    run = CliRunner().invoke
    own = run(main, ["runs", str(tmp_path)])
    assert own.exit_code == 2
    assert "is a log of its own, not a copy of the one there: unset MEPHISTO_ES_LOG" in own.output
    (tmp_path / "mephisto.db").rename(tmp_path / "old.db")
    assert run(main, ["runs", str(tmp_path / "old.db")]).exit_code == 0
    schema.create_file(path, bytes(32), f"mephisto-es 0.1.0{IN_POSTGRES}")
    copy = run(main, ["runs", str(path)])
    assert (copy.exit_code, "cannot be used" in copy.output) == (2, True)


def test_a_verb_takes_the_address_in_place_of_a_path(
    address: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(LOG_VARIABLE, "")
    run = CliRunner().invoke
    with MirroredLog.open(address, path, PROJECTIONS) as log:
        history = sample_history()
        log.commit(history[:20])
        first = run(main, ["verify", address])
        assert first.exit_code == 0, first.output
        log.commit(history[20:])
        again = run(main, ["verify", address])
        assert f"{log.head().seq:,} events" in again.output
        # A guest decides, and the writer reads it in its next turn.
        blocked = run(main, ["worker", address, "1", "--block", "spam"])
        assert blocked.exit_code == 0, blocked.output
        assert any(isinstance(each.envelope.event, WorkerBlocked) for each in log.begin([DIRECTORY], (), ()).news)
        log.commit([])


def test_an_address_with_a_password_is_refused_on_the_command_line() -> None:
    refused = CliRunner().invoke(main, ["runs", "postgresql://ada:hunter2@db.example.org/study"])
    assert refused.exit_code == 2
    assert "PGPASSWORD" in refused.output
    assert "hunter2" not in refused.output.partition("Usage")[0]
