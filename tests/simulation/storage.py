"""The product's log in a file, on a simulated disk: commits fail, and a power cut loses what was not synced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.log.sqlite.file_identity import WAL_SUFFIX, wal_paths
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.ports import Head
from mephisto_es.projections.mephisto_db import MephistoDbProjection

from ..powercut.disk import Change, Disk, File, Naming, Survival
from .faults import SLOW_SYNC_SECONDS, SYNC_SECONDS, DiskFault, PowerCutError
from .vfs import FULL, OK, SYNC_ERROR, WRITE_ERROR, watched

T = TypeVar("T")

_PSEUDONYM_KEY = bytes(32)
#: So few pages are in the `-wal` file before they go to the log's own file: a simulation is short.
CHECKPOINT_PAGES = 60
#: Files are kept here if there is such a folder: no simulation needs a real disk.
MEMORY_FOLDER = Path("/dev/shm")
_ERRORS = {DiskFault.FULL: FULL, DiskFault.LOST: WRITE_ERROR}


class SimulatedLog(SqliteLog):
    """The product's log, whose process can die."""

    def checkpoint_often(self) -> None:
        """Move pages to the log's own file more often than in the product."""
        self._db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")

    def abandon(self) -> None:
        """Let go of the files, as the end of a process does."""
        self._closed = True
        self._reader.close()
        self._db.close()
        self._lock.release()


class SimulatedDisk:
    """Knows what SQLite wrote and what of it was synced, and fails when it is told to.

    Attributes:
        done: what happened, by kind.
        fault: what the next write or sync meets; None: nothing. A crash before COMMIT may come within its writes.
        is_off: True from a power cut on: what is written then is on no disk.
    """

    def __init__(self, log: Path, chance: Random) -> None:
        """Take over a log that is complete and synced."""
        self.fault: DiskFault | None = None
        self.is_off = False
        self._log = log
        self._chance = chance
        self._disk = Disk(log.parent)
        self._disk.keep(log, log.read_bytes())
        #: Writes and syncs until the power is cut.
        self._left: int | None = None
        #: Writes and syncs of the last commit.
        self._steps = 0
        #: True if a sync of the last commit failed.
        self.has_failed = False
        self._has_dropped = False
        self.done: Counter[str] = Counter()

    def begin(self) -> None:
        """Take the first write of a commit next."""
        if self.fault is DiskFault.CRASH_BEFORE:
            self._left = self._chance.randint(0, self._steps)
        self._steps, self.has_failed = 0, False

    def restart(self, *, is_power_cut: bool) -> None:
        """Put what is left of the files in their place, whatever was written to them since the crash."""
        for path in (self._log, *wal_paths(self._log)):
            path.unlink(missing_ok=True)
        survival = self._chance.choice(list(Survival)) if is_power_cut else Survival.EVERYTHING
        if self._has_dropped and not is_power_cut and self._chance.random() < 0.5:
            self.done["dropped pages evicted"] += self._disk.evict()
        self._disk.cut(self._chance, survival, self._log.parent)
        if is_power_cut:
            self._disk = Disk(self._log.parent)
            for path in (self._log, wal_paths(self._log)[0]):
                if path.exists():
                    self._disk.keep(path, path.read_bytes())
        self.fault, self._left, self.is_off = None, None, False

    def on_create(self, path: Path) -> int:
        """Add a name, which is synced with the file's content."""
        if not self.is_off:
            self._disk.name(Naming(path.parent, {path: File()}, (), 0))
        return OK

    def on_write(self, path: Path, offset: int, data: bytes) -> int:
        """Write, or fail."""
        return self._step(_ERRORS) or self._change(path, Change(offset, data, 0))

    def on_truncate(self, path: Path, size: int) -> int:
        """Change the size of a file, or fail."""
        return self._step(_ERRORS) or self._change(path, Change(size, None, 0))

    def on_sync(self, path: Path) -> int:
        """Sync a file and the name of a new `-wal`, or fail: then no later sync writes what this one should have."""
        code = self._step({DiskFault.WRITTEN: SYNC_ERROR})
        if code != OK:
            # An error of a checkpoint is none of the commit before it: the pages are still in the `-wal` file.
            self.has_failed = path.name.endswith(WAL_SUFFIX)
            self._has_dropped = True
            self.done["pages dropped"] += self._disk.fail_sync(path) > 0
        elif not self.is_off:
            self._disk.sync(path, 1)
            if path.name.endswith(WAL_SUFFIX):
                self._disk.sync(path.parent, 1)
        return code

    def on_delete(self, path: Path) -> int:
        """Remove a name; that it is gone is not synced."""
        if not self.is_off:
            self._disk.name(Naming(path.parent, {}, (path,), 0))
        return OK

    def _step(self, errors: dict[DiskFault, int]) -> int:
        self._steps += 1
        if self._left is not None:
            self.is_off = self.is_off or self._left == 0
            self._left -= 1
        if self.is_off or self.fault is None or self.fault not in errors:
            return OK
        code, self.fault = errors[self.fault], None
        return code

    def _change(self, path: Path, change: Change) -> int:
        if not self.is_off:
            self._disk.change(path, change)
        return OK


