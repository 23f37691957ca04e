"""Implements `mephisto-es show`: show the MephistoDB tables as of a time or position."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table as RichTable

from ...core.entity_ref import EntityRef
from ...core.printable import printable
from ...events.ids import TaskRunId
from ...projections.mephisto_db.rows import date_of
from ...projections.mephisto_db.tables import TABLES, Table
from ...projections.queries.view_rows import ShownRow, counts_of, rows_of
from ..log.sqlite.as_of import LogAsOf
from ..terminal import make_console
from ..text import format_counts
from .common.arguments import AsOfOption, LogCommand, RunType, as_of_options, log_argument
from .common.output import as_json_option, console, facts, print_json

#: The longest row that is printed whole, in characters.
ROW_WIDTH = 4000

_BY_NAME = {table.name: table for table in TABLES}


class TableRows(msgspec.Struct, frozen=True):
    """The rows of the view at a point of the log."""

    seq: int
    #: The time there, in microseconds.
    at: int
    #: The rows of each table, oldest first.
    tables: dict[str, list[ShownRow]]


@click.command("show", cls=LogCommand)
@log_argument
@click.option("--run", type=RunType(), help="Only rows of one run.")
@click.option("--table", "name", type=click.Choice(list(_BY_NAME)), help="Show the rows of one table.")
@as_of_options
@as_json_option
def show_command(database: Path, run: EntityRef | None, name: str | None, as_of: AsOfOption, as_json: bool) -> None:
    """Show the tables of the log in DATABASE as of a time or position, by default as they are now.

    Values erased since then are not included. With --json, all rows are printed.

    \b
    Examples:
      mephisto-es show mephisto_data --at "2026-01-31 14:05"
      mephisto-es show mephisto_data --seq 120 --run 1 --table units
    """
    number = None if run is None else TaskRunId(run.number)
    tables = TABLES if name is None else (_BY_NAME[name],)
    with as_of.open(database) as moment:
        if as_json:
            rows = {table.name: list(rows_of(moment.db, table, number)) for table in tables}
            print_json(TableRows(moment.seq, moment.at, rows))
        else:
            console().print(f"[bold]seq {moment.seq:,}[/]  {_date(moment)}")
            if name is None:
                _print_counts(moment, number)
            else:
                _print_rows(_BY_NAME[name], rows_of(moment.db, _BY_NAME[name], number))


def _date(moment: LogAsOf) -> str:
    return date_of(moment.at) if moment.seq else "before the first event"


def _print_counts(moment: LogAsOf, run: TaskRunId | None) -> None:
    grid = facts()
    for table in TABLES:
        counts = counts_of(moment.db, table, run)
        statuses = {status: count for status, count in counts.items() if status}
        grid.add_row(table.name, f"{sum(counts.values()):,}", format_counts(statuses) if statuses else "")
    console().print(grid)


def _print_rows(table: Table, rows: Iterable[ShownRow]) -> None:
    grid = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in table.columns:
        grid.add_column(column, no_wrap=True)
    for row in rows:
        grid.add_row(*("" if value is None else escape(printable(str(value))) for value in row.values()))
    # One line per row, however long, so that it can be cut and searched.
    make_console(width=ROW_WIDTH).print(grid)
