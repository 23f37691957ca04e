"""Salvages the longest valid prefix of a damaged log to a new file. Nothing is edited in place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from ....core.chain import ChainRow
from ....core.errors import LogError, UnusableLogError
from ....core.payloads import REFERRING_KINDS, commitment, refs_of
from ....events.codec import decode
from ....events.ids import WorkerId
from ....projections.audit.payloads import StoredPayload
from ....projections.audit.prefix import longest_valid_prefix
from ....projections.audit.report import Finding
from ....projections.engine.projection import Projection
from ...private_files import open_private
from ..anchor import anchor_path
from ..sqlite import reader, schema
from ..sqlite.file_identity import wal_paths
from ..sqlite.log import SqliteLog
from ..sqlite.writer_lock import lock_path
from .audited_file import AuditedFile

_CONTINUES = "SELECT command IS NULL FROM events WHERE seq = ?"
_BEGINNING = "SELECT max(seq) FROM events WHERE seq <= ? AND command IS NOT NULL"
_PAYLOADS = "SELECT sha256, salt, body, subject FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"
_PAYLOAD = "SELECT sha256, salt, body, subject FROM payloads WHERE sha256 = ?"
_LARGEST = "SELECT max(seq) FROM events"
#: Positions skipped one by one after a damaged page; from then on twice as many each time.
_MAX_SINGLE_STEPS = 100
#: Damaged pages after which the search for more events ends.
_MAX_DAMAGED_PAGES = 10_000


class SalvageReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of salvaging a log."""

    #: True if nothing was left behind.
    whole: bool
    #: The last position of the new log, and the chain there in hex.
    seq: int
    chain: str
    payloads: int
    #: Number of payloads of the new log's events that cannot be read or do not match their commitment.
    lost_payloads: int
    #: Number of readable events after the valid prefix, and the file that holds them; None if there are none.
    quarantined: int
    quarantine: str | None
    #: The faults of the log.
    faults: tuple[Finding, ...]


class _Payloads:
    """Reads payloads of a damaged log, as far as possible."""

    def __init__(self, log: AuditedFile) -> None:
        self.copied = 0
        self.lost = 0
        self._log = log

    def of(self, rows: Sequence[ChainRow]) -> list[StoredPayload]:
        """Return the payloads that events refer to, if they can be read and match their commitment."""
        refs = [ref.sha256 for row in rows if row.kind in REFERRING_KINDS for ref in refs_of(decode(row.data).event)]
        if not refs:
            return []
        try:
            found = self._read(_PAYLOADS, msgspec.json.encode(refs))
        except sqlite3.DatabaseError:
            found = [payload for sha256 in refs for payload in self._single(sha256)]
        intact = [payload for payload in found if _is_intact(payload)]
        self.lost += len(found) - len(intact)
        self.copied += len(intact)
        return intact

    def _single(self, sha256: str) -> list[StoredPayload]:
        """Read one payload, apart from others that share a damaged page with the rest."""
        try:
            return self._read(_PAYLOAD, sha256)
        except sqlite3.DatabaseError:
            self.lost += 1
            return []

    def _read(self, query: str, argument: str | bytes) -> list[StoredPayload]:
        return [StoredPayload(*row) for row in self._log.tables.execute(query, (argument,))]


def salvage(path: Path, new: Path, projections: Sequence[Projection]) -> SalvageReport:
    """Write the longest valid prefix of a log to a new file, and the events after it to a quarantine file beside it.

    The prefix ends between two commands, so no command is incomplete. Payloads that cannot be read are left out; all
    events are kept. The quarantine file holds events only; their payloads stay in the damaged file.

    Args:
        path: the log; it is only read.
        new: the path of the new log.
        projections: the projections to build in the new log.

    Raises:
        UnusableLogError: `path` is not a log that this version can open, or `new` exists.
        LogError: the key of the log cannot be read, or the new file cannot be written; the incomplete file was removed.
    """
    quarantine = new.with_name(f"{new.name}.quarantine")
    for file in (new, quarantine, anchor_path(new)):
        if file.exists():
            raise UnusableLogError(f"{file} exists already; choose another path for the new log")
    with closing(AuditedFile(path)) as log:
        prefix = longest_valid_prefix(log, projections)
        seq = _end_of_command(log, prefix.seq)
        try:
            payloads = _write_log(log, seq, new)
            quarantined = _write_quarantine(log, seq, quarantine)
            with SqliteLog.create_or_open(new, projections) as written:
                head = written.head()
        except BaseException as error:
            _remove(new, quarantine)
            if isinstance(error, sqlite3.Error | OSError):
                raise LogError(f"{new} cannot be written: {error}") from error
            raise
    return SalvageReport(
        whole=not prefix.faults and not payloads.lost,
        seq=head.seq,
        chain=head.chain.hex(),
        payloads=payloads.copied,
        lost_payloads=payloads.lost,
        quarantined=quarantined,
        quarantine=str(quarantine) if quarantined else None,
        faults=prefix.faults,
    )


