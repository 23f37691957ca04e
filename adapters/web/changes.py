"""Telling open pages that the log has grown, although another process writes it.

SQLite has no way to call a reader of another process. It counts, though: `PRAGMA data_version` says in microseconds,
from memory that all connections share, whether anybody has committed since it was asked last. So one task asks it now
and again for all pages together, and nobody does while no page is open. Watching the file instead would be told of
more than commits, and differently on each system.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import anyio

from ..log.sqlite import schema

#: Seconds between two looks; so an open page is drawn anew once in that time at most.
LOOK_SECONDS = 1.0


class Changes:
    """The commits to one log file, as far as somebody waits for them.

    Attributes:
        number: goes up with each look that found commits.
        closed: the server ends; nobody is to wait any more.
    """

    def __init__(self, database: Path) -> None:
        """Take the file; `watch` opens it."""
        self.number = 0
        self.closed = False
        self._database = database
        self._waiting = 0
        self._wanted = anyio.Event()
        self._changed = anyio.Event()

    async def watch(self) -> None:
        """Look for commits for as long as anybody waits for one. Runs until it is cancelled.

        Raises:
            UnusableLogError: the file is gone.
        """
        with closing(schema.connect_read_only(self._database)) as db:
            seen: int | None = None
            while True:
                if not self._waiting:
                    self._wanted = anyio.Event()
                    await self._wanted.wait()
                await anyio.sleep(LOOK_SECONDS)
                version: int = db.execute("PRAGMA data_version").fetchone()[0]
                if version != seen:
                    seen = version
                    self._tell()

    async def wait_beyond(self, number: int) -> None:
        """Wait until `number` is another one, or the server ends."""
        self._waiting += 1
        self._wanted.set()
        try:
            while self.number == number and not self.closed:
                await self._changed.wait()
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Send everybody home."""
        self.closed = True
        self._tell()

    def _tell(self) -> None:
        self.number += 1
        self._changed.set()
        self._changed = anyio.Event()
