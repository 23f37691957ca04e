"""What a projection is to the log that feeds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent

if TYPE_CHECKING:
    import sqlite_utils

#: Gives the bytes behind a reference, or None where they were erased.
ReadPayload = Callable[[PayloadRef], bytes | None]


class Projection(Protocol):
    """Tables that are a fold of the log.

    A projection sees events and payloads and nothing else: no clock, no chance, no other table. So a rebuilt one
    equals the living one, row by row.
    """

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it writes; nobody else does."""

    def create(self, db: sqlite_utils.Database) -> None:
        """Make the tables, empty, with no indexes but those that `apply` needs."""

    def index(self, db: sqlite_utils.Database) -> None:
        """Make the indexes that readers need: once the rows are in, because then they cost least."""

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        """Carry events into the tables, inside the caller's transaction.

        Args:
            db: a connection in a transaction.
            events: the next events, in the order of the log.
            payload: reads what events refer to, also what is written in the same transaction.
        """
