"""A log file as the audits read it."""

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
    """A log file as an audit reads it: all of it in one transaction, as of one moment.

    Its methods are described at the protocols of the audits.
    """

    def __init__(self, path: Path, kept: Path | None = None) -> None:
        """Choose the moment: after the anchors that are read, so that the log holds what they say.

        Args:
            path: the file.
            kept: further anchors, kept elsewhere.

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
        """For reading the projections' tables."""
        return self._db

    def meta(self) -> tuple[bytes, str]:
        """The log's secret, and which version made it."""
        key, created_by = self._db.execute("SELECT pseudonym_key, created_by FROM meta").fetchone()
        return key, created_by

    def head(self) -> Head:
        """The end of the chain."""
        return reader.head(self._db)

    def structure(self) -> list[str]:
        """What SQLite's own check finds wrong with the file."""
        try:
            said = [row[0] for row in self._db.execute("PRAGMA quick_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if said == ["ok"] else said

    def pages(self) -> Iterator[ChainPage]:
        """All rows, in order; what can still be read of a damaged file comes first."""
        return reader.pages(self._db)

    def anchors(self) -> Iterator[Head]:
        """The anchors of all files, in the order of their positions."""
        return heapq.merge(*self._anchors, key=_SEQ)

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
        return reader.payload(self._db, ref)

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        """Those of the commitments that have no payload."""
        try:
            present = self._db.execute(_PRESENT, (msgspec.json.encode(sha256s),)).fetchall()
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error
        return set(sha256s).difference(sha256 for (sha256,) in present)

    def birth(self, stream: str) -> Envelope | None:
        """The first event of a stream."""
        row = self._db.execute("SELECT data FROM events WHERE stream = ? AND version = 1", (stream,)).fetchone()
        try:
            return decode(row[0]) if row else None
        except UndecodableError:
            return None  # which was found before

    def payloads(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Commitment, salt and body of every payload there is."""
        try:
            yield from self._db.execute("SELECT sha256, salt, body FROM payloads ORDER BY rowid")
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error

    def views(self) -> list[StoredView]:
        """The projections that the file has."""
        try:
            rows = self._db.execute("SELECT name, code, seq FROM projections WHERE live = 1 ORDER BY name")
            return [StoredView(*row) for row in rows]
        except sqlite3.DatabaseError:
            # What is wrong with the file is found by `structure`.
            return []

    def close(self) -> None:
        """Release the file. Twice is harmless."""
        self._db.close()
