"""Reads a log file for audits."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec

from ....core.chain import ChainPage
from ....core.errors import LogError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.codec import UndecodableError, decode
from ....events.envelope import Envelope
from ....projections.audit.views import StoredView
from ..anchor import Anchors, anchor_path
from ..sqlite import reader, schema

_PRESENT = "SELECT sha256 FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"
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
        key, created_by = self._db.execute("SELECT pseudonym_key, created_by FROM meta").fetchone()
        return key, created_by

    def head(self) -> Head:
        """Return the head of the chain."""
        return reader.head(self._db)

    def structure(self) -> list[str]:
        """Return the problems that SQLite's own check finds in the file."""
        try:
            lines = [row[0] for row in self._db.execute("PRAGMA quick_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if lines == ["ok"] else lines

    def pages(self) -> Iterator[ChainPage]:
        """Yield all rows in order, as far as a damaged file can be read."""
        return reader.pages(self._db)

    def anchors(self) -> Iterator[Head]:
        """Yield the anchors of all files, in order of position."""
        return heapq.merge(*self._anchors, key=_SEQ)

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return reader.payload(self._db, ref)

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        """Return the commitments without a payload."""
        try:
            present = self._db.execute(_PRESENT, (msgspec.json.encode(sha256s),)).fetchall()
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error
        return set(sha256s).difference(sha256 for (sha256,) in present)

    def first_event(self, stream: str) -> Envelope | None:
        """Return the first event of a stream."""
        row = self._db.execute("SELECT data FROM events WHERE stream = ? AND version = 1", (stream,)).fetchone()
        try:
            return decode(row[0]) if row else None
        except UndecodableError:
            return None  # reported by the check of the steps

    def payloads(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield commitment, salt and body of every payload."""
        try:
            yield from self._db.execute("SELECT sha256, salt, body FROM payloads ORDER BY rowid")
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error

    def views(self) -> list[StoredView]:
        """Return the projections stored in the file."""
        try:
            rows = self._db.execute("SELECT name, code, seq FROM projections WHERE live = 1 ORDER BY name")
            return [StoredView(*row) for row in rows]
        except sqlite3.DatabaseError:
            # The damage is reported by `structure`.
            return []

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()
