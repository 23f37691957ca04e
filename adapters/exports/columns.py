"""Derives the columns of a table of units from `UnitRecord`, for formats without nested values."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from types import NoneType
from typing import NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ...projections.queries.unit_records import UnitRecord

Cell = int | float | str | datetime | list[int] | None


class ColumnKind(Enum):
    """The type of a column's values."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    INTEGERS = "integers"
    #: Any JSON value, as text.
    JSON = "json"


class Column(NamedTuple):
    """One column."""

    name: str
    kind: ColumnKind
    nullable: bool


_KINDS: dict[object, ColumnKind] = {
    int: ColumnKind.INTEGER,
    float: ColumnKind.NUMBER,
    str: ColumnKind.TEXT,
    datetime: ColumnKind.TIME,
}


def _column(name: str, hint: object) -> Column:
    if get_origin(hint) is tuple:
        return Column(name, ColumnKind.INTEGERS, nullable=False)
    members = [member for member in get_args(hint) if member is not NoneType] or [hint]
    if len(members) > 1:
        return Column(name, ColumnKind.JSON, nullable=True)
    return Column(name, _KINDS[members[0]], nullable=NoneType in get_args(hint))


COLUMNS = tuple(_column(name, hint) for name, hint in get_type_hints(UnitRecord).items())


def cells(record: UnitRecord) -> list[Cell]:
    """Return the values of a row, in the order of the columns."""
    return [_cell(column, getattr(record, column.name)) for column in COLUMNS]


def _cell(column: Column, value: object) -> Cell:
    match value:
        case None:
            return None
        case _ if column.kind is ColumnKind.JSON:
            return msgspec.json.encode(value).decode()
        case tuple():
            return list(value)
        case int() | float() | str() | datetime():
            return value
        case _:
            raise TypeError(f"{column.name} cannot hold {value!r}")
