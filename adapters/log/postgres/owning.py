"""Records which operator drives which run, and when each was heard of."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from ....core.errors import LogError
from ....core.ports import RunHolder
from .server import Connection, Server

_JOIN = "SELECT es.join(%s, %s * interval '1 second')"
_BEAT = "SELECT es.beat(%s, %s * interval '1 second')"
_ADD_PARTITION = "INSERT INTO es.partition (partition) VALUES (%s) ON CONFLICT DO NOTHING"
_TAKE = "SELECT fence, holder, heard_at, seconds FROM es.take(%s, %s, %s * interval '1 second')"
_HOLDER = """
    SELECT p.owner, o.beaten_at, extract(epoch FROM o.alive_until - clock_timestamp())::float
      FROM es.partition p JOIN es.operator o ON o.operator = p.owner
     WHERE p.partition = %s AND p.owner <> %s AND o.alive_until > clock_timestamp()
"""
_GIVE = "SELECT es.give(%s, %s)"
_GIVE_ALL = """
    WITH given AS (UPDATE es.partition SET owner = NULL, owned_at = NULL WHERE owner = %s RETURNING partition)
    SELECT pg_notify('es', partition) FROM given
"""
_FORGET = "DELETE FROM es.operator WHERE operator = %s"
_OWNERS = """
    SELECT p.partition, p.owner, p.owned_at AT TIME ZONE 'UTC', o.beaten_at AT TIME ZONE 'UTC',
           coalesce(o.alive_until > clock_timestamp(), false)
      FROM es.partition p LEFT JOIN es.operator o ON o.operator = p.owner
     WHERE p.owner IS NOT NULL ORDER BY p.owned_at, p.partition
"""


class Lease(NamedTuple):
    """The times after which an operator is taken for dead. The clock of the server decides."""

    #: Silence after which others may take over.
    seconds: float
    #: Time between two signs of life.
    beat_seconds: float


class OwnerRow(NamedTuple):
    """The owner of a partition. Times are in UTC, on the clock of the server."""

    partition: str
    operator: str
    owned_at: datetime
    #: None: the operator has lost everything that it owned to others, and this partition waits for one.
    heard_at: datetime | None
    #: False if another operator may take the partition over.
    is_alive: bool


def join(db: Connection, operator: str, lease: Lease) -> None:
    """Become an operator that may own partitions."""
    db.execute(_JOIN, (operator, lease.seconds))


def beat(db: Connection, operator: str, lease: Lease) -> bool:
    """Prolong a lease; return whether there still is one."""
    row = db.execute(_BEAT, (operator, lease.seconds)).fetchone()
    return bool(row and row[0])


def take(db: Connection, operator: str, partition: str, lease: Lease) -> int | RunHolder:
    """Become the owner of a partition.

    Returns:
        The fence, or who owns the partition instead.
    """
    db.execute(_ADD_PARTITION, (partition,))
    row = db.execute(_TAKE, (operator, partition, lease.beat_seconds * 1.5)).fetchone()
    match row:
        case (int() as fence, None, _, _):
            return fence
        case (None, str() as holder, datetime() as heard_at, seconds):
            return _holder(holder, heard_at, float(seconds), lease)
    raise LogError(f"the log has no partition {partition}")


def holder(db: Connection, operator: str, partition: str, lease: Lease) -> RunHolder | None:
    """Return the other operator that owns a partition and lives; None: there is none."""
    match db.execute(_HOLDER, (partition, operator)).fetchone():
        case (str() as holder, datetime() as heard_at, float() as seconds):
            return _holder(holder, heard_at, seconds, lease)
    return None


def give(db: Connection, operator: str, partition: str) -> None:
    """Give a partition back."""
    db.execute(_GIVE, (operator, partition))


def leave(db: Connection, operator: str) -> None:
    """Give all partitions back, and be an operator no longer."""
    with db.transaction():
        db.execute(_GIVE_ALL, (operator,))
        db.execute(_FORGET, (operator,))


def owners(db: Connection) -> list[OwnerRow]:
    """Return who owns which partition."""
    return [OwnerRow._make(row) for row in db.execute(_OWNERS)]


def owners_at(address: str) -> list[OwnerRow]:
    """Return who owns which partition of the log at an address.

    Raises:
        LogError: the server cannot be used, or has no log.
    """
    with closing(Server(address)) as server:
        return server.call(owners)


def _holder(operator: str, heard_at: datetime, seconds: float, lease: Lease) -> RunHolder:
    # Until it has been heard of, or could have been.
    return RunHolder(operator, round(heard_at.timestamp() * 1_000_000), min(seconds, 1.2 * lease.beat_seconds))
