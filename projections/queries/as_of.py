"""The interface through which queries read a log as of one position."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ..mephisto_db.reader import MephistoDB


class AsOf(Protocol):
    """The events up to a position, and the MephistoDB view at that position.

    All answers are consistent with each other, whatever is appended meanwhile.
    """

    @property
    def seq(self) -> int:
        """The last position included; 0 if the log was empty."""

    @property
    def at(self) -> int:
        """The time of the event at that position, in microseconds; 0 if the log was empty."""

    @property
    def db(self) -> MephistoDB:
        """The view at that position."""

    def stream(self, name: str) -> list[RecordedEvent]:
        """Return the events of a stream, oldest first."""

    def streams(self, names: Collection[str]) -> dict[str, list[RecordedEvent]]:
        """Return the events of several streams by their names, read together, oldest first."""

    def under(self, prefix: str) -> list[RecordedEvent]:
        """Return the events of all streams whose names start with a prefix, in log order.

        Args:
            prefix: the beginning of the names, such as `server/1/`; not empty.
        """

    def command(self, name: str) -> list[RecordedEvent]:
        """Return the events of a command."""

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return a payload; None: it was erased."""

    def latest(self, count: int) -> list[RecordedEvent]:
        """Return the last events, in log order."""
