"""Detects that a file of an open log was removed or replaced.

A removed file stays alive for processes that have it open. A writer would continue to write to a file that nobody can
find any more, and acknowledge the events in it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from struct import Struct

#: Suffix of SQLite's write-ahead log: committed pages that are not in the database file yet.
WAL_SUFFIX = "-wal"

#: Linux's call for single attributes of a file. `os.stat` also reads the file's times; from Linux 6.13 on, the kernel
#: then has to update them with each following commit, which makes a commit a third slower.
_statx = getattr(ctypes.CDLL(None), "statx", None)
_AT_FDCWD = -100
_INODE_ONLY = 0x100
_ANSWER_BYTES = 256
#: Extracts the inode number and the two device numbers from the answer.
_identity_in = Struct("=32xQ96xII").unpack_from


def wal_paths(log: Path) -> tuple[Path, ...]:
    """Return the files that SQLite makes beside a log."""
    return tuple(log.with_name(f"{log.name}{suffix}") for suffix in (WAL_SUFFIX, "-shm"))


def has_wal(log: Path) -> bool:
    """Return whether there are pages beside a log that are not in its file yet."""
    wal = wal_paths(log)[0]
    return wal.exists() and wal.stat().st_size > 0


class FileGuard:
    """Watches the files of a log that is open for writing."""

    def __init__(self, log: Path) -> None:
        """Remember the identity of the files."""
        self._answer = ctypes.create_string_buffer(_ANSWER_BYTES)
        files = [str(log), f"{log}{WAL_SUFFIX}"]
        #: Each with its encoded name and its identity.
        self._files = [(file, name := os.fsencode(file), self._identity(name)) for file in files]

    def changed_file(self) -> str | None:
        """Return the first file that was removed or replaced, or None if all are in place."""
        for file, name, identity in self._files:
            if self._identity(name) != identity:
                return file
        return None

    def _identity(self, name: bytes) -> tuple[int, ...] | None:
        """Return the device and inode of a file, or None if there is none."""
        if _statx is not None and _statx(_AT_FDCWD, name, 0, _INODE_ONLY, self._answer) == 0:
            return _identity_in(self._answer)
        try:
            found = os.stat(name)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
