"""Checks that a file has exactly the tables, indexes and triggers of a log and of its projections.

Uniqueness of commands and versions rests on indexes, and a foreign trigger could change what a writer writes; so an
audit does not take the schema for granted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import NamedTuple

from ....projections.audit.views import StoredView
from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.engine.projection import Projection
from . import schema

_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_master"
#: Objects that SQLite creates for itself; nobody else can use this prefix.
_INTERNAL = "sqlite_"
#: Letters of a foreign name that are shown.
_MAX_NAME = 60


class SchemaObject(NamedTuple):
    """A table, index, trigger or view."""

    kind: str
    name: str
    table: str
    sql: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name[:_MAX_NAME]!r}"


def log_schema_problems(db: sqlite3.Connection) -> Iterator[str]:
    """Yield the objects of a log that are missing or changed, and the triggers that do not belong there.

    This is what a writer depends on. Tables and indexes that other programs added do it no harm.
    """
    stored, expected = _objects(db), _log_objects()
    for name, wanted in expected.items():
        if name not in stored:
            yield f"the {wanted} is missing"
        elif stored[name].sql != wanted.sql:
            yield f"the {wanted} is not the one that a log has"
    for name, found in stored.items():
        if name not in expected and (found.kind == "trigger" or found.table in expected):
            yield f"the {found} does not belong in a log"


def projection_schema_problems(
    db: sqlite3.Connection, stored: Sequence[StoredView], known: Sequence[Projection]
) -> Iterator[str]:
    """Yield the tables of projections with other columns or indexes than expected, and foreign tables and views.

    Args:
        db: the log.
        stored: the projections that the log has. Tables of projections built by other code are not compared, and
            foreign tables are not reported if one of the projections is unknown.
        known: the projections of this version.
    """
    by_name = {projection.name: projection for projection in known}
    owned: set[str] = set()
    for view in stored:
        if (projection := by_name.get(view.name)) is not None:
            owned |= set(projection.tables)
            if view.code == code_fingerprint(projection):
                yield from _compared(db, projection)
    if all(view.name in by_name for view in stored):
        for name, found in _objects(db).items():
            if found.kind in {"table", "view"} and name not in owned and name not in _log_objects():
                yield f"the {found} does not belong in a log"


def _compared(db: sqlite3.Connection, projection: Projection) -> Iterator[str]:
    with closing(rebuild.temporary_database()) as fresh:
        rebuild.create_tables(fresh, projection)
        rebuild.create_indexes(fresh, projection)
        for table in projection.tables:
            # A missing table is a fault of the view, and reported where the view is compared.
            if _columns(db, table) and (
                _columns(db, table) != _columns(fresh, table) or _indexes(db, table) != _indexes(fresh, table)
            ):
                yield f"the table {table!r} of the view {projection.name!r} has other columns or indexes than it should"


def _objects(db: sqlite3.Connection) -> dict[str, SchemaObject]:
    """Return the objects of a database by name, without those that SQLite creates for itself."""
    return {
        str(name): SchemaObject(str(kind), str(name), str(table), str(sql))
        for kind, name, table, sql in db.execute(_OBJECTS)
        if not str(name).startswith(_INTERNAL)
    }


@cache
def _log_objects() -> Mapping[str, SchemaObject]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(schema.TABLES)
        return _objects(db)


def _columns(db: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return db.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()


def _indexes(db: sqlite3.Connection, table: str) -> set[tuple[object, ...]]:
    """Return the indexes of a table by what they do, with the names of those that SQLite did not name."""
    found = db.execute('SELECT name, "unique", origin, partial FROM pragma_index_list(?)', (table,)).fetchall()
    columns = 'SELECT name, "desc", coll, key FROM pragma_index_xinfo(?)'
    return {
        ("" if str(name).startswith(_INTERNAL) else name, unique, origin, partial, *db.execute(columns, (name,)))
        for name, unique, origin, partial in found
    }
