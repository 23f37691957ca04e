"""Notifies open pages that the log has grown, although another process writes it.

SQLite cannot notify a reader in another process. But `PRAGMA data_version` tells within microseconds, from memory that
all connections share, whether anything was committed since it was last asked. So one task asks it at intervals on
behalf of all pages, and only while a page is open. Watching the file instead would report more than commits, and
differently on each system.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import anyio

from ..log.sqlite import schema

#: The interval between two checks. An open page is redrawn at most once in this time.
CHECK_SECONDS = 1.0


class Changes:
    """Commits to one log file, observed while anybody waits for them.

    Attributes:
        number: increases with each check that found commits.
        closed: True once the server shuts down; nobody waits any more.
    """

    def __init__(self, database: Path) -> None:
        """Take the file; `watch` opens it."""
        self.number = 0
        self.closed = False
        self._database = database
        self._waiting = 0
        self._has_waiters = anyio.Event()
        self._changed = anyio.Event()

    async def watch(self) -> None:
        """Check for commits while anybody waits for one. Runs until cancelled.

        Raises:
            UnusableLogError: the file is gone.
        """
        with closing(schema.connect_read_only(self._database)) as db:
            seen: int | None = None
            while True:
                if not self._waiting:
                    self._has_waiters = anyio.Event()
                    await self._has_waiters.wait()
                await anyio.sleep(CHECK_SECONDS)
                version: int = db.execute("PRAGMA data_version").fetchone()[0]
                if version != seen:
                    seen = version
                    self._notify()

    async def wait_beyond(self, number: int) -> None:
        """Wait until `number` has changed, or the server shuts down."""
        self._waiting += 1
        self._has_waiters.set()
        try:
            while self.number == number and not self.closed:
                await self._changed.wait()
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wake everybody who waits; the server shuts down."""
        self.closed = True
        self._notify()

    def _notify(self) -> None:
        self.number += 1
        self._changed.set()
        self._changed = anyio.Event()
