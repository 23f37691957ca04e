"""Snapshots of a view at earlier positions, so a read as of a position need not fold the log from its first event.

They are a cache. A rebuild, which passes every position anyway, makes them, and so does an operator, beside its work. A
snapshot made by other code, for another log, or with a wrong digest is ignored, and the events are folded instead.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.engine.projection import Projection

#: Events between two snapshots, which is the most that a read has to fold. A multiple of `rebuild.BATCH_EVENTS`.
SNAPSHOT_EVENTS = 100_000
#: Size limit. A larger view is not kept, because it has to fit into memory when it is read.
LIMIT_BYTES = 256 * 2**20
#: The fastest level of zlib.
_LEVEL = 1

_PAGE_BYTES = 4096

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
_LIVE = """
    SELECT projections.seq, chain FROM log.projections JOIN log.events ON events.seq = projections.seq
    WHERE name = ? AND live = 1 AND projections.code = ?
"""


class Snapshot(NamedTuple):
    """A view as of a position."""

    seq: int
    #: A separate database with its tables, without their indexes.
    view: sqlite3.Connection


class StoredSnapshot(NamedTuple):
    """A snapshot as it is stored."""

    seq: int
    code: str
    state: bytes
    digest: bytes


def taken(path: Path, projection: Projection) -> StoredSnapshot | None:
    """Return a snapshot of a view as it is now in a log file, or None if there is no current one or it is too large.

    It reads through a connection of its own, and holds up no writer. Blocks.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None, uri=True, check_same_thread=False)) as copy:
        copy.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        copy.execute(f"PRAGMA max_page_count={LIMIT_BYTES // _PAGE_BYTES}")
        rebuild.create_tables(copy, projection)
        copy.execute("ATTACH ? AS log", (f"file:{quote(str(path.absolute()))}?mode=ro",))
        copy.execute("BEGIN")
        found = copy.execute(_LIVE, (projection.name, code_fingerprint(projection))).fetchone()
        if found is None:
            return None
        try:
            for table in projection.tables:
                copy.execute(f'INSERT INTO main."{table}" SELECT * FROM log."{table}"')
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                return None
            raise
        copy.execute("COMMIT")
        copy.execute("DETACH log")
        state = zlib.compress(copy.serialize(), _LEVEL)
    seq, chain = found
    return StoredSnapshot(seq, _code(projection), state, _digest(chain, projection, state))


def store(db: sqlite3.Connection, snapshot: StoredSnapshot) -> None:
    """Store a snapshot, in a transaction of its own."""
    db.execute(_KEEP, snapshot)


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


def last_position(db: sqlite3.Connection, projection: Projection) -> int:
    """Return the position of the last snapshot that this version's code stored; 0 if there is none."""
    try:
        return max(positions(db, projection), default=0)
    except sqlite3.DatabaseError:
        return 0  # this part of the file is damaged, and only a cache


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


class WaitingSnapshot:
    """At most one snapshot that is stored after the next commit."""

    def __init__(self) -> None:
        self._waiting: tuple[StoredSnapshot, int] | None = None

    def keep(self, snapshot: StoredSnapshot, erasures: int) -> None:
        """Let a snapshot wait in the place of another one.

        Args:
            snapshot: the snapshot.
            erasures: the number of erasures before it was taken.
        """
        self._waiting = snapshot, erasures

    def store(self, db: sqlite3.Connection, erasures: int) -> None:
        """Store the snapshot that waits, unless something was erased since it was taken.

        It gets a transaction of its own: a cache that cannot be stored must cost no commit.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting[1] == erasures:
            with suppress(sqlite3.Error):
                store(db, waiting[0])
