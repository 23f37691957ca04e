"""A log as of one moment, as the readers here see it."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent


class AsOf(Protocol):
    """The events up to a position, and the MephistoDB view as it was there. All answers agree with each other."""

    @property
    def seq(self) -> int:
        """The last position that belongs to it; 0: the log was empty."""

    @property
    def at(self) -> int:
        """The time of the event at that position, in microseconds; 0 in an empty log."""

    @property
    def view(self) -> sqlite3.Connection:
        """The tables of the MephistoDB view, to be read only."""

    def stream(self, name: str) -> list[RecordedEvent]:
        """The events of a stream, the oldest first."""

    def under(self, prefix: str) -> list[RecordedEvent]:
        """The events of all streams whose names begin so, in the order of the log."""

    def command(self, name: str) -> list[RecordedEvent]:
        """The events that a command made."""

    def latest(self, count: int) -> list[RecordedEvent]:
        """The last events, in the order of the log."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
