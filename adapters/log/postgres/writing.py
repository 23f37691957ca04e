"""Writes to a log in PostgreSQL: installs its tables, begins turns, appends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

from psycopg import DatabaseError, OperationalError, errors
from psycopg.pq import TransactionStatus

from ....core.errors import DamagedLogError, LogError, UnusableLogError, WriterFencedError
from ....core.ports import Head
from ....events.envelope import RecordedEvent
from ..sqlite.open_checks import IN_POSTGRES
from ..sqlite.reader import recorded
from . import reading
from .plan import PartitionPlan
from .server import Connection

#: Version of the tables and functions in `schema.sql`.
SCHEMA_VERSION = 1
#: Seconds that a writer waits for the end of another one.
CLAIM_SECONDS = 2
_INSTALLED = "SELECT to_regclass('es.meta') IS NOT NULL"
_VERSION = "SELECT version FROM es.meta"
#: A lock that ends with its session; the number says nothing.
_CLAIM = "SELECT pg_advisory_lock(7310589)"
_EPOCH = "SELECT epoch FROM es.meta FOR SHARE"
_WRITER = "SELECT writer FROM es.meta"
_NEXT_EPOCH = "UPDATE es.meta SET epoch = epoch + 1, writer = %s RETURNING epoch"
_NEXT_FENCES = "UPDATE es.partition SET fence = fence + 1, owner = %s RETURNING partition, fence"
_LOCK = "SELECT partition, fence FROM es.partition WHERE partition = ANY(%s) ORDER BY partition FOR NO KEY UPDATE"
#: The types of the parameters of `es.append`: of each partition, and of each row.
_PARTITION_TYPES = ("text", "bigint", "bigint")
_ROW_TYPES = ("text", "bigint", "text", "bigint", "text", "bigint", "text", "int", "bigint", "bytea", "bytea")
_APPEND = f"SELECT es.append({', '.join(f'%b::{one}[]' for one in (*_PARTITION_TYPES, *_ROW_TYPES))})"
_INSERT_PAYLOADS = """
    INSERT INTO es.payload (sha256, salt, body, subject)
    SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bytea[], %b::bigint[]) ON CONFLICT DO NOTHING
"""
_FORGET = "DELETE FROM es.payload WHERE subject = ANY(%s::bigint[]) OR sha256 = ANY(%s::text[])"


class AnotherWriterError(OperationalError):
    """Another process has the log for itself. A lost connection's claim ends when the server notices the loss."""


class TurnRows(NamedTuple):
    """The answer of the server to the beginning of a turn."""

    #: The number of the last writer that had the log for itself.
    epoch: int
    #: The fence of each locked partition.
    fences: dict[str, int]
    news: list[reading.NewsRow]
    known: dict[str, tuple[RecordedEvent, ...]]


def is_installed(db: Connection) -> bool:
    """Return whether a database has the tables of a log."""
    return bool(_value(db, _INSTALLED))


def install(db: Connection, pseudonym_key: bytes) -> None:
    """Make the tables of a log, unless they are there.

    Raises:
        UnusableLogError: they are of another version.
    """
    if not is_installed(db):
        try:
            with db.transaction():
                db.execute(files(__package__).joinpath("schema.sql").read_bytes())
                created_by = f"mephisto-es {version('mephisto-es')}{IN_POSTGRES}"
                row = (SCHEMA_VERSION, pseudonym_key, created_by)
                db.execute("INSERT INTO es.meta (version, pseudonym_key, created_by) VALUES (%s, %s, %s)", row)
        except (errors.UniqueViolation, errors.DuplicateSchema):
            pass  # somebody else was quicker
    found = _value(db, _VERSION)
    if found != SCHEMA_VERSION:
        raise UnusableLogError(
            f"the log in the database has tables of version {found}, and this mephisto-es needs {SCHEMA_VERSION}"
        )


