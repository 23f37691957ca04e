"""Writes to a log in PostgreSQL: installs its tables, begins turns, appends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

from psycopg import DatabaseError, errors
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
SCHEMA_VERSION = 7
_COPY_OVER = (
    "copy it to a file with the version that made it, and the file to a new database with this one "
    "(`mephisto-es log copy SOURCE TARGET`)"
)
_INSTALLED = "SELECT to_regclass('es.meta') IS NOT NULL"
_VERSION = "SELECT version FROM es.meta"
_NEXT_EPOCH = "UPDATE es.meta SET epoch = 1 + greatest(epoch, %s) RETURNING epoch"
#: Whoever takes over a partition of an operator deletes this row, and so waits for the turn in progress.
_OPERATOR = "SELECT 1 FROM es.operator WHERE operator = %s FOR KEY SHARE"
_LOCK = "SELECT partition, fence FROM es.partition WHERE partition = ANY(%s) ORDER BY partition FOR NO KEY UPDATE"
#: The types of the array parameters of `es.append`: of each partition, and of each row.
_PARTITION_TYPES = ("text", "bigint", "bigint")
_ROW_TYPES = ("text", "bigint", "text", "bigint", "text", "bigint", "text", "int", "bigint", "bytea", "bytea")
_APPEND = f"SELECT es.append(%b::text, {', '.join(f'%b::{one}[]' for one in (*_PARTITION_TYPES, *_ROW_TYPES))})"
_PLACE = "SELECT es.place(waits => false)"
_INSERT_PAYLOADS = """
    INSERT INTO es.payload (sha256, salt, body, subject)
    SELECT * FROM unnest(%b::text[], %b::bytea[], %b::bytea[], %b::bigint[]) ON CONFLICT DO NOTHING
"""
_FORGET = "DELETE FROM es.payload WHERE subject = ANY(%s::bigint[]) OR sha256 = ANY(%s::text[])"


class TurnRows(NamedTuple):
    """The answer of the server to the beginning of a turn."""

    #: False if the operator has lost everything that it owned.
    is_operator: bool
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
        is_newer = isinstance(found, int) and found > SCHEMA_VERSION
        hint = "update mephisto-es" if is_newer else _COPY_OVER
        raise UnusableLogError(
            f"the log in the database has tables of version {found}, and this version needs {SCHEMA_VERSION}: {hint}"
        )


def next_epoch(db: Connection) -> int:
    """Return a number that no other writer of the log has or had, even if it was copied without its last number."""
    row = db.execute(_NEXT_EPOCH, (reading.last_epoch(db),)).fetchone()
    return 0 if row is None else int(row[0])


def take_turn(
    db: Connection, operator: str | None, partitions: Sequence[str], seen: Mapping[str, Head], commands: Sequence[str]
) -> TurnRows:
    """Begin a transaction that locks partitions, and read what is new, in one round trip.

    Args:
        db: the connection; it is within a transaction afterwards.
        operator: the name under which the writer owns partitions; None if it owns none.
        partitions: the partitions to lock.
        seen: what the writer has seen of each partition whose news it wants.
        commands: ids of commands that may have been executed.
    """
    with db.pipeline():
        db.execute("BEGIN")
        locked = db.execute(_LOCK, (list(partitions),))
        # After the partitions, as in `es.append` and `es.take`: locks that are taken in one order cause no deadlock.
        alive = None if operator is None else db.execute(_OPERATOR, (operator,))
        # A statement after the lock, so that it sees what was committed while the lock was waited for.
        news = db.execute(*reading.news_query(seen), binary=True)
        executed = db.execute(*reading.commands_query(commands), binary=True)
    known: dict[str, tuple[RecordedEvent, ...]] = {}
    for command, seq, data in executed:
        known[command] = (*known.get(command, ()), recorded(seq, data))
    is_operator = alive is None or alive.fetchone() is not None
    return TurnRows(is_operator, dict(locked), [reading.NewsRow._make(row) for row in news], known)


def append(
    db: Connection, operator: str | None, plan: PartitionPlan, fences: Mapping[str, int], heads: Mapping[str, Head]
) -> None:
    """Append the rows of a plan and commit, in one round trip. Without a transaction, one is begun.

    May be repeated with the same plan after the connection was lost: what is there already is not written again, and
    nothing is written if another writer has meanwhile written to a partition of the turn.

    Args:
        db: the connection.
        operator: the name under which the writer owns partitions; None if it owns none.
        plan: the rows.
        fences: the fence of each partition of the turn.
        heads: the end of each of them, on which the plan rests.

    Raises:
        psycopg.Error: as the server says; the transaction is still open.
    """
    is_idle = db.info.transaction_status == TransactionStatus.IDLE
    with db.pipeline():
        if is_idle:
            db.execute("BEGIN")
        if plan.written:
            columns = map(list, zip(*plan.written, strict=True))
            written, parts = {row.partition for row in plan.written}, sorted(fences)
            # What was only read in the turn may have got another owner, but no other end.
            ends = (
                [fences[part] if part in written else None for part in parts],
                [heads[part].seq for part in parts],
            )
            db.execute(_APPEND, (operator, parts, *ends, *columns))
        if plan.payloads:
            payloads = [(one.ref.sha256, one.salt, one.body, one.subject) for one in plan.payloads]
            db.execute(_INSERT_PAYLOADS, tuple(map(list, zip(*payloads, strict=True))))
        if plan.forgotten or plan.withdrawn:
            db.execute(_FORGET, (list(plan.forgotten), plan.withdrawn))
        if plan.written:
            # Last, because others wait for it until the commit, which it saves the next reader.
            db.execute(_PLACE)
        db.execute("COMMIT")


def refusal(error: DatabaseError) -> LogError:
    """Return what a refusal by `es.append` means."""
    where = error.diag.message_detail or "a partition"
    match error.sqlstate:
        case "ES001":
            return fenced(where)
        case "ES002":
            return LogError(f"the turn was lost, and another writer came first ({where}); nothing was written")
        case "ES005":
            return DamagedLogError(0, f"the log has lost its tail ({where}); restore it before anything is written")
    return LogError(f"nothing was written: {error.diag.message_primary}")


def fenced(where: str) -> WriterFencedError:
    """Return the error of an operator that has lost what it owned."""
    return WriterFencedError(
        f"another operator has taken over {where}, because this one was not heard of for too long. Nothing more is "
        "written here, and nothing that was acknowledged is lost; `mephisto-es operators` shows who continues"
    )


def _value(db: Connection, query: str) -> object:
    row = db.execute(query.encode()).fetchone()
    return None if row is None else row[0]
