"""The hash chain over a log: any change to an event shows, and is traced to that event.

Each link covers the previous link, the position, the epoch of the writer, and the canonical bytes of the event. The
chain begins with a digest of the log's secret key, so the key cannot be exchanged either. The other columns only repeat
what the bytes say, so audits compare them instead of covering them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

#: The fields of a `ChainRow` after its position, as SQLite returns them. Naming them would double the cost of reading.
Columns = tuple[bytes, bytes, int, str, int, str, int, str | None]


class ChainPage(NamedTuple):
    """Consecutive rows of a log."""

    #: Position of the first row.
    seq: int
    rows: Sequence[Columns]

    def row(self, seq: int) -> ChainRow:
        """Return the row at a position."""
        return ChainRow(seq, *self.rows[seq - self.seq])

    def named(self) -> Iterator[ChainRow]:
        """Yield all rows with their positions and named fields."""
        return (ChainRow(seq, *columns) for seq, columns in enumerate(self.rows, self.seq))

    @property
    def last(self) -> int:
        """Position of the last row."""
        return self.seq + len(self.rows) - 1


#: The part of a link before the event: the previous link, the position, and the epoch.
_before = Struct(">32sqq").pack


class ChainRow(NamedTuple):
    """An event as a log stores it."""

    seq: int
    #: The canonical bytes.
    data: bytes
    chain: bytes
    #: The number of the writer that appended it; see `SqliteLog.epoch`.
    epoch: int
    # Columns that repeat what the bytes say, for the indexes and for SQL:
    stream: str
    version: int
    kind: str
    at: int
    #: None if the event belongs to the same command as the event before it.
    command: str | None


def genesis(pseudonym_key: bytes, created_by: str) -> bytes:
    """Return the value of the chain before the first event of a log.

    Args:
        pseudonym_key: the secret key of the log. The digest does not reveal it.
        created_by: the name and version of the program that created the log.
    """
    return hashlib.sha256(b"mephisto-es log\0" + pseudonym_key + created_by.encode()).digest()


def link(previous: bytes, seq: int, epoch: int, data: bytes) -> bytes:
    """Return the value of the chain at a position.

    Args:
        previous: the value at the position before; for the first position, that of `genesis`.
        seq: the position.
        epoch: the epoch of the writer.
        data: the event's canonical bytes.
    """
    return hashlib.sha256(_before(previous, seq, epoch) + data).digest()
