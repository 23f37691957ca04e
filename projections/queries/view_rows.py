"""Reads the rows of the MephistoDB view, of all runs or of one, for display."""

from __future__ import annotations

from collections.abc import Iterator

from ...events.ids import TaskRunId
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.tables import TABLES, Table

#: The run a row belongs to, in the tables that have this column.
_RUN_COLUMN = "task_run_id"
_BY_NAME = {table.name: table for table in TABLES}

#: A value of the view; none of its columns holds bytes.
CellValue = int | float | str | None
ShownRow = dict[str, CellValue]


def rows_of(db: MephistoDB, table: Table, run: TaskRunId | None = None) -> Iterator[ShownRow]:
    """Yield the rows of a table, ordered by its key.

    Args:
        db: the view.
        table: the table.
        run: only rows of this run and rows that belong to it indirectly; all rows by default.
    """
    condition = "" if run is None else f"WHERE {_of_the_run(table)}"
    cursor = db.execute(f"SELECT * FROM {table.name} {condition} ORDER BY {table.key}", {"run": run})
    for row in cursor:
        yield dict(zip(table.columns, row, strict=True))


def counts_of(db: MephistoDB, table: Table, run: TaskRunId | None = None) -> dict[str, int]:
    """Count the rows of a table by status, or under an empty name if the table has no status."""
    status = "status" if "status" in table.columns else "''"
    condition = "" if run is None else f"WHERE {_of_the_run(table)}"
    query = f"SELECT {status}, count(*) FROM {table.name} {condition} GROUP BY 1 ORDER BY min({table.key})"
    return {str(name): count for name, count in db.execute(query, {"run": run})}


def _of_the_run(table: Table) -> str:
    """Return the SQL condition for the rows of a run.

    A row belongs to a run if it names the run, refers to a row that does, or is referred to by one.
    """
    if _RUN_COLUMN in table.columns:
        return f"{_RUN_COLUMN} = :run"
    for column, other in table.references.items():
        if _RUN_COLUMN in _BY_NAME[other].columns:
            return f"{column} IN (SELECT {_BY_NAME[other].key} FROM {other} WHERE {_RUN_COLUMN} = :run)"
    referring = [
        f"SELECT {column} FROM {other.name} WHERE {_RUN_COLUMN} = :run"
        for other in TABLES
        if _RUN_COLUMN in other.columns
        for column, referred in other.references.items()
        if referred == table.name
    ]
    if referring:
        return f"{table.key} IN ({' UNION '.join(referring)})"
    for column, other in table.references.items():
        return f"{column} IN (SELECT {_BY_NAME[other].key} FROM {other} WHERE {_of_the_run(_BY_NAME[other])})"
    return "0"
