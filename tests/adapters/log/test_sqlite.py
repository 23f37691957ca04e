"""The guarantees of the SQLite log beyond the contract: opening, failures, and concurrent readers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mephisto_es.adapters.log.anchor import anchor_path
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import (
    CommandIdReusedError,
    LogError,
    UnknownEventError,
    UnusableLogError,
    VersionConflictError,
    WriterFencedError,
)
from mephisto_es.core.payloads import commitment
from mephisto_es.core.ports import AppendRejected, Expect
from mephisto_es.events.ids import WorkerId
from mephisto_es.projections.engine import fingerprint

from .support import (
    LIFE,
    SALT,
    RosterProjection,
    files_of,
    filled,
    forget,
    is_repeat,
    is_written,
    lives,
    register,
    request,
    unit_event,
    unit_request,
    unit_stream,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


# Opening


def test_a_log_goes_on_where_it_ended(path: Path) -> None:
    head = filled(path)
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        assert log.head() == head
        assert log.epoch == 2
        stream = unit_stream(1)
        (written,) = log.commit([request("more", (stream, unit_event(1, 4)), expected={stream: 9})])
        assert is_written(written)
        assert written.events[0].seq == head.seq + 1
        assert written.events[0].envelope.version == 10


def test_a_repeat_is_answered_after_a_restart(path: Path) -> None:
    filled(path)
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        (again,) = log.commit([unit_request(1, 0)])
        assert is_repeat(again)
        assert [event.seq for event in again.events] == [2]


def test_what_is_taken_for_new_and_is_not_is_found_out(path: Path) -> None:
    filled(path, units=2)
    again, fresh, new_stream = unit_request(1, 0), unit_request(8, 0), unit_stream(9)
    taken = request("taken", (unit_stream(2), unit_event(2, 0)), expected={unit_stream(2): Expect.NONE})
    reused = request("unit-2-0", (new_stream, unit_event(9, 0)), expected={new_stream: 0})
    condition = request("other", (new_stream, unit_event(9, 0)), expected={new_stream: 0, unit_stream(1): 0})
    with SqliteLog.create_or_open(path) as log:
        before = log.head().seq
        outcomes = log.commit([fresh, again, taken, reused, condition])
        assert is_written(outcomes[0])
        assert is_repeat(outcomes[1])
        assert isinstance(outcomes[2], AppendRejected)
        assert isinstance(outcomes[2].error, VersionConflictError)
        assert (outcomes[2].error.expected, outcomes[2].error.actual) == ("none", len(LIFE))
        assert isinstance(outcomes[3], AppendRejected)
        assert isinstance(outcomes[3].error, CommandIdReusedError)
        assert isinstance(outcomes[4], AppendRejected)
        assert isinstance(outcomes[4].error, VersionConflictError)
        assert log.head().seq == before + 1
        later = request("later", (new_stream, unit_event(9, 0)), expected={new_stream: 0})
        assert is_written(log.commit([later])[0])
    assert replay(path, ()).legal


def test_the_pseudonym_key_is_random_and_stays(tmp_path: Path) -> None:
    keys = []
    for name in ("a.db", "b.db", "a.db"):
        with SqliteLog.create_or_open(tmp_path / name) as log:
            keys.append(log.pseudonym_key)
    assert keys[0] == keys[2] != keys[1]
    assert len(keys[0]) == 32


def test_durability_is_said_and_not_assumed(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        settings = {
            name: log._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "recursive_triggers", "secure_delete", "mmap_size")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "recursive_triggers": 1,
        "secure_delete": 1,
        "mmap_size": 0,
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET at = 0 WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1",
    ],
)
def test_events_cannot_be_changed_through_the_writer(path: Path, statement: str) -> None:
    filled(path)
    with SqliteLog.create_or_open(path) as log, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        log._db.execute(statement)


def test_a_text_file_is_not_a_log(path: Path) -> None:
    path.write_text("these are notes, and they are long enough to be taken for the header of a database" * 20)
    before = files_of(path.parent)
    for open_it in (SqliteLog.create_or_open, SqliteLog.open_read_only):
        with pytest.raises(UnusableLogError, match=r"log\.db is not a log of mephisto-es"):
            open_it(path)
    assert files_of(path.parent) == before


def test_a_database_of_somebody_else_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes(name TEXT)")
    db.close()
    before = files_of(path.parent)
    for open_it in (SqliteLog.create_or_open, SqliteLog.open_read_only):
        with pytest.raises(UnusableLogError, match="but not a log of mephisto-es; choose another path"):
            open_it(path)
    assert files_of(path.parent) == before


def test_a_newer_format_is_left_alone(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={schema.FORMAT + 1}")
    db.close()
    before = files_of(path.parent)
    with pytest.raises(UnusableLogError, match="update mephisto-es"):
        SqliteLog.create_or_open(path)
    assert files_of(path.parent) == before
    with pytest.raises(UnusableLogError, match="update mephisto-es"):
        SqliteLog.open_read_only(path)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom no mode keeps out
        folder = Path("/proc")
    with pytest.raises(UnusableLogError, match="cannot be written to"):
        SqliteLog.create_or_open(folder / "log.db")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match=r"nowhere.*cannot be written to"):
        SqliteLog.create_or_open(tmp_path / "nowhere" / "log.db")


def test_reading_what_is_not_there(path: Path) -> None:
    with pytest.raises(UnusableLogError, match="there is no log at"):
        SqliteLog.open_read_only(path)
    assert not path.exists()


def test_an_empty_file_becomes_a_log(path: Path) -> None:
    path.touch()
    with pytest.raises(UnusableLogError, match="is empty"):
        SqliteLog.open_read_only(path)
    filled(path)


def test_a_second_writer_is_told_who_the_first_is(path: Path) -> None:
    with SqliteLog.create_or_open(path), pytest.raises(UnusableLogError, match=f"written by process {os.getpid()}"):
        SqliteLog.create_or_open(path)
    SqliteLog.create_or_open(path).close()


def test_a_file_that_failed_to_open_is_not_kept_locked(path: Path) -> None:
    filled(path)
    anchor_path(path).write_text("nonsense\n")
    for _ in range(2):
        with pytest.raises(UnusableLogError, match="is not an anchor"):
            SqliteLog.create_or_open(path)


def test_closing_twice_is_harmless(path: Path) -> None:
    log = SqliteLog.create_or_open(path)
    log.close()
    log.close()


def test_a_copy_is_read_without_anything_beside_it(path: Path, tmp_path: Path) -> None:
    filled(path)
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    with SqliteLog.open_read_only(copy) as log:
        assert len(list(log.read())) == 28
        assert log.payload(commitment(b"Ada", SALT, WorkerId(1))) == b"Ada"


def test_readers_see_what_is_committed_while_the_writer_writes(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log, SqliteLog.open_read_only(path) as reader:
        for number in range(1, 6):
            log.commit([unit_request(number, 0)])
            assert reader.head() == log.head()
            assert [event.seq for event in reader.read()] == list(range(1, number + 1))


# Failures


def test_a_foreign_lock_is_waited_for_with_a_hint_and_not_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0.05)
    with SqliteLog.create_or_open(path) as log:
        foreign = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        foreign.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, foreign.rollback)
        release.start()
        assert is_written(log.commit([unit_request(1, 0)])[0])
        release.join()
        assert f"`lsof {path}` or `fuser -v {path}` shows which one" in capsys.readouterr().err
        foreign.execute("BEGIN IMMEDIATE")
        # As when the operator is told to end meanwhile.
        threading.Timer(0.2, setattr, (log, "lock_attempts", 0)).start()
        with pytest.raises(LogError, match="database is locked"):
            log.commit([unit_request(1, 1)])
        foreign.close()
        assert is_written(log.commit([unit_request(1, 1)])[0])


def test_a_writer_that_was_taken_over_writes_no_more(path: Path) -> None:
    log = SqliteLog.create_or_open(path)
    log.commit([unit_request(1, 0)])
    with sqlite3.connect(path, isolation_level=None) as usurper:
        usurper.execute("UPDATE writer SET epoch = epoch + 1")
    usurper.close()
    with pytest.raises(WriterFencedError, match="epoch 2, ours 1"):
        log.commit([unit_request(2, 0)])
    with pytest.raises(LogError, match="accepts nothing more"):
        log.commit([unit_request(3, 0)])
    assert [event.envelope.stream for event in log.read()] == [unit_stream(1)]
    log.close()


def test_a_full_disk_leaves_nothing_and_the_log_goes_on(path: Path) -> None:
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([unit_request(1, 0)])
        pages = log._db.execute("PRAGMA page_count").fetchone()[0]
        log._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(LogError, match=r"nothing was written to .*full"):
            log.commit([register(number, f"Ada{number:0500}") for number in range(1, 50)])
        assert log.head().seq == 1
        assert log.payload(commitment(f"Ada{1:0500}".encode(), SALT, WorkerId(1))) is None
        log._db.execute("PRAGMA max_page_count=1000000")
        (written,) = log.commit([unit_request(2, 0)])
        assert is_written(written)
        assert written.events[0].seq == 2


_COMMIT_FAILS = """
import resource, sys
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import LogError, OutcomeUnknownError
from mephisto_es.tests.adapters.log.support import lives, unit_request

