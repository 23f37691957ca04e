"""`mephisto-es verify`: is every event what was written, and is none missing?"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.markup import escape

from ...projections.audit.verify import ChainReport
from ..log.anchor import line
from ..log.audit.replay import verified
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, console, print_findings, print_json


@click.command("verify")
@log_argument
@click.option(
    "--anchor", is_flag=True, help="Print the end of the chain as one line and nothing else, to keep elsewhere."
)
@click.option(
    "--kept",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare the log also with such lines, kept in FILE.",
)
@as_json_option
def verify_command(database: Path, anchor: bool, kept: Path | None, as_json: bool) -> None:
    """Follow the chain of the log in DATABASE, and compare it with its anchors. `replay` checks the rest too.

    The anchor file beside the log finds a lost end. Somebody who rewrites both is found by a line kept elsewhere.

    \b
    Examples:
      mephisto-es verify mephisto_data
      mephisto-es verify mephisto_data --anchor >> /mnt/elsewhere/anchors
      mephisto-es verify mephisto_data --kept /mnt/elsewhere/anchors

    Exit code 0: whole. 1: something is not as it was written, and is named. 2: the file is not a usable log.
    """
    report = verified(database, kept)
    if as_json:
        print_json(report)
    elif anchor and report.whole:
        click.echo(line(report.head))
    else:
        _print(report, database)
    sys.exit(0 if report.whole else ILLEGAL)


def _print(report: ChainReport, database: Path) -> None:
    said = "[bold green]whole[/]" if report.whole else "[bold red]not whole[/]"
    anchored = "nothing" if report.anchored_seq is None else f"seq {report.anchored_seq:,}"
    console().print(
        f"{said}  {escape(str(database))}: {report.events:,} events in {report.seconds:.2f} s, "
        f"anchored to {anchored}\nhead  seq {report.seq:,}  {report.chain}"
    )
    print_findings(report.findings, report.findings_left_out, report.notes)
