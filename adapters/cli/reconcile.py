"""Implements `mephisto-es reconcile`: compare a run with its crowd site."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click
import trio
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...core.operations.control.requests import ReconcileRequest
from ...core.operations.control.round_report import DifferenceReport, RoundOutcome, RoundReport
from ...events import streams
from ...events.ids import TaskRunId
from ..control.client import open_control
from ..control.protocol import author_of
from ..terminal import echo
from .common.arguments import LogCommand, author_option, log_argument, run_argument
from .common.output import ILLEGAL, as_json_option, console, print_json

_STYLES = {
    RoundOutcome.SETTLED: "green",
    RoundOutcome.PENDING: "yellow",
    RoundOutcome.REFUSED: "red",
    RoundOutcome.FOR_PERSON: "red",
}


@click.command("reconcile", cls=LogCommand)
@log_argument
@run_argument
@author_option
@as_json_option
def reconcile_command(database: Path, run: EntityRef, author: str | None, as_json: bool) -> None:
    """Compare RUN with the site of its crowd provider, record what the site shows, and remove the differences.

    A live run does this by itself. Use it after a run has ended, after the operator has been away, or to see what only
    a person can settle: work that the site has and the log does not, and the other way round.

    \b
    Example:
      mephisto-es reconcile mephisto_data 1

    Exit code 0: log and site agree. 1: a difference is left.
    """
    found = trio.run(_reconcile, database, TaskRunId(run.number), author_of(author))
    if as_json:
        print_json({"run": str(run), "round": found})
    elif found is None:
        echo(f"{run} has its workers from a provider without a site that can be asked")
    else:
        _print(run, found)
    if found is not None and found.open:
        raise click.exceptions.Exit(ILLEGAL)


def _work(one: DifferenceReport) -> str:
    if one.stream is None:
        return ""
    category, _, number = streams.parse(one.stream)
    return f"{category.replace('_', '-')}-{number}"


async def _reconcile(database: Path, run: TaskRunId, author: str) -> RoundReport | None:
    async with open_control(database, author) as control:
        return (await control.execute(ReconcileRequest(task_run=run))).round


def _print(run: EntityRef, found: RoundReport) -> None:
    echo(f"the site shows {found.observed or 0:,} pieces of work of {run}")
    if found.approved_by_site_at is not None:
        when = datetime.fromtimestamp(found.approved_by_site_at, UTC)
        echo(f"{found.unreviewed:,} wait for a review; the site approves one by itself at {when:%Y-%m-%d %H:%M} UTC")
    if not found.differences:
        echo("log and site agree")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("worker", "work", "difference", "outcome"):
        table.add_column(column)
    for one in found.differences:
        outcome = f"[{_STYLES[one.outcome]}]{one.outcome.value}[/]" + (f": {escape(one.reason)}" if one.reason else "")
        worker = "unknown" if one.worker is None else f"worker-{one.worker}"
        table.add_row(worker, _work(one), one.difference.value, outcome)
    console().print(table)
    counted = Counter(one.outcome.value for one in found.differences)
    echo(", ".join(f"{count:,} {outcome}" for outcome, count in counted.items()))
