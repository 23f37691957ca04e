"""Loads the units of a run into a polars DataFrame. Needs the extra `polars`."""

from __future__ import annotations

from pathlib import Path

import polars

from .columns import ColumnKind, read_table

_TYPES: dict[ColumnKind, polars.DataType] = {
    ColumnKind.INTEGER: polars.Int64(),
    ColumnKind.NUMBER: polars.Float64(),
    ColumnKind.BOOLEAN: polars.Boolean(),
    ColumnKind.TEXT: polars.String(),
    ColumnKind.TIME: polars.Datetime("us", "UTC"),
    ColumnKind.INTEGERS: polars.List(polars.Int64()),
    ColumnKind.TEXTS: polars.List(polars.String()),
    ColumnKind.JSON: polars.String(),
}


def to_polars(database: str | Path, run: int, *, seq: int | None = None, names: bool = True) -> polars.DataFrame:
    """Return a run's units, one row each.

    The columns are those of an export to Parquet: JSON values are text.

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
    schema = {column.name: _TYPES[column.kind] for column in table.columns}
    return polars.DataFrame([table.cells(record) for record in table], schema=schema, orient="row")
