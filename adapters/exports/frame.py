"""A run's units as a pandas DataFrame. Needs the extra `pandas`."""

from __future__ import annotations

from pathlib import Path

import pandas

from ...events.ids import TaskRunId
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..log.sqlite.as_of import open_as_of
from .columns import COLUMNS, Kind

_TYPES = {Kind.INTEGER: "Int64", Kind.NUMBER: "Float64", Kind.TEXT: "string", Kind.TIME: "datetime64[us, UTC]"}


def to_pandas(database: str | Path, run: int, *, seq: int | None = None, names: bool = True) -> pandas.DataFrame:
    """A run's units, a row each; the columns are those of `UnitRecord`, nested values as they are.

    Args:
        database: the log's file.
        run: the run.
        seq: the position in the log that is looked at; the head, unless given.
        names: whether the workers' names at the provider are told.

    Raises:
        UnknownEntityError: there is no such run, or no such position.
        UnusableLogError: the file is not a log that this version can open.
    """
    with open_as_of(Path(database), seq=seq) as moment:
        records = list(unit_records(moment, TaskRunId(run), names=names))
    return pandas.DataFrame({column.name: _series(records, column.name, column.kind) for column in COLUMNS})


def _series(records: list[UnitRecord], name: str, kind: Kind) -> pandas.Series:
    values = [getattr(record, name) for record in records]
    return pandas.Series(values, dtype=_TYPES.get(kind, "object"))
