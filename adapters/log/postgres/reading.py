"""Reads events and payloads of a log in PostgreSQL, by partition and in the common order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from ....core.chain import ChainRow, genesis, link
from ....core.errors import DamagedLogError, UnusableLogError
from ....core.ports import Head, Payload
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....events.ids import WorkerId
from ..epochs import AFTER_COMMANDS, FIRST_COMMAND, epoch_of
from ..sqlite.reader import recorded
from .server import Connection

#: Events read by one query.
PAGE_EVENTS = 1000

# OFFSET 0 keeps the planner from joining the other way round, as in `schema.sql`.
_ENDS = """
    SELECT p.partition, e.seq, e.chain, e.at FROM es.partition p
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = p.partition ORDER BY e.seq DESC LIMIT 1) e
"""
_NEWS = """
    SELECT e.partition, e.seq, e.at, e.command, e.ordinal, e.epoch, e.data, e.chain
      FROM unnest(%s::text[], %s::bigint[]) seen(partition, seq)
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = seen.partition AND e.seq > seen.seq
                          ORDER BY e.seq OFFSET 0) e
     ORDER BY e.partition, e.seq
"""
_COMMANDS = """
    SELECT e.command, e.seq, e.data FROM unnest(%s::text[]) c(command)
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.command = c.command ORDER BY e.ordinal OFFSET 0) e
     ORDER BY e.command, e.ordinal
"""
_COMMAND = "SELECT seq, data FROM es.event WHERE command = %s ORDER BY ordinal"
_LAST_COMMAND = "SELECT max(command) FROM es.event WHERE command >= %s AND command < %s"
_STREAM = "SELECT seq, data FROM es.event WHERE partition = %s AND stream = %s ORDER BY version"
_VERSION = "SELECT coalesce(max(version), 0) FROM es.event WHERE partition = %s AND stream = %s"
_ROWS = """
    SELECT seq, data, chain, epoch, stream, version, kind, at, CASE WHEN ordinal = 0 THEN command END FROM es.event
     WHERE partition = %s ORDER BY seq
"""
_PLACE = "SELECT es.place()"
_END = "SELECT pos + n - 1, partition, seq + n - 1 FROM es.feed ORDER BY pos DESC LIMIT 1"
_AT = "SELECT chain, at FROM es.event WHERE partition = %s AND seq = %s"
_PAGE = """
    SELECT f.pos + e.seq - f.seq, e.data FROM es.feed f
     CROSS JOIN LATERAL (SELECT * FROM es.event e WHERE e.partition = f.partition
                            AND e.seq BETWEEN f.seq AND f.seq + f.n - 1 ORDER BY e.seq OFFSET 0) e
     WHERE f.pos >= (SELECT max(pos) FROM es.feed WHERE pos <= %(first)s) AND f.pos <= %(last)s
       AND f.pos + e.seq - f.seq BETWEEN %(first)s AND %(last)s
     ORDER BY 1
"""
_SEALED = "SELECT sha256, salt, body, subject FROM es.payload WHERE sha256 = ANY(%s)"
_PAYLOAD = "SELECT body FROM es.payload WHERE sha256 = %s"
_UNCONFIRMED = "SELECT copy FROM es.copy WHERE pos < %s ORDER BY copy"
_META = "SELECT pseudonym_key, created_by FROM es.meta"


class NewsRow(NamedTuple):
    """An event that a writer has not seen yet."""

    partition: str
    seq: int
    at: int
    command: str
    ordinal: int
    epoch: int
    data: bytes
    chain: bytes


def meta(db: Connection) -> tuple[bytes, str]:
    """Return the secret key of the log, and the name and version of the program that created it."""
    row = db.execute(_META, binary=True).fetchone()
    if row is None:
        raise UnusableLogError("the table es.meta is empty: restore the database")
    return bytes(row[0]), str(row[1])


def partition_genesis(pseudonym_key: bytes, created_by: str, partition: str) -> bytes:
    """Return the value of a partition's chain before its first event."""
    return genesis(pseudonym_key, f"{created_by} {partition}")


def ends(db: Connection) -> dict[str, Head]:
    """Return the head of each partition that is not empty."""
    return {partition: Head(seq, chain, at) for partition, seq, chain, at in db.execute(_ENDS, binary=True)}


def news_query(seen: Mapping[str, Head]) -> tuple[str, tuple[list[str], list[int]]]:
    """Return the query, with its parameters, for what comes after the given heads."""
    return _NEWS, (list(seen), [head.seq for head in seen.values()])


