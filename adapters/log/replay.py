"""The audit of a log file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ...core.chain import Page
from ...core.errors import LogError
from ...core.ports import Head
from ...events.base import PayloadRef
from ...events.codec import Undecodable, decode
from ...events.envelope import Envelope
from ...projections.audit.replay import Audited, audit
from ...projections.audit.report import ReplayReport
from ...projections.audit.views import StoredView
from ...projections.projection import Projection
from . import reader, schema
from .anchor import Anchors

_PRESENT = "SELECT sha256 FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"


def replay(path: str | Path, projections: Sequence[Projection]) -> ReplayReport:
    """The report of `audited`."""
    return audited(path, projections).report


def audited(path: str | Path, projections: Sequence[Projection], *, structure: bool = True) -> Audited:
    """Check all there is to check about a log; nothing is written, and a writer may be at work meanwhile.

    Args:
        path: the file; if there is an anchor file beside it, the log must reach it.
        projections: the views that this version knows.
        structure: whether SQLite's own check of the whole file is asked for too.

    Raises:
        UnusableLog: it is not a log that this version can open.
    """
    log = _Moment(Path(path))
    try:
        return audit(log, projections, time.perf_counter, structure=structure)
    finally:
        log.close()


class _Moment:
    """A log file as of one moment: everything is read in one transaction."""

    def __init__(self, path: Path) -> None:
        """Choose the moment: after the anchors that are read, so that the log holds what they say."""
        self._anchors = Anchors(path)
        self._db = schema.connect_read_only(path)
        try:
            self._db.execute("BEGIN")
            schema.check_ours(self._db, path)
        except BaseException:
            self._db.close()
            raise

    @property
    def tables(self) -> sqlite3.Connection:
        return self._db

    def structure(self) -> list[str]:
        try:
            said = [row[0] for row in self._db.execute("PRAGMA quick_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if said == ["ok"] else said

    def pages(self) -> Iterator[Page]:
        return reader.pages(self._db)

    def anchors(self) -> Iterator[Head]:
        return iter(self._anchors)

    def payload(self, ref: PayloadRef) -> bytes | None:
        return reader.payload(self._db, ref)

    def missing_payloads(self, sha256s: Sequence[str]) -> set[str]:
        try:
            present = self._db.execute(_PRESENT, (msgspec.json.encode(sha256s),)).fetchall()
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error
        return set(sha256s).difference(sha256 for (sha256,) in present)

    def birth(self, stream: str) -> Envelope | None:
        row = self._db.execute("SELECT data FROM events WHERE stream = ? AND version = 1", (stream,)).fetchone()
        try:
            return decode(row[0]) if row else None
        except Undecodable:
            return None  # which was found before

    def payloads(self) -> Iterator[tuple[str, bytes, bytes]]:
        try:
            yield from self._db.execute("SELECT sha256, salt, body FROM payloads ORDER BY rowid")
        except sqlite3.DatabaseError as error:
            raise LogError(f"the payloads cannot be read: {error}") from error

    def views(self) -> list[StoredView]:
        try:
            rows = self._db.execute("SELECT name, code, seq FROM projections WHERE live = 1 ORDER BY name")
            return [StoredView(*row) for row in rows]
        except sqlite3.DatabaseError:
            # What is wrong with the file is found by `structure`.
            return []

    def close(self) -> None:
        self._db.close()
