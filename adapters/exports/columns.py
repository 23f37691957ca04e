"""The columns of a table of units, read off `UnitRecord`: what formats without nested values can hold."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from types import NoneType
from typing import NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ...projections.queries.unit_records import UnitRecord

Cell = int | float | str | datetime | list[int] | None


class Kind(Enum):
    """What a column holds."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    INTEGERS = "integers"
    #: Any JSON value; as its text.
    JSON = "json"


class Column(NamedTuple):
    """One column."""

    name: str
    kind: Kind
    nullable: bool


_KINDS: dict[object, Kind] = {int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT, datetime: Kind.TIME}


def _column(name: str, hint: object) -> Column:
    if get_origin(hint) is tuple:
        return Column(name, Kind.INTEGERS, nullable=False)
    members = [member for member in get_args(hint) if member is not NoneType] or [hint]
    if len(members) > 1:
        return Column(name, Kind.JSON, nullable=True)
    return Column(name, _KINDS[members[0]], nullable=NoneType in get_args(hint))


COLUMNS = tuple(_column(name, hint) for name, hint in get_type_hints(UnitRecord).items())


def cells(record: UnitRecord) -> list[Cell]:
    """The values of a row, in the order of the columns."""
    return [_cell(column, getattr(record, column.name)) for column in COLUMNS]


def _cell(column: Column, value: object) -> Cell:
    match value:
        case None:
            return None
        case _ if column.kind is Kind.JSON:
            return msgspec.json.encode(value).decode()
        case tuple():
            return list(value)
        case int() | float() | str() | datetime():
            return value
        case _:
            raise TypeError(f"{column.name} cannot hold {value!r}")
