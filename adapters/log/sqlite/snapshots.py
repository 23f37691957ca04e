"""The view at some earlier positions, so that a moment is not folded from the first event on.

They are a cache: made while a view is built anew, which passes through every position anyhow; never by a commit. One
that is of other code, of another log, or not what was stored, is not believed, and the events are folded instead.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from typing import NamedTuple

from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.engine.projection import Projection

#: Events between two snapshots: what a moment has to fold at most. A multiple of `rebuild.BATCH_EVENTS`.
SNAPSHOT_EVENTS = 100_000
#: A larger view is not kept: it would have to fit into memory when it is read.
LIMIT_BYTES = 256 * 2**20
#: zlib's quickest.
_LEVEL = 1

_KEEP = "INSERT OR REPLACE INTO snapshots(seq, code, state, digest) VALUES (?, ?, ?, ?)"
_DROP_OTHERS = "DELETE FROM snapshots WHERE code <> ?"
_NEAREST = """
    SELECT snapshots.seq, state, digest, chain FROM snapshots JOIN events ON events.seq = snapshots.seq
    WHERE code = ? AND snapshots.seq <= ? ORDER BY snapshots.seq DESC LIMIT 1
"""
_CHAIN = "SELECT chain FROM events WHERE seq = ?"


class Snapshot(NamedTuple):
    """A view as it was."""

    seq: int
    #: Its tables, without their indexes, in a database of their own.
    view: sqlite3.Connection


def keep(db: sqlite3.Connection, projection: Projection, seq: int, view: sqlite3.Connection) -> None:
    """Store what a view is at a position, unless it is too large.

    Args:
        db: the writer's connection, in no transaction.
        projection: whose tables they are.
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
    """Delete what other code has stored."""
    db.execute(_DROP_OTHERS, (_code(projection),))


def nearest(db: sqlite3.Connection, projection: Projection, seq: int) -> Snapshot | None:
    """The last snapshot up to a position that can be believed; None if there is none."""
    try:
        found = db.execute(_NEAREST, (_code(projection), seq)).fetchone()
    except sqlite3.DatabaseError:
        return None  # the file is damaged there; whether it is elsewhere the fold will show
    if found is None:
        return None
    at, state, digest, chain = found
    if digest != _digest(chain, projection, state):
        return None
    view = rebuild.temporary_database()
    view.deserialize(zlib.decompress(state))
    return Snapshot(at, view)


def _code(projection: Projection) -> str:
    return f"{projection.name} {code_fingerprint(projection)}"


def _digest(chain: bytes, projection: Projection, state: bytes) -> bytes:
    """What only the same code makes of the same events."""
    return hashlib.sha256(chain + _code(projection).encode() + state).digest()
