"""Implements `mephisto-es replay`: prove that a log is legal, or list what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...projections.audit.report import ReplayReport
from ...projections.registry import PROJECTIONS
from ..diagnostics.bug_report import disagreements, unpacked
from ..log.audit.replay import replay
from ..terminal import echo
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, console, print_findings, print_json, working


class BundleReplay(msgspec.Struct, frozen=True):
    """The replay of a bundle's log, compared with that where the bundle was made."""

    report: ReplayReport
    disagreements: tuple[str, ...]


@click.command("replay")
@log_argument
@click.option(
    "--assert", "bundled", is_flag=True, help="DATABASE is a bundle: check that its replay gives the same result here."
)
@as_json_option
def replay_command(database: Path, bundled: bool, as_json: bool) -> None:
    """Read the log in DATABASE from the first event to the last, and check everything that follows from it.

    \b
    Examples:
      mephisto-es replay mephisto_data
      mephisto-es replay --assert report.zip

    Exit code 0: the log is legal; for a bundle: the result is the same. 1: it is not, and every fault is named. 2: the
    file is not a usable log.
    """
    if bundled:
        sys.exit(_assert_bundle(database, as_json=as_json))
    with working("replaying the log", is_quiet=as_json):
        report = replay(database, PROJECTIONS)
    if as_json:
        print_json(report)
    else:
        print_report(report, database)
    sys.exit(0 if report.legal else ILLEGAL)


def _assert_bundle(bundle: Path, *, as_json: bool) -> int:
    """Replay a bundle's log and compare the results; return the exit code."""
    with working("replaying the log", is_quiet=as_json), unpacked(bundle) as (database, manifest):
        report = replay(database, PROJECTIONS)
    differing = disagreements(report, manifest.report)
    if as_json:
        print_json(BundleReplay(report, tuple(differing)))
    else:
        print_report(report, bundle)
        for sentence in differing or ["the same result as where the bundle was created"]:
            echo(sentence)
    return ILLEGAL if differing else 0


def print_report(report: ReplayReport, database: Path) -> None:
    """Print a report for people."""
    out = console()
    if report.legal:
        out.print(f"[bold green]legal[/]  {escape(str(database))}")
    else:
        count = len(report.findings) + report.findings_left_out
        out.print(f"[bold red]not legal[/]  {escape(str(database))}: {count} finding{'s' * (count != 1)}")
    out.print(_facts(report))
    print_findings(report.findings, report.findings_left_out, report.notes)


def _facts(report: ReplayReport) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row("events", f"{report.events:,} in {report.seconds:.2f} s")
    table.add_row("streams", _counts(report.streams))
    table.add_row("units", _counts(report.units))
    table.add_row("views compared", _counts(report.views, unit=" rows"))
    table.add_row("payloads", f"{report.payloads:,} intact, {report.erased_payloads:,} erased")
    table.add_row("anchored to", "nothing" if report.anchored_seq is None else f"seq {report.anchored_seq:,}")
    table.add_row("head", f"seq {report.seq:,}  {report.chain}")
    return table


def _counts(counts: dict[str, int], unit: str = "") -> str:
    return ", ".join(f"{escape(name)} {count:,}{unit}" for name, count in counts.items()) or "none"
