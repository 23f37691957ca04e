"""Implements `mephisto-es preferences`: write comparisons of two texts for training with preferences."""

from __future__ import annotations

from pathlib import Path

import click

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId
from ...projections.queries.unit_records import unit_records, unit_values
from ..exports.columns import UnitTable
from ..exports.preferences import PreferenceColumns, write_preferences
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument
from .common.output import opened_output


@click.command("preferences", cls=LogCommand)
@log_argument
@run_argument
@click.option("--prompt", required=True, metavar="COLUMN", help="The column that both texts answer.")
@click.option("--options", required=True, nargs=2, metavar="COLUMN COLUMN", help="The columns with the two texts.")
@click.option("--choice", required=True, metavar="COLUMN", help="The column with the worker's choice.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write.  [default: standard output]")
@as_of_options
def preferences_command(
    database: Path,
    run: EntityRef,
    prompt: str,
    options: tuple[str, str],
    choice: str,
    output: Path | None,
    as_of: AsOfOption,
) -> None:
    """Write the comparisons of RUN as JSON Lines with prompt, chosen and rejected, one for each pair of texts.

    Each line also has the votes for both texts, and their scores by Bradley and Terry from all comparisons for the same
    prompt. The worker's choice is the name of a column of --options, its last part, or the text itself; other answers,
    such as "tie", and pairs with as many votes for one text as for the other are left out and counted. Work that was
    rejected or soft-rejected does not count. The columns are those of `mephisto-es export --format csv`.

    \b
    Example:
      mephisto-es preferences mephisto_data 1 --prompt input.prompt --options input.a input.b --choice output.better
    """
    columns = PreferenceColumns(prompt=prompt, options=options, choice=choice)
    with as_of.open(database) as moment:
        number = TaskRunId(run.number)
        table = UnitTable(lambda: unit_records(moment, number, names=False), lambda: unit_values(moment, number))
        with opened_output(output) as file:
            done = write_preferences(table, columns, file)
    echo(
        f"{done.written:,} preferences; left out: {done.ties:,} ties, {done.unclear:,} answers that name neither text",
        err=True,
    )