class FileStorage:
    """The file of a simulation's log, through all the lives of its operators.

    Attributes:
        log: the log of the operator that lives now.
        done: what happened to the log, by kind.
    """

    log: SimulatedLog

    def __init__(self, folder: Path, chance: Random) -> None:
        self._folder = TemporaryDirectory(dir=MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else folder)
        self._path = Path(self._folder.name) / DATABASE_FILE
        self._path.write_bytes(_empty_log())
        self._chance = chance
        self._disk = SimulatedDisk(self._path, Random(chance.getrandbits(64)))
        #: How long a commit takes.
        self.sync_seconds = SYNC_SECONDS
        #: The last event that somebody was told to be in the log.
        self._told: Head | None = None
        self._is_dead = False
        self._is_open = False
        #: What happened to the log, and to its disk.
        self.done = self._disk.done

    @property
    def fault(self) -> DiskFault | None:
        """The fault that the next commit meets."""
        return self._disk.fault

    @fault.setter
    def fault(self, fault: DiskFault | None) -> None:
        self._disk.fault = fault

    def in_use(self) -> AbstractContextManager[None]:
        """Simulate the disk for every connection that is opened meanwhile."""
        return watched(self._path.parent, self._disk)

    def power_off(self) -> None:
        """The process that writes is gone; a commit under way may be the last thing that it did."""
        self._is_dead = True

    def open_again(self) -> None:
        """Let another process take the file, after a power cut or not; everything that anybody was told is in it."""
        if self._is_open:
            is_power_cut = self._chance.random() < 0.5
            self._disk.is_off = True
            self.log.abandon()
            self._disk.restart(is_power_cut=is_power_cut)
            self.done["power cut"] += is_power_cut
        self._is_dead = False
        self.log = SimulatedLog.create_or_open(self._path, (MephistoDbProjection(),), pseudonym_key=_PSEUDONYM_KEY)
        self._is_open = True
        self.log.checkpoint_often()
        told = self._told
        if told is not None and told.seq:
            assert self.log.chain_at(told.seq) == told.chain, f"seq {told.seq} was acknowledged, and is lost"

    async def offload(self, call: Callable[[], T], /) -> T:
        """Commit in a time that a disk takes, without a thread."""
        if is_slow := self.fault is DiskFault.SLOW:
            self.fault = None
        await trio.sleep(self._chance.uniform(*(SLOW_SYNC_SECONDS if is_slow else self.sync_seconds)))
        if self._is_dead:
            self.fault = self._chance.choice([DiskFault.CRASH_BEFORE, DiskFault.CRASH_AFTER])
        has_crashed = self.fault in (DiskFault.CRASH_BEFORE, DiskFault.CRASH_AFTER)
        self._disk.begin()
        done = call()
        assert not self._disk.has_failed, "something was confirmed whose sync had failed"
        if has_crashed:
            self.done["crash within COMMIT"] += self._disk.is_off
            self._disk.is_off = True
            raise PowerCutError
        self._told = self.log.head()
        return done

    def reader(self) -> LogReader:
        """Open the log for reading."""
        return SqliteLog.open_read_only(self._path)

    def close(self) -> None:
        """Remove the files."""
        if self._is_open:
            self._disk.is_off = True
            self.log.abandon()
        self._folder.cleanup()


@cache
def _empty_log() -> bytes:
    """Make a log without events: making its tables takes longer than a simulation."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE_FILE
        SqliteLog.create_or_open(path, (MephistoDbProjection(),), pseudonym_key=_PSEUDONYM_KEY).close()
        return path.read_bytes()
