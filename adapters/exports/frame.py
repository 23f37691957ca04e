"""Loads the units of a run into a pandas DataFrame. Needs the extra `pandas`."""

from __future__ import annotations

from pathlib import Path

import pandas

from ...projections.queries.unit_records import UnitRecord
from .columns import Column, ColumnKind, read_table, value_of

#: The dtypes of columns; other columns hold Python objects.
_TYPES = {
    ColumnKind.INTEGER: "Int64",
    ColumnKind.NUMBER: "Float64",
    ColumnKind.BOOLEAN: "boolean",
    ColumnKind.TEXT: "string",
    ColumnKind.TIME: "datetime64[us, UTC]",
}


def to_pandas(database: str | Path, run: int, *, seq: int | None = None, names: bool = True) -> pandas.DataFrame:
    """Return a run's units, one row each.

    The columns are those of `UnitRecord`, with nested values as they are, and one for each value in inputs and
    outputs, such as `input.text` and `output.label`.

    Args:
        database: the log file.
        run: the run.
        seq: the position to read the log as of; by default its end.
        names: whether to include the workers' names at the provider.

    Raises:
        UnknownEntityError: there is no such run, or no such position.
        UnusableLogError: the file is not a log that this version can open.
    """
    table = read_table(database, run, seq=seq, names=names)
    records = list(table)
    return pandas.DataFrame({column.name: _series(records, column) for column in table.columns})


def _series(records: list[UnitRecord], column: Column) -> pandas.Series:
    values = [value_of(column, record) for record in records]
    return pandas.Series(values, dtype=_TYPES.get(column.kind, "object"))
