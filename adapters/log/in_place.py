"""Whether the files of an open log are still where everybody looks for them.

A file that is removed or replaced lives on for those who have it open: a writer would go on writing to what nobody will
ever find, and promise that it is safe.
"""

from __future__ import annotations

import os
from pathlib import Path

#: Beside the log, by SQLite's rules: what is committed and not in the log's file yet.
WAL_SUFFIX = "-wal"


class FilesInPlace:
    """The files of a log that is open for writing."""

    def __init__(self, log: Path) -> None:
        """Look which files these are."""
        self._files = {path: _identity(path) for path in (log, log.with_name(log.name + WAL_SUFFIX))}

    def moved(self) -> Path | None:
        """The first of them that is not there any more, or is another one; None: all are in place."""
        for path, identity in self._files.items():
            if _identity(path) != identity:
                return path
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from any other; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