log = SqliteLog.create_or_open(sys.argv[1])
log.commit([unit_request(1, 0)])
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
try:
    log.commit(lives(200))
except OutcomeUnknownError as error:
    print(error)
try:
    log.commit([unit_request(2, 0)])
except LogError as error:
    print(error)
"""


def test_a_failed_commit_is_unknown_and_stops_the_log(path: Path) -> None:
    """The file may not grow beyond a limit, so the write of the `-wal` file within COMMIT fails."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMIT_FAILS, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    first, second = done.stdout.splitlines()
    assert "COMMIT" in first
    assert "reopen the log to see whether its events were written" in first
    assert "accepts nothing more" in second
    with SqliteLog.create_or_open(path) as log:
        assert log.head().seq in (1, 1 + len(lives(200)))


def test_a_conflict_after_a_rolled_back_batch_knows_only_what_is_durable(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        stream = unit_stream(1)
        log.commit([unit_request(1, 0)])
        pages = log._db.execute("PRAGMA page_count").fetchone()[0]
        log._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(LogError):
            log.commit([unit_request(1, 1), *(register(number, f"Ada{number:0500}") for number in range(1, 50))])
        log._db.execute("PRAGMA max_page_count=1000000")
        (outcome,) = log.commit([request("a", (stream, unit_event(1, 1)), expected={stream: 1})])
        assert is_written(outcome)


def test_an_event_of_a_newer_version_stops_reading(path: Path) -> None:
    filled(path, units=1)
    with sqlite3.connect(path) as db:
        data = (
            b'{"stream":"unit/1/1","version":10,"at":1000,"command":"x","ordinal":0,"actor":"operator",'
            b'"event":{"kind":"unit_adored"}}'
        )
        db.execute(
            "INSERT INTO events VALUES (11, 'unit/1/1', 10, 'unit_adored', 1000, 'x', 1, ?, ?)", (data, bytes(32))
        )
    db.close()
    with (
        SqliteLog.open_read_only(path) as log,
        pytest.raises(UnknownEventError, match=r"seq 11: .*'unit_adored'.*update"),
    ):
        list(log.read())


# Projections


def test_a_projection_that_was_not_kept_is_brought_up(path: Path) -> None:
    with SqliteLog.create_or_open(path) as log:
        log.commit([register(1, "Ada"), *lives(2)])
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([unit_request(3, 0)])
        assert log.connect().execute("SELECT count(*) FROM roster").fetchone() == (4,)
    with SqliteLog.create_or_open(path) as log:
        log.commit([unit_request(4, 0)])
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        assert log.connect().execute("SELECT count(*) FROM roster").fetchone() == (5,)
        assert log.connect().execute("SELECT name, generation, seq, live FROM projections").fetchall() == [
            ("roster", 1, 21, 1)
        ]


def test_a_projection_made_by_other_code_is_built_anew(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE projections SET code = 'older'")
        db.execute("DELETE FROM roster")
    db.close()
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        assert log.connect().execute("SELECT count(*) FROM roster").fetchone() == (4,)
        assert log.connect().execute("SELECT generation, code FROM projections").fetchall() == [
            (2, fingerprint.code_fingerprint(RosterProjection()))
        ]


# Forgetting


def test_what_is_forgotten_is_in_no_byte_of_the_folder(path: Path) -> None:
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([register(1, "Ada Lovelace"), register(2, "Grace Hopper")])
        log.commit(lives(20))
        assert any(b"Ada Lovelace" in content for content in files_of(path.parent).values())
        log.commit([forget(1)])
        for content in files_of(path.parent).values():
            assert b"Ada Lovelace" not in content
        assert any(b"Grace Hopper" in content for content in files_of(path.parent).values())
    assert all(b"Ada Lovelace" not in content for content in files_of(path.parent).values())
