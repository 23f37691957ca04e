"""Moves committed pages from the `-wal` file to the log's own file: late after large commits, at once after erasures.

SQLite moves pages within a COMMIT, once there are many. After a commit of megabytes that takes as long as the commit
itself, and everybody who waits for the next one would wait for both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ....core.errors import LogError
from ....core.ports import Payload

#: Pages in the `-wal` file after which a COMMIT moves them.
USUAL_PAGES = 1000
#: The same after a large commit: 32 MiB, so a writer that never rests does not fill the disk.
MOST_PAGES = 8 * 2**10
#: Bytes of payloads that make a commit large.
LARGE_COMMIT_BYTES = 2**20


class WalPages:
    """The pages in the `-wal` file of a log that is open for writing."""

    def __init__(self, log: Path, db: sqlite3.Connection) -> None:
        """Keep the parts.

        Args:
            log: the file of the log.
            db: the writer's connection.
        """
        self._log = log
        self._db = db
        #: True while the `-wal` file may still contain erased values.
        self.holds_forgotten = False
        #: True if pages of a large commit are to be moved while nobody waits for a commit.
        self.are_many = False

    def expect(self, payloads: Iterable[Payload]) -> None:
        """Have the pages of a commit with these payloads moved later, if they are large."""
        if sum(len(payload.body) for payload in payloads) >= LARGE_COMMIT_BYTES:
            self.are_many = True
            self._move_within_commits(MOST_PAGES)

    def move(self) -> None:
        """Move all pages that no reader keeps. If that fails, they are still where they were."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._move_within_commits(USUAL_PAGES)
        self.are_many = False

    def empty(self) -> None:
        """Move all pages and empty the file, because it may contain erased values.

        Raises:
            LogError: that failed.
        """
        try:
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise LogError(f"{self._log}-wal still contains erased values: {error}") from error
        self.holds_forgotten = bool(busy)

    def _move_within_commits(self, pages: int) -> None:
        self._db.execute(f"PRAGMA wal_autocheckpoint={pages}")
