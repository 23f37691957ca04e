"""Implements `mephisto-es status`: show the status of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ...core.entity_ref import EntityRef
from ...core.errors import UnknownEntityError
from ...core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ...core.operations.configuration.money import amount
from ...events.ids import TaskRunId
from ...projections.queries.as_of import AsOf
from ...projections.queries.history.timeline import TimelineEntry
from ...projections.queries.money.hourly_pay import HourlyPayReport
from ...projections.queries.runs.run_status import RunStatus, run_status, without_operator
from ..advice import advised
from ..text import format_counts, format_duration, format_spending
from .common.arguments import AsOfOption, LogCommand, RunType, as_of_options, log_argument
from .common.operators import ask_operator
from .common.output import as_json_option, console, facts, print_json


@click.command("status", cls=LogCommand)
@log_argument
@click.argument("run", type=RunType(), required=False)
@as_of_options
@as_json_option
def status_command(database: Path, run: EntityRef | None, as_of: AsOfOption, as_json: bool) -> None:
    """Show the status of RUN, by default of the latest run in DATABASE.

    This includes units and agents by status, the pace over the last quarter of an hour, money, and the last events.

    \b
    Examples:
      mephisto-es status mephisto_data
      mephisto-es status mephisto_data 2 --at "2026-01-31 14:05"
    """
    with as_of.open(database) as moment:
        chosen = latest_run(moment) if run is None else TaskRunId(run.number)
        status = run_status(moment, chosen, now=moment.at)
    if as_of == AsOfOption():
        report = ask_operator(database, chosen, status.progress.status)
        status = msgspec.structs.replace(status, refused=report.refused)
        status = status if report.problem is None else without_operator(status, report.problem)
    if as_json:
        print_json(status)
    else:
        console().print(status_panel(status))


def latest_run(moment: AsOf) -> TaskRunId:
    """Return the run that was created last.

    Raises:
        UnknownEntityError: there are no runs.
    """
    runs = moment.db.find_task_runs()
    if not runs:
        raise UnknownEntityError("run in this log yet")
    return runs[-1].task_run_id


def status_panel(status: RunStatus, *, wraps: bool = False) -> Group:
    """Return a run's status as a panel for people.

    Args:
        status: the status.
        wraps: break sentences that are wider than the screen, which a live display would cut off.
    """
    progress = status.progress
    head = f"[bold]run-{progress.task_run_id}[/]  {escape(progress.task_name)}  [bold]{escape(progress.status)}[/]"
    return Group(
        Text.from_markup(f"{head}  [dim]at {status.at} UTC, seq {status.seq:,}[/]"),
        *_problem(progress.operator_problem, wraps=wraps),
        *_problem(progress.admission_problem, wraps=wraps),
        *_problem(status.offer_problem, wraps=wraps),
        *_problem(progress.pausing, wraps=wraps),
        _figures(status),
        *_last_events(status.last_events),
    )


def _figures(status: RunStatus) -> Table:
    progress, pace, worth = status.progress, status.pace, status.worth
    more = "" if progress.is_data_exhausted else ", more may follow"
    table = facts()
    if progress.project is not None:
        table.add_row("project", escape(progress.project))
    table.add_row("units", f"{progress.units_done:,} of {progress.units_total:,} done{more}")
    table.add_row("", format_counts(progress.units))
    table.add_row("agents", format_counts(progress.agents))
    if progress.onboarding_agents:
        table.add_row("onboardings", format_counts(progress.onboarding_agents))
    table.add_row("workers", f"{progress.workers:,}, {status.workers_at_work:,} working")
    if status.open_appeals:
        table.add_row("appeals", advised(f"{status.open_appeals:,} unanswered: mephisto-es review --appeals"))
    left = "" if pace.seconds_to_finish is None else f", done in {format_duration(pace.seconds_to_finish)}"
    if progress.operator_problem is None:
        table.add_row(
            "pace", f"{pace.units_per_hour:,.0f} units per hour over {format_duration(pace.over_seconds)}{left}"
        )
    bonus = f" (bonuses {amount(worth.bonus_cents)})" if worth.bonus_cents else ""
    table.add_row("money", f"{amount(worth.committed_cents)} committed{bonus}, {amount(worth.offered_cents)} on offer")
    if status.hourly_pay is not None:
        table.add_row("hourly pay", _hourly(status.hourly_pay))
    if status.spending is not None:
        table.add_row("budget", format_spending(status.spending))
    table.add_row("time", f"{format_duration(progress.seconds)}, {progress.events:,} events")
    if status.refused:
        table.add_row("refused", escape(format_counts(status.refused)))
    if progress.server_url and TaskRunStatus(progress.status) not in ENDED_RUN_STATUSES:
        table.add_row("server", escape(progress.server_url))
    return table


def _hourly(pay: HourlyPayReport) -> str:
    text = f"{amount(pay.median_cents)} (median), lowest tenth {amount(pay.lowest_tenth_cents)} or less"
    if not pay.below_minimum:
        return text
    return f"{text}; {pay.below_minimum:,} of {pay.count:,} below {amount(pay.minimum_cents)}: review --top-up"


def _problem(sentence: str | None, *, wraps: bool) -> list[Text | Table]:
    if sentence is None:
        return []
    text = Text(advised(f"! {sentence}"), style="bold red")
    if not wraps:
        return [text]
    # Only the cells of a table are wrapped on a console that otherwise breaks no lines.
    grid = Table.grid()
    grid.add_column(overflow="fold")
    grid.add_row(text)
    return [grid]


def _last_events(lines: Sequence[TimelineEntry]) -> list[Text]:
    return [Text(f"{line.date[11:19]}  {line.stream}  {line.text}", style="dim") for line in lines]
