"""A writer notices that its file is not the log any more, and promises nothing that is written there."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import DamagedLogError, LogError, OutcomeUnknownError

from .support import unit_request

PATH = "mephisto.db"


def remove(log: Path) -> None:
    log.unlink()


def replace(log: Path) -> None:
    other = log.with_name("other.db")
    SqliteLog.create_or_open(other).close()
    os.replace(other, log)


def remove_all(log: Path) -> None:
    for file in log.parent.glob(f"{PATH}*"):
        file.unlink()


def remove_wal(log: Path) -> None:
    log.with_name(f"{PATH}-wal").unlink()


@pytest.mark.parametrize("harm", [remove, replace, remove_all, remove_wal])
def test_nothing_is_promised_in_a_file_that_is_gone(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = tmp_path / PATH
    with SqliteLog.create_or_open(path) as log:
        log.commit([unit_request(1, 0)])
        harm(path)
        with pytest.raises(
            OutcomeUnknownError, match=r"was removed or replaced while it was being written; put it back"
        ):
            log.commit([unit_request(2, 0)])
        with pytest.raises(LogError, match="accepts nothing more"):
            log.commit([unit_request(3, 0)])


def test_a_log_that_is_put_back_has_all_that_was_promised(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / PATH, tmp_path / "elsewhere"
    elsewhere.mkdir()
    names = [PATH, f"{PATH}-wal", f"{PATH}-shm"]
    with SqliteLog.create_or_open(path) as log:
        log.commit([unit_request(1, 0)])
        log.write_anchor()
        for name in names:
            (tmp_path / name).rename(elsewhere / name)
        with pytest.raises(OutcomeUnknownError):
            log.commit([unit_request(2, 0)])
    with pytest.raises(DamagedLogError, match="is empty or missing"):
        SqliteLog.create_or_open(path)
    for name in names:
        if (elsewhere / name).exists():
            (elsewhere / name).rename(tmp_path / name)
    with SqliteLog.create_or_open(path) as log:
        assert log.find(unit_request(1, 0).command)


@pytest.mark.parametrize("left", [0, 100, 0.9])
def test_a_wal_that_was_cut_takes_nothing_more(tmp_path: Path, left: float) -> None:
    path, wal = tmp_path / PATH, tmp_path / f"{PATH}-wal"
    with SqliteLog.create_or_open(path) as log:
        for number in range(1, 4):
            log.commit([unit_request(number, 0)])
        size = wal.stat().st_size
        os.truncate(wal, int(left * size) if left < 1 else int(left))
        with pytest.raises(LogError, match=r"-wal was cut from [\d,]+ to [\d,]+ bytes .* `mephisto-es verify"):
            log.commit([unit_request(4, 0)])
        with pytest.raises(LogError, match="accepts nothing more"):
            log.commit([unit_request(5, 0)])


def test_a_checkpoint_of_another_program_cuts_nothing_off(tmp_path: Path) -> None:
    path = tmp_path / PATH
    with SqliteLog.create_or_open(path) as log:
        for number in range(1, 4):
            log.commit([unit_request(number, 0)])
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        for number in range(4, 7):
            log.commit([unit_request(number, 0)])
        assert [bool(log.find(unit_request(number, 0).command)) for number in range(1, 7)] == [True] * 6
