"""Implements `mephisto-es projects`: list the projects, or put a task in one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ...core.operations.configuration.money import amount
from ...core.operations.control.requests import PutInProjectRequest
from ...projections.mephisto_db.data_model import PAYABLE_UNIT_STATUSES, ProjectView, UnitView
from ...projections.mephisto_db.reader import MephistoDB
from ..control.client import new_key, open_control
from ..control.protocol import author_of
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, author_option, log_argument
from .common.output import as_json_option, console, print_json


class ProjectSummary(msgspec.Struct, frozen=True):
    """A project with the figures of its tasks."""

    project_id: int
    name: str
    since: str
    tasks: list[str]
    runs: int
    #: Units that were paid for or may have to be.
    units: int
    #: The pay for these units; bonuses and fees are not included.
    pay_cents: int


class ProjectList(msgspec.Struct, frozen=True):
    """All projects of a log."""

    projects: list[ProjectSummary]


@click.command("projects", cls=LogCommand)
@log_argument
@click.option("--put", nargs=2, metavar="TASK PROJECT", help="Put a task in a project, which may be new.")
@as_of_options
@as_json_option
@author_option
def projects_command(
    database: Path, put: tuple[str, str] | None, as_of: AsOfOption, as_json: bool, author: str | None
) -> None:
    """List the projects in DATABASE, with what their tasks cost, or put a task in a project.

    A project groups tasks. A run puts its task in one with the setting `mephisto.task.project_name`.

    \b
    Examples:
      mephisto-es projects mephisto_data
      mephisto-es projects mephisto_data --put "sentence rating" speech
    """
    if put is not None:
        _put(database, *put, author_of(author))
        return
    with as_of.open(database) as moment:
        found = list(_projects(moment.db))
    if as_json:
        print_json(ProjectList(found))
    elif not found:
        echo(f"{database} has no projects yet.")
    else:
        console().print(_table(found))


def _projects(db: MephistoDB) -> Iterator[ProjectSummary]:
    for project in db.find_projects():
        tasks = project.get_tasks()
        paid = list(_paid_units(db, project))
        yield ProjectSummary(
            project_id=project.project_id,
            name=project.project_name,
            since=project.creation_date,
            tasks=[task.task_name for task in tasks],
            runs=sum(len(task.get_runs()) for task in tasks),
            units=len(paid),
            pay_cents=sum(unit.pay_cents for unit in paid),
        )


def _paid_units(db: MephistoDB, project: ProjectView) -> Iterator[UnitView]:
    for task in project.get_tasks():
        yield from (unit for unit in db.find_units(task_id=task.task_id) if unit.status in PAYABLE_UNIT_STATUSES)


def _put(database: Path, task_name: str, project: str, author: str) -> None:
    with open_as_of(database) as moment:
        tasks = moment.db.find_tasks(task_name=task_name)
        known = [task.task_name for task in moment.db.find_tasks()]
    if not tasks:
        there = ", ".join(map(repr, known)) or "none"
        raise click.BadParameter(f"there is no task {task_name!r}; tasks: {there}", param_hint="--put")
    reply = trio.run(_execute, database, author, PutInProjectRequest(task=tasks[0].task_id, project=project))
    echo(f"{task_name!r} {'was already' if reply else 'is'} in the project {project!r}")


async def _execute(database: Path, author: str, request: PutInProjectRequest) -> bool:
    """Execute a request; return True if there was nothing to do."""
    async with open_control(database, author) as control:
        return (await control.execute(request, new_key())).repeated


def _table(found: list[ProjectSummary]) -> Table:
    table = Table("id", "project", "tasks", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("runs", "units", "pay"):
        table.add_column(column, justify="right")
    for one in found:
        tasks = escape(", ".join(one.tasks))
        cells = (str(one.project_id), escape(one.name), tasks, f"{one.runs:,}", f"{one.units:,}", amount(one.pay_cents))
        table.add_row(*cells)
    return table