def _end_of_command(log: AuditedFile, seq: int) -> int:
    """Return the last position up to `seq` that is the end of a command."""
    try:
        continues = log.tables.execute(_CONTINUES, (seq + 1,)).fetchone()
        if continues != (True,):
            return seq
        beginning: int | None = log.tables.execute(_BEGINNING, (seq,)).fetchone()[0]
    except sqlite3.DatabaseError:
        return seq  # the next event cannot be read, so its command is unknown
    return 0 if beginning is None else beginning - 1


def _write_log(log: AuditedFile, end: int, new: Path) -> _Payloads:
    """Write the events up to a position and their payloads."""
    payloads, epoch = _Payloads(log), 0
    with closing(schema.connect_read_write(new)) as db:
        schema.create(db, *log.meta())
        db.execute("BEGIN IMMEDIATE")
        for rows in _rows_until(log, end):
            schema.insert_events(db, rows)
            schema.insert_payloads(db, payloads.of(rows))
            epoch = rows[-1].epoch
        # The next writer has to have a higher number.
        db.execute("UPDATE writer SET epoch = ?", (epoch,))
        db.execute("COMMIT")
    return payloads


def _rows_until(log: AuditedFile, end: int) -> Iterator[list[ChainRow]]:
    """Yield the rows up to a position, page by page; nothing after it is read, because it may be unreadable."""
    seq = 0
    pages = log.pages()
    while seq < end:
        page = next(pages)
        seq = page.last
        yield [row for row in page.named() if row.seq <= end]


def _is_intact(payload: tuple[object, ...]) -> bool:
    match payload:
        case (str() as sha256, bytes() as salt, bytes() as body, int() | None as subject):
            owner = None if subject is None else WorkerId(subject)
            return commitment(body, salt, owner).sha256 == sha256
        case _:
            return False


def _write_quarantine(log: AuditedFile, after: int, path: Path) -> int:
    """Write the readable events after a position as JSON lines, and return their number."""
    count = 0
    for row in _rows_after(log, after):
        with open(path, "ab", opener=open_private) as file:
            file.write(msgspec.json.encode(_described(row)) + b"\n")
        count += 1
    return count


def _rows_after(log: AuditedFile, after: int) -> Iterator[ChainRow]:
    """Yield the readable rows after a position, and skip damaged pages."""
    try:
        largest: int | None = log.tables.execute(_LARGEST).fetchone()[0]
    except sqlite3.DatabaseError:
        largest = None
    step = steps = 0
    for _ in range(_MAX_DAMAGED_PAGES):
        try:
            for page in reader.pages(log.tables, after):
                yield from page.named()
                after, step, steps = page.last, 0, 0
            return
        except LogError:  # reported among the faults
            steps += 1
            step = 1 if steps <= _MAX_SINGLE_STEPS else 2 * step
            after += step
        if largest is None or after >= largest:
            return


def _described(row: ChainRow) -> dict[str, object]:
    """Convert a row to JSON values: the event as text, or in base64 if it is not text."""
    described: dict[str, object] = {**row._asdict(), "chain": row.chain.hex()}
    try:
        return {**described, "data": row.data.decode()}
    except UnicodeDecodeError:
        return {**described, "data": None, "data_base64": row.data}


def _remove(new: Path, quarantine: Path) -> None:
    """Remove an incomplete new log."""
    for file in (new, quarantine, anchor_path(new), lock_path(new), *wal_paths(new)):
        file.unlink(missing_ok=True)