def claim(db: Connection) -> None:
    """Become the only writer that has the log for itself, for as long as the connection lasts.

    A server takes a moment to notice that the process of an earlier one has died, so that is waited for.

    Raises:
        AnotherWriterError: there is one.
    """
    try:
        db.execute(f"SET lock_timeout = '{CLAIM_SECONDS}s'".encode())
        db.execute(_CLAIM)
        db.execute("SET lock_timeout = 0")
    except errors.LockNotAvailable:
        writer = _value(db, _WRITER) if is_installed(db) else None
        raise AnotherWriterError(f"it has a writer already: {writer or 'unknown'}") from None


def take_over(db: Connection, writer: str) -> tuple[int, dict[str, int]]:
    """Fence all earlier writers; return the epoch of this one and the fence of each partition."""
    with db.transaction():
        row = db.execute(_NEXT_EPOCH, (writer,)).fetchone()
        fences: dict[str, int] = dict(db.execute(_NEXT_FENCES, (writer,)).fetchall())
    return (0 if row is None else int(row[0])), fences


def take_turn(db: Connection, partitions: Sequence[str], seen: Mapping[str, Head], commands: Sequence[str]) -> TurnRows:
    """Begin a transaction that locks partitions, and read what is new, in one round trip.

    Args:
        db: the connection; it is within a transaction afterwards.
        partitions: the partitions to lock.
        seen: what the writer has seen of each partition whose news it wants.
        commands: ids of commands that may have been executed.
    """
    with db.pipeline():
        db.execute("BEGIN")
        # Shared: a writer that takes over waits for the turns in progress, also those of partitions it does not know.
        epoch = db.execute(_EPOCH)
        locked = db.execute(_LOCK, (list(partitions),))
        # A statement after the lock, so that it sees what was committed while the lock was waited for.
        news = db.execute(*reading.news_query(seen), binary=True)
        executed = db.execute(*reading.commands_query(partitions, commands), binary=True)
    known: dict[str, tuple[RecordedEvent, ...]] = {}
    for command, seq, data in executed:
        known[command] = (*known.get(command, ()), recorded(seq, data))
    row = epoch.fetchone()
    return TurnRows(
        0 if row is None else int(row[0]), dict(locked), [reading.NewsRow._make(row) for row in news], known
    )


def append(db: Connection, plan: PartitionPlan, fences: Mapping[str, int], heads: Mapping[str, Head]) -> None:
    """Append the rows of a plan and commit, in one round trip. Without a transaction, one is begun.

    May be repeated with the same plan after the connection was lost: what is there already is not written again.

    Raises:
        psycopg.Error: as the server says; the transaction is still open.
    """
    is_idle = db.info.transaction_status == TransactionStatus.IDLE
    with db.pipeline():
        if is_idle:
            db.execute("BEGIN")
        if plan.written:
            parts = sorted({row.partition for row in plan.written})
            columns = map(list, zip(*plan.written, strict=True))
            ends = [fences[part] for part in parts], [heads[part].seq for part in parts]
            db.execute(_APPEND, (parts, *ends, *columns))
        if plan.payloads:
            payloads = [(one.ref.sha256, one.salt, one.body, one.subject) for one in plan.payloads]
            db.execute(_INSERT_PAYLOADS, tuple(map(list, zip(*payloads, strict=True))))
        if plan.forgotten or plan.withdrawn:
            db.execute(_FORGET, (list(plan.forgotten), plan.withdrawn))
        db.execute("COMMIT")


def refusal(error: DatabaseError) -> LogError:
    """Return what a refusal by `es.append` means."""
    where = error.diag.message_detail or "a partition"
    match error.sqlstate:
        case "ES001":
            return WriterFencedError(f"another operator has taken over {where}; this one stops")
        case "ES002":
            return LogError(f"the turn was lost, and another writer came first ({where}); nothing was written")
        case "ES005":
            return DamagedLogError(0, f"the log has lost its tail ({where}); restore it before anything is written")
    return LogError(f"nothing was written: {error.diag.message_primary}")


def _value(db: Connection, query: str) -> object:
    row = db.execute(query.encode()).fetchone()
    return None if row is None else row[0]
