"""Reads a log that grows, piece by piece from a position on, for whoever follows it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import trio

from ...core.ports import Head
from ...events.envelope import RecordedEvent

#: Events read at a time; between two pieces others have their turn.
PIECE_EVENTS = 500
#: Seconds between two looks at a log that another process writes.
CHECK_SECONDS = 0.5


class EventSource(Protocol):
    """A log, as far as it is followed."""

    @property
    def path(self) -> Path:
        """The file."""

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events with `after < seq <= until`, in order."""

    def head(self) -> Head:
        """Return the position, chain and time of the last event."""


class LogFeed:
    """The events of a log from a position on, each once.

    Attributes:
        seq: position of the last event that was returned.
    """

    def __init__(self, source: EventSource, after: int = 0) -> None:
        """Start behind a position; nothing is read yet."""
        self._source = source
        self.seq = after

    def read_piece(self) -> list[RecordedEvent]:
        """Return the next events, not too many at a time; none if there are no more yet.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """
        until = min(self._source.head().seq, self.seq + PIECE_EVENTS)
        piece = list(self._source.read(self.seq, until)) if until > self.seq else []
        if piece:
            self.seq = piece[-1].seq
        return piece


class FileCommits:
    """Commits of another process to a log, as SQLite tells from memory that all connections share."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Take a connection that is used for nothing else; what is committed from now on counts."""
        self._db = db
        self._seen = self._version()

    async def wait(self) -> None:
        """Wait until something was committed since this was constructed, or since the last call returned."""
        # Another process commits, so there is nothing here to be notified by.
        while (version := self._version()) == self._seen:  # noqa: ASYNC110
            await trio.sleep(CHECK_SECONDS)
        self._seen = version

    def _version(self) -> int:
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version