def commands_query(commands: Sequence[str]) -> tuple[str, tuple[list[str]]]:
    """Return the query, with its parameters, for the events of commands."""
    return _COMMANDS, (list(commands),)


def linked(head: Head, row: NewsRow) -> Head:
    """Return the head of a partition after one more event.

    Raises:
        DamagedLogError: the event does not follow the head, or is not what was appended.
    """
    if row.seq != head.seq + 1 or row.chain != link(head.chain, row.seq, row.epoch, row.data):
        raise DamagedLogError(row.seq, f"the chain of {row.partition} is broken after {head.seq}")
    return Head(row.seq, row.chain, row.at)


def find(db: Connection, command: str) -> tuple[RecordedEvent, ...]:
    """Return the events of a command, with their positions in their partitions."""
    return tuple(recorded(seq, data) for seq, data in db.execute(_COMMAND, (command,), binary=True))


def last_epoch(db: Connection) -> int:
    """Return the largest epoch from which a writer has made command ids, 0 if there is none."""
    row = db.execute(_LAST_COMMAND, (FIRST_COMMAND, AFTER_COMMANDS)).fetchone()
    return 0 if row is None else epoch_of(row[0])


def history(db: Connection, partition: str, stream: str) -> tuple[RecordedEvent, ...]:
    """Return the events of a stream, with their positions in their partition."""
    return tuple(recorded(seq, data) for seq, data in db.execute(_STREAM, (partition, stream), binary=True))


def version_of(db: Connection, partition: str, stream: str) -> int:
    """Return the version of a stream; 0 if it does not exist."""
    row = db.execute(_VERSION, (partition, stream)).fetchone()
    return int(row[0]) if row else 0


def rows(db: Connection, partition: str) -> list[ChainRow]:
    """Return the stored rows of a partition."""
    return [ChainRow._make(row) for row in db.execute(_ROWS, (partition,), binary=True)]


def payload(db: Connection, sha256: str) -> bytes | None:
    """Return the bytes with a commitment, or None if they are not there."""
    row = db.execute(_PAYLOAD, (sha256,), binary=True).fetchone()
    return None if row is None else bytes(row[0])


def common_head(db: Connection) -> Head:
    """Place what has no place yet, and return the end of the common order; its chain is that of the last partition."""
    db.execute(_PLACE)
    end = db.execute(_END).fetchone()
    if end is None:
        return Head(0, b"", 0)
    position, partition, seq = end
    row = db.execute(_AT, (partition, seq), binary=True).fetchone()
    if row is None:
        raise DamagedLogError(seq, f"{partition} has lost an event that the common order has at {position}")
    return Head(position, *row)


def payloads(db: Connection, sha256s: Sequence[str]) -> list[Payload]:
    """Return the payloads with some commitments, as far as they are there."""
    found = db.execute(_SEALED, (list(sha256s),), binary=True)
    return [
        Payload(PayloadRef(sha256, len(body)), bytes(salt), bytes(body), None if subject is None else WorkerId(subject))
        for sha256, salt, body, subject in found
    ]


def unconfirmed(db: Connection, position: int) -> tuple[str, ...]:
    """Return the copies that have not said that they deleted what was erased up to a position."""
    return tuple(copy for (copy,) in db.execute(_UNCONFIRMED, (position,)))


def placed(db: Connection, after: int, limit: int) -> tuple[RecordedEvent, ...]:
    """Place what has no place yet, and return the events after a position, in one round trip.

    Raises:
        DamagedLogError: one is missing.
    """
    with db.pipeline():
        db.execute(_PLACE)
        found = db.execute(_PAGE, {"first": after + 1, "last": after + limit}, binary=True)
    rows = found.fetchall()
    return _in_order(rows, after)


def _in_order(rows: Sequence[tuple[int, bytes]], after: int) -> tuple[RecordedEvent, ...]:
    for (position, _), expected in zip(rows, count(after + 1), strict=False):
        if position != expected:
            raise DamagedLogError(expected, "the common order has a gap")
    return tuple(recorded(position, data) for position, data in rows)


def page(db: Connection, after: int, last: int) -> tuple[RecordedEvent, ...]:
    """Return the events at positions `after < position <= last` of the common order.

    Raises:
        DamagedLogError: one is missing.
    """
    rows = db.execute(_PAGE, {"first": after + 1, "last": last}, binary=True).fetchall()
    events = _in_order(rows, after)
    if len(events) != last - after:
        raise DamagedLogError(after + len(events) + 1, "the common order has a gap")
    return events
