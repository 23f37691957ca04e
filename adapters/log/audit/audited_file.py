"""Reads a log file for audits."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from ....core.chain import ChainPage, genesis
from ....core.errors import LogError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.codec import UndecodableError, decode
from ....events.envelope import Envelope
from ....projections.audit.payloads import StoredPayload
from ....projections.audit.views import StoredView
from ....projections.engine.projection import Projection
from ..anchor import Anchors, anchor_path
from ..sqlite import reader, schema, schema_check, snapshots

_PRESENT = "SELECT sha256 FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"
_FIRST_EVENT = "SELECT CAST(ifnull(data, '') AS BLOB) FROM events WHERE stream = ? AND version = 1"
#: A damaged row may hold any type, or NULL. No worker has the number -1.
_PAYLOADS = """
    SELECT rowid, CAST(ifnull(sha256, '') AS TEXT), CAST(ifnull(salt, '') AS BLOB), CAST(ifnull(body, '') AS BLOB),
        CASE typeof(subject) WHEN 'null' THEN NULL WHEN 'integer' THEN subject ELSE -1 END
    FROM payloads NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ?
"""
_PAYLOADS_PAGE = 500
#: Without the index, which may be damaged and is what makes commands unique.
_REPEATED_COMMANDS = """
    SELECT seq, command FROM events NOT INDEXED WHERE command IN (
        SELECT command FROM events NOT INDEXED
        WHERE command IS NOT NULL GROUP BY command HAVING count(*) > 1 LIMIT 100
    ) ORDER BY seq LIMIT 1000
"""
_VIEWS = "SELECT name, code, seq FROM projections WHERE live = 1 ORDER BY name"
_SEQ = attrgetter("seq")


class AuditedFile:
    """A log file as an audit reads it: in one transaction, as of one position.

    It implements the protocols of the audits.
    """

    def __init__(self, path: Path, kept: Path | None = None) -> None:
        """Read the sizes of the anchor files, then begin the transaction, so the log contains what the anchors say.

        Args:
            path: the file.
            kept: a file of further anchors that was kept elsewhere.

        Raises:
            UnusableLogError: it is not a log that this version can open.
        """
        self._anchors = [Anchors(file) for file in (anchor_path(path), kept) if file is not None]
        self._db = schema.connect_read_only(path)
        try:
            self._db.execute("BEGIN")
            schema.check_ours(self._db, path)
        except BaseException:
            self._db.close()
            raise

    @property
    def tables(self) -> sqlite3.Connection:
        """The connection, for reading any table."""
        return self._db

    def meta(self) -> tuple[bytes, str]:
        """Return the secret key of the log, and the version that created it."""
        return reader.meta(self._db)

    def genesis(self) -> bytes:
        """Return the value of the chain before the first event."""
        return genesis(*self.meta())

    def epoch(self) -> int:
        """Return the number of the last writer."""
        with reader.reading("the number of the last writer"):
            row = self._db.execute("SELECT epoch FROM writer").fetchone()
        match row:
            case (int() as epoch,):
                return epoch
            case _:
                raise LogError("the number of the last writer is missing or damaged")

    def head(self) -> Head:
        """Return the head of the chain."""
        last = reader.last(self._db)
        return Head(0, self.genesis(), 0) if last is None else last

    def structure(self) -> list[str]:
        """Return the problems that SQLite's own check finds in the file, its indexes included."""
        try:
            lines = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if lines == ["ok"] else lines

    def schema(self, known: Sequence[Projection]) -> list[str]:
        """Return the tables, indexes and triggers that are missing, changed or foreign."""
        try:
            problems = schema_check.log_schema_problems(self._db)
            return [*problems, *schema_check.projection_schema_problems(self._db, self.views(), known)]
        except sqlite3.DatabaseError as error:
            return [f"the schema cannot be read: {error}"]

    def pages(self) -> Iterator[ChainPage]:
        """Yield all rows in order, as far as a damaged file can be read."""
        return reader.pages(self._db)

    def repeated_commands(self) -> Iterator[tuple[str, int, int]]:
        """Yield commands that occur more than once, with the first position and each later one; at most a thousand."""
        with reader.reading("the commands"):
            rows = self._db.execute(_REPEATED_COMMANDS).fetchall()
        first: dict[str, int] = {}
        for seq, command in rows:
            if first.setdefault(command, seq) != seq:
                yield str(command), first[command], seq

    def anchors(self) -> Iterator[Head]:
        """Yield the anchors of all files, in order of position."""
        return heapq.merge(*self._anchors, key=_SEQ)

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return reader.payload(self._db, ref)

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        """Return the commitments without a payload."""
        with reader.reading("the payloads"):
            present = self._db.execute(_PRESENT, (msgspec.json.encode(sha256s),)).fetchall()
        return set(sha256s).difference(sha256 for (sha256,) in present)

    def first_event(self, stream: str) -> Envelope | None:
        """Return the first event of a stream."""
        with reader.reading(f"the events of {stream}"):
            row = self._db.execute(_FIRST_EVENT, (stream,)).fetchone()
        try:
            return decode(row[0]) if row else None
        except UndecodableError:
            return None  # reported by the check of the steps

    def payloads(self) -> Iterator[StoredPayload]:
        """Yield every payload."""
        after = -(2**63)
        with reader.reading("the payloads"):
            while page := self._db.execute(_PAYLOADS, (after, _PAYLOADS_PAGE)).fetchall():
                for number, *payload in page:
                    if number <= after:
                        raise LogError("the payloads cannot be read: their rows are out of order")
                    after = number
                    yield StoredPayload(*payload)

    def views(self) -> list[StoredView]:
        """Return the projections stored in the file."""
        try:
            rows = self._db.execute(_VIEWS).fetchall()
        except sqlite3.DatabaseError:
            return []  # the damage is reported by `structure`
        return [StoredView(*row) for row in rows if list(map(type, row)) == [str, str, int]]

    def row_count(self, table: str) -> int:
        """Return the number of rows of a projection's table."""
        with reader.reading(f"the table {table}"):
            count: int = self._db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
        return count

    def snapshot_positions(self, projection: Projection) -> list[int]:
        """Return the positions of the snapshots of a view."""
        with reader.reading("the snapshots"):
            return snapshots.positions(self._db, projection)

    def snapshot(self, projection: Projection, seq: int) -> sqlite3.Connection | None:
        """Return the tables of a view's snapshot at a position, or None if they are damaged."""
        with reader.reading(f"the snapshot at seq {seq}"):
            found = snapshots.at(self._db, projection, seq)
        return None if found is None else found.view

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()
