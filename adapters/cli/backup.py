"""Implements `mephisto-es backup`: copy a log and check the copy."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...projections.registry import PROJECTIONS
from ..log.audit.backup import back_up
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, print_json, working
from .replay import print_report


@click.command("backup")
@log_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The copy to create.",
)
@as_json_option
def backup_command(database: Path, output: Path, as_json: bool) -> None:
    """Copy the log in DATABASE to FILE, even while an operator writes it, then anchor the copy and replay it.

    The copy contains the workers' personal values, and `mephisto-es erase` does not reach it: keep copies no longer
    than you are allowed to.

    \b
    Example:
      mephisto-es backup mephisto_data -o /mnt/elsewhere/monday.db

    Exit code 0: the copy is legal. 1: it is not, because the log is not; every fault is named. 2: the file is not a
    usable log, or FILE exists already.
    """
    with working("copying and replaying the log", is_quiet=as_json):
        report = back_up(database, output, PROJECTIONS)
    if as_json:
        print_json(report)
    else:
        print_report(report, output)
    sys.exit(0 if report.legal else ILLEGAL)
