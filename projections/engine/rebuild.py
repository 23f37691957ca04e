"""Building a projection's tables anew, beside the living ones, and telling where two builds differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...core.gc_tuning import gc_paused
from ...events.envelope import RecordedEvent
from .lazy_import import deferred
from .projection import Projection, ReadPayload

if TYPE_CHECKING:
    import sqlite_utils
else:
    # Needed to make tables only. It looks for pandas, which takes longer to load than all else, to know a type that no
    # table here has.
    sqlite_utils = deferred("sqlite_utils", without=("pandas",))

#: Events that a build applies at a time: large enough for a projection to write a row once for many changes.
PAGE_EVENTS = 5000

#: A value as SQLite hands it out.
Value = int | float | str | bytes | None
_Row = tuple[Value, ...]


class Queryable(Protocol):
    """Tables that can be queried: a connection, or a reader of a view."""

    def execute(self, sql: str, /) -> sqlite3.Cursor:
        """Run a query and return a cursor over its rows."""


class Difference(NamedTuple):
    """One value in which two builds of the same tables differ."""

    table: str
    #: Values of the row's primary key.
    key: _Row
    #: None: the whole row is there in one build only.
    column: str | None
    stored: Value
    rebuilt: Value

    def __str__(self) -> str:
        key = ", ".join(map(repr, self.key))
        if self.column is None:
            where = "is stored, but the log does not give it" if self.rebuilt is None else "is missing"
            return f"{self.table}[{key}] {where}"
        return f"{self.table}[{key}].{self.column} is {self.stored!r}, the log gives {self.rebuilt!r}"


def scratch() -> sqlite3.Connection:
    """An empty database of our own, which SQLite spills to a temporary file when it outgrows its cache."""
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA journal_mode=OFF")
    return db


def create(db: sqlite3.Connection, projection: Projection) -> None:
    """Make a projection's tables, empty, in place of any that are there; see `index`."""
    for table in projection.tables:
        db.execute(f"DROP TABLE IF EXISTS {_quoted(table)}")
    projection.create(sqlite_utils.Database(db, execute_plugins=False))


def index(db: sqlite3.Connection, projection: Projection) -> None:
    """Make the indexes of a projection's tables for those who will read them.

    A build goes without them: to keep them row by row would cost it an eighth more.
    """
    projection.index(sqlite_utils.Database(db, execute_plugins=False))


def build(
    db: sqlite3.Connection, projections: Sequence[Projection], events: Iterable[RecordedEvent], payload: ReadPayload
) -> None:
    """Make projections' tables, carry events into them page by page, and index them.

    Args:
        db: an empty database.
        projections: whose tables.
        events: from the first one on.
        payload: reads what events refer to.
    """
    for projection in projections:
        create(db, projection)
    carry(db, projections, events, payload)
    for projection in projections:
        index(db, projection)


def carry(
    db: sqlite3.Connection, projections: Sequence[Projection], events: Iterable[RecordedEvent], payload: ReadPayload
) -> None:
    """Carry the next events into projections' tables, page by page."""
    with gc_paused():
        for page in pages(events):
            apply(db, projections, page, payload)


def apply(
    db: sqlite3.Connection, projections: Sequence[Projection], page: Sequence[RecordedEvent], payload: ReadPayload
) -> None:
    """Carry a page of events into all projections, in a transaction of its own."""
    db.execute("BEGIN")
    try:
        for projection in projections:
            projection.apply(db, page, payload)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def pages(events: Iterable[RecordedEvent]) -> Iterator[list[RecordedEvent]]:
    """Events in lists of at most `PAGE_EVENTS`."""
    remaining = iter(events)
    while page := list(islice(remaining, PAGE_EVENTS)):
        yield page


def copy_tables(source: sqlite3.Connection, target: sqlite3.Connection, tables: Iterable[str]) -> None:
    """Copy all rows of tables that exist in both databases and are empty in the target."""
    for table in tables:
        columns = _columns(source, table)
        names = ", ".join(map(_quoted, columns))
        marks = ", ".join("?" * len(columns))
        target.executemany(
            f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})",
            source.execute(f"SELECT {names} FROM {_quoted(table)}"),
        )


def differences(stored: Queryable, rebuilt: Queryable, table: str) -> Iterator[Difference]:
    """Where a stored table is not what was rebuilt, in the order of its primary key.

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
    for mine, theirs in _paired(stored.execute(query), rebuilt.execute(query), len(key)):
        if theirs is None:
            yield Difference(table, mine[: len(key)] if mine else (), None, "a row", None)
        elif mine is None:
            yield Difference(table, theirs[: len(key)], None, None, "a row")
        else:
            for column, old, new in zip(columns, mine[len(key) :], theirs[len(key) :], strict=True):
                if old != new:
                    yield Difference(table, mine[: len(key)], column, old, new)


def _paired(left: Iterator[_Row], right: Iterator[_Row], key: int) -> Iterator[tuple[_Row | None, _Row | None]]:
    """Unequal rows of two ordered queries, side by side where their keys are equal, else with None."""
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        if mine == theirs:
            mine, theirs = next(left, None), next(right, None)
        elif mine is None:
            yield None, theirs
            theirs = next(right, None)
        elif theirs is None or _order(mine[:key]) < _order(theirs[:key]):
            yield mine, None
            mine = next(left, None)
        elif _order(theirs[:key]) < _order(mine[:key]):
            yield None, theirs
            theirs = next(right, None)
        else:
            yield mine, theirs
            mine, theirs = next(left, None), next(right, None)


def _order(key: _Row) -> tuple[tuple[int, float | str | bytes], ...]:
    """What SQLite's ORDER BY goes by: NULL before numbers before text before bytes."""
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
