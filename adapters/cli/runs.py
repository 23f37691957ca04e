"""Implements `mephisto-es runs`: list the runs and their progress."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ...projections.queries.runs.progress import RunProgress
from ...projections.queries.runs.run_status import all_runs
from ..advice import advised
from ..terminal import echo
from ..text import format_counts, format_duration
from .common.arguments import AsOfOption, as_of_options, log_argument
from .common.operators import with_operator
from .common.output import as_json_option, console, print_json


@click.command("runs")
@log_argument
@as_of_options
@as_json_option
def runs_command(database: Path, as_of: AsOfOption, as_json: bool) -> None:
    """List the runs in DATABASE: a log file, or the data folder that contains it.

    \b
    Example:
      mephisto-es runs mephisto_data
    """
    with as_of.open(database) as moment:
        found = all_runs(moment)
    if as_of == AsOfOption():
        found = msgspec.structs.replace(found, runs=tuple(with_operator(run, database) for run in found.runs))
    if as_json:
        print_json(found)
    elif not found.runs:
        echo(f"{database} has no runs yet.")
    else:
        console().print(_table(found.runs))
        for run in found.runs:
            if run.operator_problem is not None:
                console().print(Text(advised(f"! run-{run.task_run_id}: {run.operator_problem}"), style="bold red"))


def _table(runs: tuple[RunProgress, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("run", "task", "status"):
        table.add_column(column)
    table.add_column("done", justify="right")
    table.add_column("units")
    table.add_column("workers", justify="right")
    table.add_column("duration", justify="right")
    for run in runs:
        table.add_row(
            f"run-{run.task_run_id}",
            escape(run.task_name),
            escape(run.status),
            f"{run.units_done:,}/{run.units_total:,}",
            escape(format_counts(run.units)),
            f"{run.workers:,}",
            format_duration(run.seconds),
        )
    return table
