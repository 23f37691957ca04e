"""`mephisto-es leaks`: what runs still hold outside."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.lifecycles.task_run import RESUMABLE_RUN_STATUSES, TaskRunStatus
from ...core.operations.services.resource_release import Held, held_resources
from ...projections.mephisto_db.rows import date_of
from ...projections.queries.as_of import AsOf
from ..log.sqlite.as_of import open_as_of
from .common.arguments import log_argument
from .common.output import as_json_option, console, print_json


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a run holds outside."""

    run: str
    run_status: str
    #: The run can be resumed, and then needs it or brings up another.
    is_resumable: bool
    held: Held


class Leaks(msgspec.Struct, frozen=True):
    """What all runs of a log hold."""

    leaks: tuple[Leak, ...]


def find_leaks(moment: AsOf) -> Leaks:
    """What is held outside, as the log has it."""
    db = moment.db
    found: list[Leak] = []
    for held in held_resources(moment.under("server/")):
        status = TaskRunStatus(db.get_task_run(held.task_run_id).status)
        is_resumable = status in RESUMABLE_RUN_STATUSES
        run = f"run-{held.task_run_id}"
        found.append(Leak(run=run, run_status=status.value, is_resumable=is_resumable, held=held))
    return Leaks(tuple(found))


@click.command("leaks")
@log_argument
@as_json_option
def leaks_command(database: Path, as_json: bool) -> None:
    """List what the runs in DATABASE hold outside and nobody has released: servers, apps, objects at providers.

    What belongs to a run that an operator is at work on is in use. The rest was left by a crash: `resume` goes on with
    the run, `reap` releases it.

    \b
    Example:
      mephisto-es leaks mephisto_data
    """
    with open_as_of(database) as moment:
        leaks = find_leaks(moment)
    if as_json:
        print_json(leaks)
    elif leaks.leaks:
        console().print(_table(leaks))
    else:
        click.echo("Nothing is held outside.")


def _table(leaks: Leaks) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("run", "is", "holds", "since", "details"):
        table.add_column(column)
    for leak in leaks.leaks:
        held = leak.held
        maybe = "perhaps " if held.status == "intended" else ""
        details = ", ".join(f"{name} {value}" for name, value in held.details.items())
        table.add_row(leak.run, leak.run_status, f"{maybe}{held.resource_type}", date_of(held.since), escape(details))
    return table
