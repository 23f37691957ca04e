"""Keeps the projections of a log file at the head of the log, and rebuilds them when their code changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from ....core.gc_tuning import gc_paused
from ....events.envelope import RecordedEvent
from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.engine.projection import Projection
from ....projections.engine.rebuild import Difference
from . import reader, snapshots
from .reader import LogReader

_LIVE = "SELECT generation, code, seq FROM projections WHERE name = ? AND live = 1"

#: Maximum number of differences reported for a rebuilt projection.
DIFFERENCES_LIMIT = 1000


class Rebuilt(NamedTuple):
    """The result of rebuilding a projection."""

    name: str
    generation: int
    #: Position of the last event in it.
    seq: int
    #: Differences between the old tables and what the log gives. None if they were not compared, because other code
    #: built them, or at another position.
    differences: tuple[Difference, ...] | None


class Projector:
    """Updates the tables of projections for the writer.

    Attributes:
        projections: the projections it updates.
    """

    def __init__(self, db: sqlite3.Connection, projections: Sequence[Projection]) -> None:
        """Take over projections in the writer's database; `catch_up` makes them current."""
        self.projections = tuple(projections)
        self._db = db
        self._payload = partial(reader.payload, db)

    def catch_up(self, log: LogReader) -> None:
        """Bring every projection to the head of the log, and rebuild those that other code built or that do not exist.

        The writer calls this before its first commit.
        """
        for projection in self.projections:
            row = self._db.execute(_LIVE, (projection.name,)).fetchone()
            if row is None or row[1] != code_fingerprint(projection):
                self.rebuild(projection, log)
            else:
                self._catch_up(projection, log, after=row[2])

    def apply(self, events: Sequence[RecordedEvent]) -> None:
        """Apply events to all projections and update their positions, inside the caller's transaction."""
        for projection in self.projections:
            projection.apply(self._db, events, self._payload)
            self._db.execute(
                "UPDATE projections SET seq = ? WHERE name = ? AND live = 1", (events[-1].seq, projection.name)
            )

    def rebuild(self, projection: Projection, log: LogReader) -> Rebuilt:
        """Build the next generation beside the live one, compare the two, and swap them in one transaction.

        Readers see the old generation until then. A crash before the swap leaves the old one unchanged.
        """
        seq = log.head().seq
        shadow = rebuild.temporary_database()
        try:
            self._build(projection, shadow, log, seq)
            differences = self._differences(projection, shadow, seq)
            return Rebuilt(projection.name, self._swap(projection, shadow, seq), seq, differences)
        finally:
            shadow.close()

    def _build(self, projection: Projection, shadow: sqlite3.Connection, log: LogReader, seq: int) -> None:
        """Build a projection's tables, and keep snapshots of them on the way for reads as of earlier positions."""
        snapshots.drop_outdated(self._db, projection)
        rebuild.create_tables(shadow, projection)
        with gc_paused():
            for batch in rebuild.batches(log.read(until=seq)):
                rebuild.apply_batch(shadow, (projection,), batch, log.payload)
                if batch[-1].seq % snapshots.SNAPSHOT_EVENTS == 0:
                    snapshots.keep(self._db, projection, batch[-1].seq, shadow)

    def _differences(
        self, projection: Projection, shadow: sqlite3.Connection, seq: int
    ) -> tuple[Difference, ...] | None:
        """Compare the live tables with the rebuilt ones, if they should be equal."""
        row = self._db.execute(_LIVE, (projection.name,)).fetchone()
        if row is None or row[1:] != (code_fingerprint(projection), seq):
            return None
        found = (each for table in projection.tables for each in rebuild.differences(self._db, shadow, table))
        return tuple(islice(found, DIFFERENCES_LIMIT))

    def _swap(self, projection: Projection, shadow: sqlite3.Connection, seq: int) -> int:
        """Replace the live tables by the rebuilt ones, and return the number of the new generation."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            row = db.execute("SELECT max(generation) FROM projections WHERE name = ?", (projection.name,)).fetchone()
            generation = int(row[0] or 0) + 1
            rebuild.create_tables(db, projection)
            rebuild.copy_tables(shadow, db, projection.tables)
            rebuild.create_indexes(db, projection)
            db.execute("DELETE FROM projections WHERE name = ?", (projection.name,))
            db.execute(
                "INSERT INTO projections VALUES (?, ?, ?, ?, 1)",
                (projection.name, generation, code_fingerprint(projection), seq),
            )
            db.execute("COMMIT")
            return generation
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _catch_up(self, projection: Projection, log: LogReader, after: int) -> None:
        for batch in rebuild.batches(log.read(after)):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                projection.apply(self._db, batch, self._payload)
                self._db.execute(
                    "UPDATE projections SET seq = ? WHERE name = ? AND live = 1", (batch[-1].seq, projection.name)
                )
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
