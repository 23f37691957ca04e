"""Records which operator drives which run, and when each was heard of."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ....core.errors import LogError
from ....core.ports import RunHolder
from .server import Connection

_JOIN = "SELECT es.join(%s, %s * interval '1 second')"
_BEAT = "SELECT es.beat(%s, %s * interval '1 second')"
_ADD_PARTITION = "INSERT INTO es.partition (partition) VALUES (%s) ON CONFLICT DO NOTHING"
_TAKE = "SELECT fence, holder, heard_at, seconds FROM es.take(%s, %s, %s * interval '1 second')"
_GIVE = "SELECT es.give(%s, %s)"
_GIVE_ALL = "UPDATE es.partition SET owner = NULL, owned_at = NULL WHERE owner = %s"
_FORGET = "DELETE FROM es.operator WHERE operator = %s"
_OWNERS = """
    SELECT p.partition, p.owner, p.owned_at, p.fence, o.started_at, o.beaten_at, o.alive_until,
           coalesce(o.alive_until > clock_timestamp(), false), clock_timestamp()
      FROM es.partition p LEFT JOIN es.operator o ON o.operator = p.owner
     WHERE p.owner IS NOT NULL ORDER BY p.owned_at, p.partition
"""


class Lease(NamedTuple):
    """The times after which an operator is taken for dead. The clock of the server decides."""

    #: Silence after which others may take over.
    seconds: float = 15.0
    #: Time between two signs of life.
    beat_seconds: float = 5.0


LEASE = Lease()


class OwnerRow(NamedTuple):
    """The owner of a partition."""

    partition: str
    operator: str
    owned_at: datetime
    #: The number of owners that the partition has had, and one more.
    fence: int
    #: None, as the next two: the operator has lost everything.
    started_at: datetime | None
    heard_at: datetime | None
    alive_until: datetime | None
    is_alive: bool
    #: The time of the server.
    now: datetime


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
            # Until it has been heard of, or could have been.
            wait_seconds = min(float(seconds), 1.2 * lease.beat_seconds)
            return RunHolder(holder, round(heard_at.timestamp() * 1_000_000), wait_seconds)
    raise LogError(f"the log has no partition {partition}")


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
