"""Implements `mephisto-es reconcile`: compare a run with its crowd site."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ...core.abstractions.crowd.differences import SiteDifference
from ...core.decisions.task_run import offer_paused_text
from ...core.entity_ref import EntityRef
from ...core.operations.control.requests import ReconcileRequest
from ...core.operations.control.round_report import DifferenceReport, ListReport, RoundOutcome, RoundReport
from ...events import streams
from ...events.ids import TaskRunId
from ..advice import advised
from ..control.client import open_control
from ..control.protocol import author_of
from ..terminal import echo
from ..text import count_of, printable
from .common.arguments import LogCommand, author_option, log_argument, run_argument, script_option
from .common.output import ILLEGAL, as_json_option, console, print_json, waiting_for

_STYLES = {
    RoundOutcome.SETTLED: "green",
    RoundOutcome.PENDING: "yellow",
    RoundOutcome.REFUSED: "red",
    RoundOutcome.FOR_PERSON: "red",
}

#: Most workers of a list who are named in a line.
MOST_NAMED = 10

#: Differences that `--take-in` may remove.
_MISSED = (SiteDifference.NOT_SUBMITTED, SiteDifference.UNKNOWN_HERE)
#: What to do about a difference that only a person can settle, with the run as `{run}`.
_ADVICE = {
    SiteDifference.RETURNED_THERE: (
        "Returned at the provider: pay by other means what is owed, and record it with "
        "`mephisto-es pay {run} --settle PAYMENT paid`"
    ),
    SiteDifference.PAID_ELSEWHERE: (
        "Paid by other means, and completed at the provider since, which pays work that nobody has rejected there. A "
        "rejection may count against the worker: ask first (`mephisto-es message AGENT TEXT`), then reject the work on "
        "the provider's pages; or let it be paid, and count the difference as a bonus"
    ),
    SiteDifference.PAID_TWICE: (
        "Paid twice: nobody takes back what is paid. Ask the worker (`mephisto-es message AGENT TEXT`), or count it as "
        "a bonus in your books. If the payment was settled for what the provider had paid, only the record is wrong"
    ),
    SiteDifference.APPROVED_THERE: (
        "Approved at the provider: the worker has the money. `mephisto-es review {run}` can accept the work here too"
    ),
    SiteDifference.DECIDED_THERE: (
        "Decided at the provider: give your verdict here, for what was decided there does not count as one: "
        "`mephisto-es review {run}`"
    ),
}


class RunRound(msgspec.Struct, frozen=True):
    """The comparison of a run with its site."""

    run: str
    #: None if its provider has no site that can be asked.
    round: RoundReport | None


@click.command("reconcile", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--take-in",
    "takes_in",
    is_flag=True,
    help="Take in work that was completed at the site and not submitted here.",
)
@click.option(
    "--listed",
    type=click.File(encoding="utf-8"),
    help="File with the ids of people who took part as the site's pages say, one a line; for SONA.",
)
@click.option("--start-offer", "starts_offer", is_flag=True, help="Start an offer that was paused at the site.")
@script_option
@author_option
@as_json_option
def reconcile_command(
    database: Path,
    run: EntityRef,
    takes_in: bool,
    listed: TextIO | None,
    starts_offer: bool,
    author: str | None,
    as_json: bool,
) -> None:
    """Compare RUN with the site of its crowd provider, record what the site shows, and remove the differences.

    A live run does this by itself. Use it after a run has ended, after the operator has been away, or to see what only
    a person can settle: work that the site has and the log does not, and the other way round.

    With --take-in, people who completed the work at the site while no page could submit it get a unit that is on
    offer, or the one they had. It then waits for a review like any other work; it has no answers.

    Lists of workers that the site keeps after ours (blocked workers, mirrored qualifications) are compared too. What
    somebody has changed in them on the site's pages is recorded and left there; block the worker here as well, or not.

    \b
    Examples:
      mephisto-es reconcile mephisto_data 1
      mephisto-es reconcile mephisto_data 1 --take-in
      mephisto-es reconcile mephisto_data 1 --listed codes.txt --take-in

    Exit code 0: log and site agree. 1: a difference is left.
    """
    ids = () if listed is None else tuple(dict.fromkeys(line.strip() for line in listed if line.strip()))
    request = ReconcileRequest(task_run=TaskRunId(run.number), takes_in=takes_in, starts_offer=starts_offer, listed=ids)
    with waiting_for(f"asking the site of {run}", is_quiet=as_json):
        found = trio.run(_reconcile, database, request, author_of(author))
    if as_json:
        print_json(RunRound(str(run), found))
    elif found is None:
        echo(f"{run} has its workers from a provider without a site that can be asked")
    else:
        _print(run, found)
    if found is not None and not found.is_settled:
        raise click.exceptions.Exit(ILLEGAL)


def _work(one: DifferenceReport) -> str:
    if one.stream is None:
        return "" if one.handle is None else printable(one.handle)
    category, _, number = streams.parse(one.stream)
    return f"{category.replace('_', '-')}-{number}"


async def _reconcile(database: Path, request: ReconcileRequest, author: str) -> RoundReport | None:
    async with open_control(database, author) as control:
        return (await control.execute(request)).round


def _about_list(one: ListReport) -> str:
    """Return a sentence about a list of workers at the site; empty: there is nothing to say."""
    name = "blocked workers" if one.qualification is None else f"workers with qualification {one.qualification!r}"
    said = []
    if one.outcome is not RoundOutcome.SETTLED:
        said.append(f"{one.outcome.value}: {one.reason}" if one.reason else one.outcome.value)
    elif one.reason:
        said.append(one.reason)
    for workers, how in ((one.put_in_there, "put in"), (one.taken_out_there, "taken out")):
        if workers:
            named = ", ".join(f"worker-{worker}" for worker in workers[:MOST_NAMED])
            more = f" and {len(workers) - MOST_NAMED:,} more" if len(workers) > MOST_NAMED else ""
            said.append(f"{named}{more} {how} on the site's pages")
    return f"the site's list of {name}: {'; '.join(said)}" if said else ""


def _print(run: EntityRef, found: RoundReport) -> None:
    if found.observed is None:
        echo(f"the site shows programs no work of {run}: give what its pages say with --listed")
    else:
        echo(f"the site shows {count_of(found.observed, 'piece')} of work of {run}")
    if found.approved_by_site_at is not None:
        when = datetime.fromtimestamp(found.approved_by_site_at, UTC)
        echo(f"{found.unreviewed:,} wait for a review; the site approves one by itself at {when:%Y-%m-%d %H:%M} UTC")
    if found.is_paused_there:
        echo(advised(offer_paused_text(run.number)))
    if found.taken_in:
        echo(advised(f"{found.taken_in:,} taken in: mephisto-es review {run.number} shows them"))
    for reason, count in Counter(found.not_taken_in).items():
        echo(advised(f"{count:,} not taken in: {reason}"))
    for line in map(_about_list, found.lists):
        if line:
            echo(line)
    _print_differences(run, found)
    for fault in found.money:
        echo(f"✗ {fault}")
    for step in found.next_steps:
        echo(advised(step))
    if found.money:
        advice = f"`mephisto-es pay {run.number}` looks for what is not paid"
        echo(advised(f"{advice}, and `mephisto-es ledger {run.number}` lists it"))


def _print_differences(run: EntityRef, found: RoundReport) -> None:
    if not found.differences:
        echo("log and site agree" if found.is_settled else "log and site agree about the work")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("worker", "work", "difference", "outcome"):
        table.add_column(column)
    for one in found.differences:
        reasons = [one.reason, printable(one.note or "")]
        outcome = ": ".join([f"[{_STYLES[one.outcome]}]{one.outcome.value}[/]", *map(escape, filter(None, reasons))])
        worker = "unknown" if one.worker is None else f"worker-{one.worker}"
        table.add_row(worker, escape(_work(one)), one.difference.value, outcome)
    console().print(table)
    if not found.taken_in and any(one.difference in _MISSED for one in found.differences):
        echo("--take-in takes in what was completed at the provider and not submitted here")
    for difference, advice in _ADVICE.items():
        if any(one.difference is difference for one in found.open):
            echo(advised(advice.format(run=run.number)))
    counted = Counter(one.outcome.value for one in found.differences)
    echo(", ".join(f"{count:,} {outcome}" for outcome, count in counted.items()))
