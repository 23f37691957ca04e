"""The hash chain over a log: damage to any event shows, and is named to the event.

Each link covers the link before it, the position and the canonical bytes of the event. The columns beside the bytes
only repeat what the bytes say, so they are compared with them instead of being covered.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

#: A row as SQLite hands it out: the fields of `Row`, in its order. Reading a log makes one for each event, and naming
#: the fields would cost as much again; `Row._make` names them where that matters.
Columns = tuple[int, bytes, bytes, str, int, str, int, str, int]

#: What stands before the first link.
GENESIS = bytes(32)


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
    command: str
    ordinal: int


def link(previous: bytes, seq: int, data: bytes) -> bytes:
    """The chain's value at a position.

    Args:
        previous: the value at the position before; `GENESIS` for the first.
        seq: the position.
        data: the event's canonical bytes.
    """
    return hashlib.sha256(previous + seq.to_bytes(8, "big") + data).digest()
