"""Implements `mephisto-es doctor`: salvage a damaged log."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ...projections.registry import PROJECTIONS
from ..log.audit.salvage import salvage
from ..terminal import echo
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, print_findings, print_json, working


@click.command("doctor")
@log_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="NEW",
    help="The new log.",
)
@as_json_option
def doctor_command(database: Path, output: Path, as_json: bool) -> None:
    """Write the longest valid prefix of the log in DATABASE to NEW, and the events after it to NEW.quarantine.

    The damaged file is never changed. The new log has the same hash chain up to its end, so an old backup or a line
    stored elsewhere shows what is missing.

    \b
    Example:
      mephisto-es doctor mephisto_data -o saved.db

    Exit code 0: the log was intact, NEW has everything. 1: NEW has what could be salvaged. 2: the file is not a usable
    log.
    """
    with working("reading the log", is_quiet=as_json):
        done = salvage(database, output, PROJECTIONS)
    if as_json:
        print_json(done)
    else:
        echo(f"{output}: {done.seq:,} events and {done.payloads:,} payloads, head {done.chain}")
        if done.lost_payloads:
            echo(f"{done.lost_payloads:,} payloads are lost; their events are saved")
        if done.quarantine is not None:
            echo(f"{done.quarantine}: {done.quarantined:,} events that cannot be trusted")
        print_findings(done.faults)
    sys.exit(0 if done.whole else ILLEGAL)
