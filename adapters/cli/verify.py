"""Implements `mephisto-es verify`: check that no event was changed and none is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.markup import escape

from ...projections.audit.verify import ChainReport
from ...projections.registry import PROJECTIONS
from ..log.anchor import line
from ..log.audit.replay import verified
from ..terminal import echo
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, console, print_findings, print_json


@click.command("verify")
@log_argument
@click.option("--anchor", is_flag=True, help="Print only the head of the chain as one line, to be stored elsewhere.")
@click.option(
    "--kept",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also compare the log with such lines, stored in FILE.",
)
@as_json_option
def verify_command(database: Path, anchor: bool, kept: Path | None, as_json: bool) -> None:
    """Check the hash chain of the log in DATABASE, and compare it with its anchors. `replay` checks everything else
    too.

    The anchor file next to the log reveals a missing end. If somebody rewrote both, a line stored elsewhere reveals it.

    \b
    Examples:
      mephisto-es verify mephisto_data
      mephisto-es verify mephisto_data --anchor >> /mnt/elsewhere/anchors
      mephisto-es verify mephisto_data --kept /mnt/elsewhere/anchors

    Exit code 0: intact. 1: something was changed, and is named. 2: the file is not a usable log.
    """
    report = verified(database, kept, PROJECTIONS)
    if as_json:
        print_json(report)
    elif anchor and report.whole:
        echo(line(report.head))
    else:
        _print(report, database)
    sys.exit(0 if report.whole else ILLEGAL)


def _print(report: ChainReport, database: Path) -> None:
    verdict = "[bold green]intact[/]" if report.whole else "[bold red]not intact[/]"
    anchored = "nothing" if report.anchored_seq is None else f"seq {report.anchored_seq:,}"
    console().print(
        f"{verdict}  {escape(str(database))}: {report.events:,} events in {report.seconds:.2f} s, "
        f"anchored to {anchored}\nhead  seq {report.seq:,}  {report.chain}"
    )
    print_findings(report.findings, report.findings_left_out, report.notes)
