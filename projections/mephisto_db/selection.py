"""Selects the rows of a table of the view by their type, and says what to do if a table cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import msgspec

from ...core.errors import UnusableLogError
from . import rows
from .tables import TABLE_OF, Table


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Convert errors of SQLite, and values of the wrong type, to errors that say what to do.

    Args:
        part: what is read, for the message.

    Raises:
        UnusableLogError: it cannot be read.
    """
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise UnusableLogError(
            f"{part} cannot be read: {error}; check the log with `mephisto-es replay`, "
            "and if only a view is damaged, run `mephisto-es projections rebuild`"
        ) from error


class RowQuery(NamedTuple):
    """The query for all rows of a table; conditions are appended to it."""

    sql: str
    columns: tuple[str, ...]
    #: The table in an error.
    part: str


@cache
def selection_of(row: type[rows.Row]) -> RowQuery:
    """Return the query for the rows of some type."""
    table = table_of(row)
    part = f"the table {table.name} of the MephistoDB view"
    return RowQuery(f"SELECT {', '.join(table.columns)} FROM {table.name}", table.columns, part)


@cache
def table_of(row: type[rows.Row]) -> Table:
    """Return the table that holds a type of row; the types of the data model extend those of the tables."""
    return next(TABLE_OF[kind] for kind in row.__mro__ if kind in TABLE_OF)
