"""The interface between a projection and the log that feeds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent

if TYPE_CHECKING:
    import sqlite_utils

#: Returns the bytes behind a reference, or None if they were erased.
ReadPayload = Callable[[PayloadRef], bytes | None]


class Projection(Protocol):
    """Tables that are folded from the log.

    A projection depends only on events and payloads, not on a clock, randomness or other tables. A rebuilt one
    therefore equals the live one, row by row.
    """

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it writes; nothing else writes them."""

    def create(self, db: sqlite_utils.Database) -> None:
        """Create the tables, empty, with only the indexes that `apply` needs."""

    def index(self, db: sqlite_utils.Database) -> None:
        """Create the indexes that readers need. Called once the rows are in, which is cheapest."""

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        """Apply events to the tables, inside the caller's transaction.

        Args:
            db: a connection in a transaction.
            events: the next events, in log order.
            payload: reads the payloads that events refer to, including those written in the same transaction.
        """
