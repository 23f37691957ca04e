"""Implements `mephisto-es import-mephisto`: create a log from a Mephisto database."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import click
from rich.table import Table

from ..composition.clock_and_ids import SystemIds
from ..composition.data_dir import DATABASE_FILE
from ..mephisto_import.importing import ImportReport, import_database
from ..mephisto_import.source import Source
from ..private_files import make_private_folder
from .common.output import ILLEGAL, as_json_option, console, print_json, working


@click.command("import-mephisto")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The log to create: a file, or a data folder to put it in.",
)
@as_json_option
def import_mephisto_command(source: Path, output: Path, as_json: bool) -> None:
    """Create a log from SOURCE, the database.db of Mephisto. SOURCE is only read.

    Databases of Mephisto 1.0 to 1.5 are read. Each fact becomes an event by the actor `import`. Inputs, outputs, tips,
    feedback, opinions and uploaded files are read from the data folder beside SOURCE, if it exists. Blocked workers
    stay blocked. Every other verb then works on the log. At the end, the figures and the contents of both are compared.

    \b
    Example:
      mephisto-es import-mephisto ~/mephisto/data/database.db -o imported

    Exit code 0: everything is equal. 1: something differs or was left out, and is named. 2: SOURCE or the output cannot
    be used; nothing is left behind.
    """
    with working("importing", is_quiet=as_json), closing(Source(source)) as opened:
        if output.suffix != ".db":
            make_private_folder(output)
            output = output / DATABASE_FILE
        report = import_database(opened, output, SystemIds({}, epoch=0))
    if as_json:
        print_json(report)
    else:
        _print(report, output)
    sys.exit(0 if report.agrees else ILLEGAL)


def _print(report: ImportReport, output: Path) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for column in ("source", "log"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in report.figures:
        mark = "" if figure.agrees else "[red]differs[/]"
        table.add_row(figure.what, f"{figure.source:,}", f"{figure.log:,}", mark)
    out = console()
    out.print(table)
    for sentence in report.left_out:
        out.print(f"left out: {sentence}", markup=False)
    out.print(f"{report.events:,} events in {output}", markup=False)
