"""Saving what can be saved of a damaged log: its longest valid prefix, in a new file. Nothing is edited in place."""

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
from ....projections.audit.prefix import longest_valid_prefix
from ....projections.audit.report import Finding
from ....projections.engine.projection import Projection
from ..anchor import anchor_path
from ..sqlite import reader, schema
from ..sqlite.log import SqliteLog
from ..sqlite.schema import insert_events, insert_payloads
from ..sqlite.writer_lock import lock_path
from .audited_file import AuditedFile

_GOES_ON = "SELECT command IS NULL FROM events WHERE seq = ?"
_BEGAN = "SELECT max(seq) FROM events WHERE seq <= ? AND command IS NOT NULL"
_PAYLOADS = "SELECT sha256, salt, body, subject FROM payloads WHERE sha256 IN (SELECT value FROM json_each(?))"


class SalvageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a log."""

    #: Whether nothing had to be left behind.
    whole: bool
    #: The last position of the new log, and the chain there, hex.
    seq: int
    chain: str
    payloads: int
    #: Events after the valid prefix, and the file that holds them; none: there were none that can be read.
    quarantined: int
    quarantine: str | None
    #: What is wrong with the log.
    faults: tuple[Finding, ...]


def salvage(path: Path, new: Path, projections: Sequence[Projection]) -> SalvageReport:
    """Write the longest valid prefix of a log to a new file, and what comes after it to a quarantine file beside that.

    The prefix ends between two commands: nothing is half there. The quarantine holds the events alone; what they
    refer to stays in the damaged file.

    Args:
        path: the log; it is only read.
        new: where the new log goes.
        projections: the views that it gets, made from its events.

    Raises:
        UnusableLogError: `path` is not a log that this version can open, or there is something at `new`.
        LogError: the new file cannot be written; what was written of it is gone again.
    """
    quarantine = new.with_name(f"{new.name}.quarantine")
    for file in (new, quarantine, anchor_path(new)):
        if file.exists():
            raise UnusableLogError(f"{file} is there already; choose another path for the new log")
    with closing(AuditedFile(path)) as log:
        prefix = longest_valid_prefix(log)
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
        whole=not prefix.faults,
        seq=head.seq,
        chain=head.chain.hex(),
        payloads=payloads,
        quarantined=quarantined,
        quarantine=str(quarantine) if quarantined else None,
        faults=prefix.faults,
    )


def _end_of_command(log: AuditedFile, seq: int) -> int:
    """The last position up to `seq` after which no event of the same command follows."""
    try:
        goes_on = log.tables.execute(_GOES_ON, (seq + 1,)).fetchone()
    except sqlite3.DatabaseError:
        return seq  # what follows cannot be read, so nothing is known of its command
    if goes_on != (True,):
        return seq
    began: int | None = log.tables.execute(_BEGAN, (seq,)).fetchone()[0]
    return 0 if began is None else began - 1


def _write_log(log: AuditedFile, end: int, new: Path) -> int:
    """Write the events up to a position, and what they refer to; gives the number of payloads."""
    payloads = 0
    with closing(schema.connect_read_write(new)) as db:
        schema.create(db, *log.meta())
        db.execute("BEGIN IMMEDIATE")
        for rows in _rows_until(log, end):
            insert_events(db, rows)
            insert_payloads(db, found := _payloads_of(log, rows))
            payloads += len(found)
        db.execute("COMMIT")
    return payloads


def _rows_until(log: AuditedFile, end: int) -> Iterator[list[ChainRow]]:
    """The rows up to a position, some at a time; what comes after it is not touched, as it may be unreadable."""
    seq = 0
    pages = log.pages()
    while seq < end:
        page = next(pages)
        seq = page.last
        yield [row for row in page.named() if row.seq <= end]


def _payloads_of(log: AuditedFile, rows: Sequence[ChainRow]) -> list[tuple[str, bytes, bytes, int | None]]:
    """What events refer to, as far as it is there and is what they committed to."""
    refs = [ref.sha256 for row in rows if row.kind in REFERRING_KINDS for ref in refs_of(decode(row.data).event)]
    found = log.tables.execute(_PAYLOADS, (msgspec.json.encode(refs),)).fetchall() if refs else []
    return [row for row in found if commitment(row[2], row[1]).sha256 == row[0]]


def _write_quarantine(log: AuditedFile, after: int, path: Path) -> int:
    """Write the events after a position, a JSON object a line, as far as they can be read; gives their number."""
    count = 0
    for row in _rows_after(log, after):
        with path.open("ab") as file:
            file.write(msgspec.json.encode(_described(row)) + b"\n")
        count += 1
    return count


def _rows_after(log: AuditedFile, after: int) -> Iterator[ChainRow]:
    try:
        for page in reader.pages(log.tables, after):
            yield from page.named()
    except LogError:
        return  # it is among the faults


def _described(row: ChainRow) -> dict[str, object]:
    """A row as JSON says it: the event as text, or in base64 if it is none."""
    said: dict[str, object] = {**row._asdict(), "chain": row.chain.hex()}
    try:
        return {**said, "data": row.data.decode()}
    except UnicodeDecodeError:
        return {**said, "data": None, "data_base64": row.data}


def _remove(new: Path, quarantine: Path) -> None:
    """Take away what was written of a new log."""
    beside = (new.with_name(f"{new.name}{end}") for end in ("-wal", "-shm"))
    for file in (new, quarantine, anchor_path(new), lock_path(new), *beside):
        file.unlink(missing_ok=True)
