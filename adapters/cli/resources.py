"""Implements `mephisto-es resources`: list what runs hold outside this machine's log, and release it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError, LaunchError
from ...core.lifecycles.resource import ResourceStatus
from ...core.lifecycles.task_run import RESUMABLE_RUN_STATUSES, TaskRunStatus
from ...core.operations.services.resource_release import HeldResource, held_resources, release_resource
from ...projections.mephisto_db.rows import date_of
from ...projections.queries.as_of import AsOf
from ..composition.ledger import open_ledger
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import LogCommand, RunType, log_argument, script_option
from .common.output import ILLEGAL, as_json_option, console, print_json


class RunResource(msgspec.Struct, frozen=True, kw_only=True):
    """An outside resource that a run holds."""

    run: str
    run_status: str
    #: Whether the run can be resumed. It then needs the resource, or acquires another one.
    is_resumable: bool
    held: HeldResource


class RunResources(msgspec.Struct, frozen=True):
    """The resources held by all runs of a log."""

    resources: tuple[RunResource, ...]


def find_resources(moment: AsOf) -> RunResources:
    """Return the resources that are held according to the log."""
    found: list[RunResource] = []
    for held in held_resources(moment.under("resource/")):
        status = TaskRunStatus(moment.db.get_task_run(held.task_run_id).status)
        is_resumable = status in RESUMABLE_RUN_STATUSES
        run = f"run-{held.task_run_id}"
        found.append(RunResource(run=run, run_status=status.value, is_resumable=is_resumable, held=held))
    return RunResources(tuple(found))


@click.group("resources")
def resources_group() -> None:
    """List or release what runs hold outside: servers, apps, objects at providers."""


@resources_group.command("list", epilog="Former name, which still works: leaks.")
@log_argument
@as_json_option
def list_command(database: Path, as_json: bool) -> None:
    """List what the runs in DATABASE hold outside: servers, apps, objects at providers.

    A run with a working operator uses what it holds. Anything else was left behind by a crash: `resume` continues the
    run, `resources release` releases what it holds.

    \b
    Example:
      mephisto-es resources list mephisto_data
    """
    with open_as_of(database) as moment:
        found = find_resources(moment)
    if as_json:
        print_json(found)
    elif found.resources:
        console().print(_table(found.resources))
    else:
        echo("Nothing is held outside.")


@resources_group.command("release", cls=LogCommand, epilog="Former name, which still works: reap.")
@log_argument
@click.argument("run", type=RunType(), required=False)
@script_option
def release_command(database: Path, run: EntityRef | None) -> None:
    """Release what the runs in DATABASE hold outside, and record that. Running it twice is harmless.

    Runs that can be resumed keep what they hold unless you name one as RUN: its server is then taken down, and `resume`
    starts another.

    \b
    Examples:
      mephisto-es resources release mephisto_data
      mephisto-es resources release mephisto_data 2

    Exit code 0: everything chosen is released. 1: something could not be released.
    """
    with open_as_of(database) as moment:
        found = find_resources(moment).resources
    if run is not None:
        chosen = [one for one in found if one.run == str(run)]
    else:
        chosen = [one for one in found if not one.is_resumable]
        for one in found:
            if one.is_resumable:
                echo(f"{one.run} is {one.run_status} and keeps its {one.held.resource_type}.")
    failures = trio.run(partial(_release_all, database, chosen)) if chosen else 0
    if not chosen:
        echo("There is nothing to release.")
    if failures:
        raise click.exceptions.Exit(ILLEGAL)


async def _release_all(database: Path, chosen: Sequence[RunResource]) -> int:
    """Release resources one by one; return how many failed."""
    failures = 0
    async with open_ledger(database) as (ledger, ids, _):
        for one in chosen:
            name = f"{one.held.resource_type} {one.held.number} of {one.run}"
            try:
                await release_resource(ledger, ids, one.held)
            except (LaunchError, ConfigError) as error:
                failures += 1
                echo(f"mephisto-es resources release: {name}: {error}", err=True)
            else:
                echo(f"released {name}")
    return failures


def _table(resources: Sequence[RunResource]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("resource", "run", "status", "holds", "since", "details"):
        table.add_column(column)
    for one in resources:
        held = one.held
        maybe = "perhaps " if held.status == ResourceStatus.INTENDED.value else ""
        details = ", ".join(f"{name} {value}" for name, value in held.details.items())
        name = f"resource-{held.number}"
        table.add_row(
            name, one.run, one.run_status, f"{maybe}{held.resource_type}", date_of(held.since), escape(details)
        )
    return table
