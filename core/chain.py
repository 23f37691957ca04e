"""The hash chain over a log: damage to any event shows, and is named to the event.

Each link covers the link before it, the position and the canonical bytes of the event. The columns beside the bytes
only repeat what the bytes say, so they are compared with them instead of being covered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

#: The fields of a `Row` after its position, as SQLite hands them out: naming them would cost as much as reading them.
Columns = tuple[bytes, bytes, str, int, str, int, str | None]


class Page(NamedTuple):
    """Rows without a gap between them."""

    #: Position of the first one.
    seq: int
    rows: Sequence[Columns]

    def row(self, seq: int) -> Row:
        """The row at a position."""
        return Row(seq, *self.rows[seq - self.seq])

    def named(self) -> Iterator[Row]:
        """All rows, with their positions and the names of their fields."""
        return (Row(seq, *columns) for seq, columns in enumerate(self.rows, self.seq))

    @property
    def last(self) -> int:
        """Position of the last row."""
        return self.seq + len(self.rows) - 1


#: What stands before the first link.
GENESIS = bytes(32)
#: What a link covers before the event: the link before it, and the position.
_before = Struct(">32sQ").pack


class Row(NamedTuple):
    """An event as a log stores it."""

    seq: int
    #: The canonical bytes.
    data: bytes
    chain: bytes
    # What repeats the bytes, for the indexes and for SQL:
    stream: str
    version: int
    kind: str
    at: int
    #: None: the event belongs to the same command as the one before.
    command: str | None


def link(previous: bytes, seq: int, data: bytes) -> bytes:
    """The chain's value at a position.

    Args:
        previous: the value at the position before; `GENESIS` for the first.
        seq: the position.
        data: the event's canonical bytes.
    """
    return hashlib.sha256(_before(previous, seq) + data).digest()
