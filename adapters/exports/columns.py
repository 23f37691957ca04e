"""Derives the columns of a table of units: those of `UnitRecord`, and one for each value in inputs, outputs, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, Protocol, cast, get_args, get_origin, get_type_hints

import msgspec

from ...events.ids import TaskRunId
from ...projections.mephisto_db.queries import JsonValue
from ...projections.queries.unit_records import UnitRecord, leaves, unit_records
from ..log.sqlite.as_of import open_as_of

Cell = bool | int | float | str | datetime | list[int] | list[str] | None

#: Columns made of inputs, outputs and labels at most; what has no column is in their JSON.
MAX_FLAT_COLUMNS = 300
_LARGEST, _SMALLEST = 2**63 - 1, -(2**63)


class ColumnKind(Enum):
    """The type of a column's values."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    TIME = "time"
    INTEGERS = "integers"
    TEXTS = "texts"
    #: Any JSON value, as text.
    JSON = "json"


class Column(NamedTuple):
    """One column."""

    name: str
    kind: ColumnKind
    nullable: bool
    #: The field of `UnitRecord` that it is, or whose value it is a part of.
    field: str
    #: The keys that lead from the field's value to the column's; empty for the field itself.
    path: tuple[str, ...] = ()


_KINDS: dict[object, ColumnKind] = {
    bool: ColumnKind.BOOLEAN,
    int: ColumnKind.INTEGER,
    float: ColumnKind.NUMBER,
    str: ColumnKind.TEXT,
    datetime: ColumnKind.TIME,
}


#: The type of values that are cells as they are, whatever else there is in the column.
_PLAIN = {kind: hint for hint, kind in _KINDS.items() if isinstance(hint, type)}


class FlatValues(Protocol):
    """The part of a row whose values get columns of their own."""

    @property
    def inputs(self) -> JsonValue:
        """The input data."""

    @property
    def outputs(self) -> JsonValue:
        """The submission."""

    @property
    def labels(self) -> JsonValue:
        """The labels of the item."""


def _column(name: str, hint: object) -> Column:
    if get_origin(hint) is tuple:
        kind = ColumnKind.INTEGERS if get_args(hint)[0] is int else ColumnKind.TEXTS
        return Column(name, kind, nullable=False, field=name)
    members = [member for member in get_args(hint) if member is not NoneType] or [hint]
    if members == [Any]:
        return Column(name, ColumnKind.JSON, nullable=True, field=name)
    return Column(name, _KINDS[members[0]], nullable=NoneType in get_args(hint), field=name)


#: The columns that every export has.
COLUMNS = tuple(_column(name, hint) for name, hint in get_type_hints(UnitRecord).items())
#: The fields whose values get columns, with the prefix of their names.
_FLAT_FIELDS = {"inputs": "input", "outputs": "output", "labels": "label"}


class UnitTable:
    """The rows of an export, which can be read several times, and their columns."""

    def __init__(
        self, records: Callable[[], Iterable[UnitRecord]], values: Callable[[], Iterable[FlatValues]] | None = None
    ) -> None:
        """Initialize; nothing is read yet.

        Args:
            records: returns the rows; called again for each reading.
            values: returns the inputs, outputs and labels of the rows alone, if that costs less.
        """
        self._records = records
        self._values = values or records

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns; the first time, the values of all rows are read to find out which ones they have."""
        return (*COLUMNS, *_flat_columns(self._values()))

    def __iter__(self) -> Iterator[UnitRecord]:
        return iter(self._records())

    def cells(self, record: UnitRecord) -> list[Cell]:
        """Return the values of a row, in the order of the columns."""
        cells: list[Cell] = []
        for column, plain in self._typed_columns:
            value = value_of(column, record) if column.path else getattr(record, column.field)
            is_cell = value is None or type(value) is plain
            cells.append(cast(Cell, value) if is_cell else _cell(column, value))
        return cells

    @cached_property
    def _typed_columns(self) -> list[tuple[Column, type]]:
        """The columns with the type of values that are cells as they are."""
        return [(column, _PLAIN.get(column.kind, NoneType)) for column in self.columns]


def read_table(database: str | Path, run: int, *, seq: int | None, names: bool) -> UnitTable:
    """Return the units of a run as a table that is in memory, for a data frame.

    Args:
        database: the log file.
        run: the run.
        seq: the position to read the log as of; None for its end.
        names: whether to include the workers' names at the provider.

    Raises:
        UnknownEntityError: there is no such run, or no such position.
        UnusableLogError: the file is not a log that this version can open.
    """
    with open_as_of(Path(database), seq=seq) as moment:
        records = list(unit_records(moment, TaskRunId(run), names=names))
    return UnitTable(lambda: records)


def value_of(column: Column, record: UnitRecord) -> object:
    """Return the value of a column in a row, as it is; None if the row has none."""
    value: object = getattr(record, column.field)
    for key in column.path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _flat_columns(records: Iterable[FlatValues]) -> list[Column]:
    """Return a column for each value in inputs and outputs, in the order in which they first appear."""
    found: dict[tuple[str, tuple[str, ...]], set[ColumnKind]] = {}
    for record in records:
        for field in _FLAT_FIELDS:
            for path, value in leaves(getattr(record, field)):
                kinds = found.get((field, path))
                if kinds is None:
                    if len(found) >= MAX_FLAT_COLUMNS:
                        continue
                    kinds = found[field, path] = set()
                if value is not None:
                    kinds.add(_kind_of(value))
    names: dict[str, Column] = {}
    for (field, path), of_values in found.items():
        name = ".".join((_FLAT_FIELDS[field], *path))
        # Keys with dots in them may lead to the same name; the first one has it.
        names.setdefault(name, Column(name, _common(of_values), nullable=True, field=field, path=path))
    return list(names.values())


def _kind_of(value: JsonValue) -> ColumnKind:
    match value:
        case bool():
            return ColumnKind.BOOLEAN
        case int() if _SMALLEST <= value <= _LARGEST:
            return ColumnKind.INTEGER
        case float():
            return ColumnKind.NUMBER
        case str():
            return ColumnKind.TEXT
        case _:
            return ColumnKind.JSON


def _common(kinds: set[ColumnKind]) -> ColumnKind:
    """Return the kind that holds the values of several kinds."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return ColumnKind.NUMBER if kinds == {ColumnKind.INTEGER, ColumnKind.NUMBER} else ColumnKind.JSON


def _cell(column: Column, value: object) -> Cell:
    match value:
        case None:
            return None
        case _ if column.kind is ColumnKind.JSON:
            return msgspec.json.encode(value).decode()
        case int() if column.kind is ColumnKind.NUMBER:
            return float(value)
        case tuple():
            return list(value)
        case bool() | int() | float() | str() | datetime():
            return value
        case _:
            raise TypeError(f"{column.name} cannot hold {value!r}")
