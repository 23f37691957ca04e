"""Reading a log file as of a position."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.as_of import LogAsOf, open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import LogError, UnknownEntityError, UnusableLogError
from mephisto_es.core.ports import AppendRequest
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.registry import PROJECTIONS

from ...histories import numbered
from ...history_search import find_history
from ...projections.views import rebuilt

HISTORY = find_history(600, lambda state: sum(state.versions.values()) > 300)
EVENTS = numbered(HISTORY)
Tables = dict[str, list[tuple[object, ...]]]


def write(path: Path, requests: tuple[AppendRequest, ...] = HISTORY) -> Path:
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        for request in requests:
            log.commit([request])
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("log") / "mephisto.db")


def contents(view: sqlite3.Connection | MephistoDB) -> Tables:
    return {table.name: view.execute(f"SELECT * FROM {table.name} ORDER BY 1").fetchall() for table in TABLES}


def the_view_at(as_of: LogAsOf, seq: int) -> Tables:
    """Build the view at a position, with the payloads that are left at the end."""
    return contents(rebuilt(EVENTS[:seq], as_of.payload))


def test_the_head_is_the_file_s_own_view(database: Path) -> None:
    with open_as_of(database) as as_of:
        assert as_of.seq == len(EVENTS)
        assert as_of.at == EVENTS[-1].envelope.at
        assert contents(as_of.db) == the_view_at(as_of, len(EVENTS))
        with pytest.raises(ValueError, match="stays at the head"):
            as_of.advance(as_of.at)


@pytest.mark.parametrize("seq", [1, 17, 100, len(EVENTS) - 1])
def test_an_earlier_position(database: Path, seq: int) -> None:
    with open_as_of(database, seq=seq) as as_of:
        assert (as_of.seq, as_of.at) == (seq, EVENTS[seq - 1].envelope.at)
        assert contents(as_of.db) == the_view_at(as_of, seq)
        stream = EVENTS[seq - 1].envelope.stream
        assert as_of.stream(stream)[-1] == EVENTS[seq - 1]
        assert as_of.latest(5) == EVENTS[max(0, seq - 5) : seq]
        assert list(as_of.events(after=seq - 1)) == [EVENTS[seq - 1]]
        assert as_of.command(EVENTS[seq - 1].envelope.command)[-1] == EVENTS[seq - 1]
        category = stream.partition("/")[0] + "/"
        assert as_of.under(category) == [one for one in EVENTS[:seq] if one.envelope.stream.startswith(category)]


@pytest.mark.parametrize("number", [0, 40, 250, len(EVENTS) - 1])
def test_a_time_is_all_that_had_happened_by_then(database: Path, number: int) -> None:
    at = EVENTS[number].envelope.at
    with open_as_of(database, at=at) as as_of:
        assert as_of.seq == sum(one.envelope.at <= at for one in EVENTS)
    with open_as_of(database, at=at - 1) as as_of:
        assert as_of.seq == sum(one.envelope.at < at for one in EVENTS)


def test_before_anything_happened(database: Path) -> None:
    with open_as_of(database, at=0) as as_of:
        assert (as_of.seq, as_of.at) == (0, 0)
        assert not any(contents(as_of.db).values())


def test_a_position_that_is_not_there(database: Path) -> None:
    with pytest.raises(UnknownEntityError, match=rf"there is no seq 99999; the nearest is seq {len(EVENTS)}"):
        open_as_of(database, seq=99999).__enter__()


def test_moving_forward_is_being_there(database: Path) -> None:
    with open_as_of(database, at=0, can_advance=True) as as_of:
        for number in (0, 3, 3, 120, len(EVENTS) - 1):
            as_of.advance(EVENTS[number].envelope.at)
            seq = sum(one.envelope.at <= EVENTS[number].envelope.at for one in EVENTS)
            assert (as_of.seq, as_of.at) == (seq, EVENTS[seq - 1].envelope.at)
            assert contents(as_of.db) == the_view_at(as_of, seq)


def test_a_copy_elsewhere_is_read_and_left_alone(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    copy.chmod(0o400)
    before = copy.read_bytes()
    with open_as_of(copy) as as_of, open_as_of(database) as original:
        assert contents(as_of.db) == contents(original.db)
    assert copy.read_bytes() == before


def test_a_view_of_other_code_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "mephisto.db")
    db = sqlite3.connect(path)
    db.execute("UPDATE projections SET code = 'older'")
    db.execute("UPDATE units SET status = 'nonsense'")
    db.commit()
    db.close()
    with open_as_of(path) as as_of:
        assert contents(as_of.db) == the_view_at(as_of, len(EVENTS))


def test_a_moment_stands_still_while_the_log_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker is forgotten meanwhile, and the writer waits so long for readers to let go of the deleted bytes.
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_SECONDS", 0.1)
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(HISTORY[:50])
        with open_as_of(path) as as_of:
            before = contents(as_of.db)
            log.commit(HISTORY[50:])
            assert contents(as_of.db) == before
            assert as_of.latest(1)[0].seq == as_of.seq
        with open_as_of(path) as as_of:
            assert as_of.seq == len(EVENTS)


def test_what_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, whatever its name may be " * 30)
    with pytest.raises(UnusableLogError, match=r"notes\.txt is not a log of mephisto-es"):
        open_as_of(tmp_path / "notes.txt").__enter__()
    with pytest.raises(UnusableLogError, match="there is no log at"):
        open_as_of(tmp_path / "nothing.db").__enter__()


def test_a_file_that_breaks_off(database: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.db"
    content = bytearray(database.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    torn.write_bytes(content)
    with pytest.raises(LogError, match="malformed"), open_as_of(torn) as as_of:
        as_of.latest(10)
