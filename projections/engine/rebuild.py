"""Builds the tables of projections in a separate database, and finds where two builds differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...core.gc_tuning import gc_paused
from ...events.envelope import RecordedEvent
from .lazy_import import lazy_import
from .projection import Projection, ReadPayload

if TYPE_CHECKING:
    import sqlite_utils
else:
    # Needed only to create tables. It tries to import pandas, which takes longer than everything else, for a type that
    # no table here has.
    sqlite_utils = lazy_import("sqlite_utils", without=("pandas",))

#: Events that a build applies at a time: enough for a projection to write a row once for many changes.
BATCH_EVENTS = 5000

#: A value as SQLite returns it.
Value = int | float | str | bytes | None
_Row = tuple[Value, ...]


class Queryable(Protocol):
    """Tables that can be queried: a connection, or a reader of a view."""

    def execute(self, sql: str, /) -> sqlite3.Cursor:
        """Run a query and return a cursor over its rows."""


class Difference(NamedTuple):
    """One value in which two builds of the same tables differ."""

    table: str
    #: The values of the row's primary key.
    key: _Row
    #: None if the whole row exists in only one of the builds.
    column: str | None
    stored: Value
    rebuilt: Value

    def __str__(self) -> str:
        key = ", ".join(map(repr, self.key))
        if self.column is None:
            problem = "is stored, but does not follow from the log" if self.rebuilt is None else "is missing"
            return f"{self.table}[{key}] {problem}"
        return f"{self.table}[{key}].{self.column} is {self.stored!r}, but the log gives {self.rebuilt!r}"


def temporary_database() -> sqlite3.Connection:
    """Open an empty private database, which SQLite spills to a temporary file when it outgrows its cache."""
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA journal_mode=OFF")
    return db


def create_tables(db: sqlite3.Connection, projection: Projection) -> None:
    """Create a projection's tables, empty and without indexes, replacing any that exist."""
    for table in projection.tables:
        db.execute(f"DROP TABLE IF EXISTS {_quoted(table)}")
    projection.create(sqlite_utils.Database(db, execute_plugins=False))


def create_indexes(db: sqlite3.Connection, projection: Projection) -> None:
    """Create the indexes that readers of a projection's tables need.

    Call it last: maintaining the indexes row by row would make a build an eighth slower.
    """
    projection.index(sqlite_utils.Database(db, execute_plugins=False))


def build(
    db: sqlite3.Connection, projections: Sequence[Projection], events: Iterable[RecordedEvent], payload: ReadPayload
) -> None:
    """Create the tables of projections, apply events to them, and index them.

    Args:
        db: an empty database.
        projections: the projections to build.
        events: the events, from the first one on.
        payload: reads the payloads that events refer to.
    """
    for projection in projections:
        create_tables(db, projection)
    apply_events(db, projections, events, payload)
    for projection in projections:
        create_indexes(db, projection)


def apply_events(
    db: sqlite3.Connection, projections: Sequence[Projection], events: Iterable[RecordedEvent], payload: ReadPayload
) -> None:
    """Apply the next events to projections, batch by batch."""
    with gc_paused():
        for batch in batches(events):
            apply_batch(db, projections, batch, payload)


def apply_batch(
    db: sqlite3.Connection, projections: Sequence[Projection], events: Sequence[RecordedEvent], payload: ReadPayload
) -> None:
    """Apply a batch of events to projections in one transaction."""
    db.execute("BEGIN")
    try:
        for projection in projections:
            projection.apply(db, events, payload)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def batches(events: Iterable[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    """Divide events into lists of at most `BATCH_EVENTS`."""
    remaining = iter(events)
    while batch := list(islice(remaining, BATCH_EVENTS)):
        yield batch


def copy_tables(source: sqlite3.Connection, target: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Copy all rows of some tables, which exist in both databases and are empty in the target."""
    for table in tables:
        columns = _columns(source, table)
        names = ", ".join(map(_quoted, columns))
        marks = ", ".join("?" * len(columns))
        target.executemany(
            f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})",
            source.execute(f"SELECT {names} FROM {_quoted(table)}"),
        )


def differences(stored: Queryable, rebuilt: Queryable, table: str) -> Iterator[Difference]:
    """Yield the differences between a stored table and a rebuilt one, in the order of its primary key.

    Both sides are read row by row, so tables larger than memory can be compared.
    """
    columns = _columns(rebuilt, table)
    missing = set(columns) - set(_columns(stored, table))
    if missing:
        yield from (Difference(table, (), column, None, "a column") for column in sorted(missing))
        return
    key = _key(rebuilt, table) or columns
    selected = ", ".join(map(_quoted, (*key, *columns)))
    query = f"SELECT {selected} FROM {_quoted(table)} ORDER BY {', '.join(map(_quoted, key))}"
    for left_row, right_row in _paired(stored.execute(query), rebuilt.execute(query), len(key)):
        if right_row is None:
            yield Difference(table, left_row[: len(key)] if left_row else (), None, "a row", None)
        elif left_row is None:
            yield Difference(table, right_row[: len(key)], None, None, "a row")
        else:
            for column, old, new in zip(columns, left_row[len(key) :], right_row[len(key) :], strict=True):
                if old != new:
                    yield Difference(table, left_row[: len(key)], column, old, new)


def _paired(left: Iterator[_Row], right: Iterator[_Row], key: int) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Pair the unequal rows of two ordered queries by key; a row without a counterpart is paired with None."""
    left_row, right_row = next(left, None), next(right, None)
    while left_row is not None or right_row is not None:
        if left_row == right_row:
            left_row, right_row = next(left, None), next(right, None)
        elif left_row is None:
            yield None, right_row
            right_row = next(right, None)
        elif right_row is None or _order(left_row[:key]) < _order(right_row[:key]):
            yield left_row, None
            left_row = next(left, None)
        elif _order(right_row[:key]) < _order(left_row[:key]):
            yield None, right_row
            right_row = next(right, None)
        else:
            yield left_row, right_row
            left_row, right_row = next(left, None), next(right, None)


def _order(key: _Row) -> tuple[tuple[int, float | str | bytes], ...]:
    """Return a sort key for the order of SQLite's ORDER BY: NULL, numbers, text, bytes."""
    return tuple(map(_rank, key))


def _rank(value: Value) -> tuple[int, float | str | bytes]:
    match value:
        case None:
            return (0, 0)
        case int() | float():
            return (1, value)
        case str():
            return (2, value)
        case bytes():
            return (3, value)


def _columns(db: Queryable, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({_quoted(table)})")]


def _key(db: Queryable, table: str) -> list[str]:
    rows = [(row[5], row[1]) for row in db.execute(f"PRAGMA table_info({_quoted(table)})") if row[5]]
    return [name for _, name in sorted(rows)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
