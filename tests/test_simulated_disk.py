"""Simulations whose disk fails to sync, and then takes what it was to write for written."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite import log as sqlite_log
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.operations.logger_core import set_mephisto_log_level

from .simulation.faults import DiskFault
from .simulation.outcome import ViolationError
from .simulation.simulate import simulate
from .simulation.storage import FileStorage

#: Seeds in which a failed sync drops pages: once they are read from the disk again, and once the next operator still
#: finds them in the cache of the kernel, and the power is cut after that.
EVICTED, CACHED = 11, 110


@pytest.fixture(autouse=True)
def only_syncs_fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every fault of the disk be a sync that fails."""
    fault = property(lambda storage: storage._disk.fault, _set_fault)
    monkeypatch.setattr(FileStorage, "fault", fault)
    set_mephisto_log_level(level="critical")
    yield
    set_mephisto_log_level(level="info")


def _set_fault(storage: FileStorage, fault: DiskFault | None) -> None:
    storage._disk.fault = None if fault is None else DiskFault.WRITTEN


def test_nothing_is_lost_that_was_confirmed(tmp_path: Path) -> None:
    faults = run_all((EVICTED, CACHED), tmp_path)
    assert faults["pages dropped"] > 1
    assert faults["dropped pages evicted"]
    assert faults["power cut"]


def _ignore_errors(log: SqliteLog) -> None:
    """Take a COMMIT for done whatever SQLite says."""
    try:
        log._db.execute("COMMIT")
    except sqlite3.OperationalError:
        return


def test_a_failed_sync_that_is_ignored_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteLog, "_end_transaction", _ignore_errors)
    with pytest.raises(ViolationError, match="was confirmed whose sync had failed"):
        run_all(range(2, 100), tmp_path)


def test_pages_that_are_only_in_the_cache_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that appends to the `-wal` file it finds, without writing its pages anew, builds on nothing."""
    monkeypatch.setattr(sqlite_log, "has_wal", lambda _path: False)
    with pytest.raises(ViolationError, match="was acknowledged, and is lost"):
        run_all(range(CACHED, CACHED + 1000), tmp_path)


def run_all(seeds: Iterable[int], folder: Path) -> Counter[str]:
    """Run seeds one after another; return the faults."""
    faults: Counter[str] = Counter()
    for seed in seeds:
        faults += simulate(seed, folder, on_disk=True).faults
    return faults
