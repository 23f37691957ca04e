"""Detects that a file of an open log was removed, replaced or cut.

A removed file stays alive for processes that have it open. A writer would continue to write to a file that nobody can
find any more, and acknowledge the events in it. After a `-wal` file was cut, it would write on behind a hole.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from struct import Struct

from ....core.errors import LogError, OutcomeUnknownError
from ....core.ports import Head

#: Suffix of SQLite's write-ahead log: committed pages that are not in the database file yet.
WAL_SUFFIX = "-wal"

#: Linux's call for single attributes of a file. `os.stat` also reads the file's times; from Linux 6.13 on, the kernel
#: then has to update them with each following commit, which makes a commit a third slower.
_statx = getattr(ctypes.CDLL(None), "statx", None)
_AT_FDCWD = -100
_INODE_AND_SIZE = 0x300
_ANSWER_BYTES = 256
#: Extracts the inode number, the size and the two device numbers from the answer.
_look_in = Struct("=32xQQ88xII").unpack_from


def wal_paths(log: Path) -> tuple[Path, ...]:
    """Return the files that SQLite makes beside a log."""
    return tuple(log.with_name(f"{log.name}{suffix}") for suffix in (WAL_SUFFIX, "-shm"))


def has_wal(log: Path) -> bool:
    """Return whether there are pages beside a log that are not in its file yet."""
    wal = wal_paths(log)[0]
    return wal.exists() and wal.stat().st_size > 0


class FileGuard:
    """Watches the files of a log that is open for writing."""

    def __init__(self, log: Path, read_head: Callable[[], Head | None]) -> None:
        """Remember the identity of the files.

        Args:
            log: the file of the log.
            read_head: reads the whole log over a connection of its own, which has no page in its memory; returns its
                last event.
        """
        self._log = log
        self._read_head = read_head
        self._answer = ctypes.create_string_buffer(_ANSWER_BYTES)
        self._file, self._wal = str(log), f"{log}{WAL_SUFFIX}"
        self._file_name, self._wal_name = os.fsencode(self._file), os.fsencode(self._wal)
        self._identities = self._look(self._file_name)[1:], self._look(self._wal_name)[1:]
        self._wal_bytes = 0

    def check_in_place(self) -> None:
        """Check that the files are where they were. Called after COMMIT, as they may be moved until then.

        Raises:
            OutcomeUnknownError: one was removed or replaced, so that nobody would find what was written.
        """
        file = self._look(self._file_name)
        self._wal_bytes, *wal = self._look(self._wal_name)
        for path, found, known in zip((self._file, self._wal), (file[1:], tuple(wal)), self._identities, strict=True):
            if found != known:
                raise OutcomeUnknownError(
                    f"{path} was removed or replaced while it was being written; put it back, and nothing is lost"
                )

    def check_not_cut(self, head: Head) -> None:
        """Check that the `-wal` file has not lost what was committed. Called before something more is written.

        It is shorter also after a checkpoint that another program asked for; then everything is in the log's own file.

        Args:
            head: the last event that was committed.

        Raises:
            LogError: somebody has cut the file.
        """
        wal_bytes, *wal = self._look(self._wal_name)
        if wal_bytes >= self._wal_bytes or tuple(wal) != self._identities[1]:
            return
        try:
            is_whole = self._read_head() == head
        except (LogError, sqlite3.Error):
            is_whole = False
        if not is_whole:
            raise LogError(
                f"{self._wal} was cut from {self._wal_bytes:,} to {wal_bytes:,} bytes while it was being written, and "
                f"events are lost; `mephisto-es verify {self._log}` says what is left, and `mephisto-es restore` puts "
                "a backup in its place"
            )

    def _look(self, name: bytes) -> tuple[int, ...]:
        """Return the size of a file and what identifies it; the size is 0 and nothing follows if there is none."""
        if _statx is not None and _statx(_AT_FDCWD, name, 0, _INODE_AND_SIZE, self._answer) == 0:
            inode, size, *device = _look_in(self._answer)
            return size, inode, *device
        try:
            found = os.stat(name)
        except FileNotFoundError:
            return (0,)
        return found.st_size, found.st_dev, found.st_ino
