"""Whether the files of an open log are still where everybody looks for them.

A file that is removed or replaced lives on for those who have it open: a writer would go on writing to what nobody will
ever find, and promise that it is safe.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from struct import Struct

#: Beside the log, by SQLite's rules: what is committed and not in the log's file yet.
WAL_SUFFIX = "-wal"

#: Linux's way to ask for one thing about a file. Asked for more, as `os.stat` does, Linux from 6.13 on has to write the
#: file's times with each commit that follows, which costs a commit a third more.
_statx = getattr(ctypes.CDLL(None), "statx", None)
_FROM_HERE = -100
_INODE_ONLY = 0x100
_ANSWER_BYTES = 256
#: Of the answer: the inode's number, and the two numbers of its device.
_identity_in = Struct("=32xQ96xII").unpack_from


class FileGuard:
    """The files of a log that is open for writing."""

    def __init__(self, log: Path) -> None:
        """Look which files these are."""
        self._answer = ctypes.create_string_buffer(_ANSWER_BYTES)
        files = [str(log), f"{log}{WAL_SUFFIX}"]
        #: Each with its name as the system takes it, and what tells it from any other file.
        self._files = [(file, name := os.fsencode(file), self._identity(name)) for file in files]

    def changed_file(self) -> str | None:
        """The first of them that is not there any more, or is another one; None: all are in place."""
        for file, name, identity in self._files:
            if self._identity(name) != identity:
                return file
        return None

    def _identity(self, name: bytes) -> tuple[int, ...] | None:
        """What tells a file from any other; None if there is none."""
        if _statx is not None and _statx(_FROM_HERE, name, 0, _INODE_ONLY, self._answer) == 0:
            return _identity_in(self._answer)
        try:
            found = os.stat(name)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
