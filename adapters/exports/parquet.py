"""Writes the units of a run as Parquet: typed columns, times in UTC, JSON values as text. Needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import pyarrow
from pyarrow import parquet

from ...projections.queries.unit_records import UnitRecord
from .columns import ColumnKind, UnitTable

#: Rows that are collected in memory and written together.
ROWS_PER_GROUP = 2_000

_TYPES = {
    ColumnKind.INTEGER: pyarrow.int64(),
    ColumnKind.NUMBER: pyarrow.float64(),
    ColumnKind.TEXT: pyarrow.string(),
    ColumnKind.TIME: pyarrow.timestamp("us", tz="UTC"),
    ColumnKind.BOOLEAN: pyarrow.bool_(),
    ColumnKind.TEXTS: pyarrow.list_(pyarrow.string()),
    ColumnKind.INTEGERS: pyarrow.list_(pyarrow.int64()),
    ColumnKind.JSON: pyarrow.string(),
}


def schema_of(table: UnitTable) -> pyarrow.Schema:
    """Return the typed columns of a table."""
    return pyarrow.schema(
        [pyarrow.field(column.name, _TYPES[column.kind], column.nullable) for column in table.columns]
    )


def write(table: UnitTable, file: BinaryIO) -> int:
    """Write rows, some thousands at a time; return how many there were."""
    count, schema = 0, schema_of(table)
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(iter(table)):
            columns = zip(*map(table.cells, group), strict=True)
            writer.write_table(pyarrow.table(dict(zip(schema.names, columns, strict=True)), schema=schema))
            count += len(group)
    return count


def _groups(records: Iterator[UnitRecord]) -> Iterator[list[UnitRecord]]:
    while group := list(islice(records, ROWS_PER_GROUP)):
        yield group
