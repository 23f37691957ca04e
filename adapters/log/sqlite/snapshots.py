"""Snapshots of a view at earlier positions, so a read as of a position need not fold the log from its first event.

They are a cache, filled while a view is rebuilt, which passes every position anyway, and never by a commit. A snapshot
made by other code, for another log, or with a wrong digest is ignored, and the events are folded instead.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from typing import NamedTuple

from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.engine.projection import Projection

#: Events between two snapshots, which is the most that a read has to fold. A multiple of `rebuild.BATCH_EVENTS`.
SNAPSHOT_EVENTS = 100_000
#: Size limit. A larger view is not kept, because it has to fit into memory when it is read.
LIMIT_BYTES = 256 * 2**20
#: The fastest level of zlib.
_LEVEL = 1

_KEEP = "INSERT OR REPLACE INTO snapshots(seq, code, state, digest) VALUES (?, ?, ?, ?)"
_DROP_OTHERS = "DELETE FROM snapshots WHERE code <> ?"
_NEAREST = """
    SELECT snapshots.seq, state, digest, chain FROM snapshots JOIN events ON events.seq = snapshots.seq
    WHERE code = ? AND snapshots.seq <= ? ORDER BY snapshots.seq DESC LIMIT 1
"""
_AT = """
    SELECT snapshots.seq, state, digest, chain FROM snapshots JOIN events ON events.seq = snapshots.seq
    WHERE code = ? AND snapshots.seq = ?
"""
_POSITIONS = "SELECT seq FROM snapshots WHERE code = ? ORDER BY seq"
_CHAIN = "SELECT chain FROM events WHERE seq = ?"


class Snapshot(NamedTuple):
    """A view as of a position."""

    seq: int
    #: A separate database with its tables, without their indexes.
    view: sqlite3.Connection


def keep(db: sqlite3.Connection, projection: Projection, seq: int, view: sqlite3.Connection) -> None:
    """Store a snapshot of a view, unless it is too large.

    Args:
        db: the writer's connection, outside a transaction.
        projection: the projection whose tables they are.
        seq: the position.
        view: a database with these tables and nothing else.
    """
    tables = view.serialize()
    if len(tables) > LIMIT_BYTES:
        return
    state = zlib.compress(tables, _LEVEL)
    (chain,) = db.execute(_CHAIN, (seq,)).fetchone()
    db.execute(_KEEP, (seq, _code(projection), state, _digest(chain, projection, state)))


def drop_outdated(db: sqlite3.Connection, projection: Projection) -> None:
    """Delete the snapshots that other code stored."""
    db.execute(_DROP_OTHERS, (_code(projection),))


def nearest(db: sqlite3.Connection, projection: Projection, seq: int) -> Snapshot | None:
    """Return the last valid snapshot up to a position, or None if there is none."""
    try:
        found = db.execute(_NEAREST, (_code(projection), seq)).fetchone()
    except sqlite3.DatabaseError:
        return None  # this part of the file is damaged; the fold will show whether others are
    return None if found is None else _restored(projection, found)


def positions(db: sqlite3.Connection, projection: Projection) -> list[int]:
    """Return the positions of the snapshots that this version's code stored."""
    return [seq for (seq,) in db.execute(_POSITIONS, (_code(projection),)) if isinstance(seq, int)]


def at(db: sqlite3.Connection, projection: Projection, seq: int) -> Snapshot | None:
    """Return the snapshot at a position, or None if there is no valid one."""
    found = db.execute(_AT, (_code(projection), seq)).fetchone()
    return None if found is None else _restored(projection, found)


def _restored(projection: Projection, row: tuple[object, ...]) -> Snapshot | None:
    """Restore a snapshot from its row, or return None if its digest is wrong."""
    match row:
        case (int() as seq, bytes() as state, bytes() as digest, bytes() as chain) if digest == _digest(
            chain, projection, state
        ):
            try:
                # The limit holds even if somebody forged the digest.
                tables = zlib.decompressobj().decompress(state, LIMIT_BYTES)
            except zlib.error:
                return None
            view = rebuild.temporary_database()
            view.deserialize(tables)
            return Snapshot(seq, view)
        case _:
            return None


def _code(projection: Projection) -> str:
    return f"{projection.name} {code_fingerprint(projection)}"


def _digest(chain: bytes, projection: Projection, state: bytes) -> bytes:
    """Return a digest over the events, the code and the tables."""
    return hashlib.sha256(chain + _code(projection).encode() + state).digest()
