"""Mephisto's utilities for examine and review scripts: print results, and review the work of each worker at a terminal.

They read and decide through a `LocalMephistoDB`, as scripts written for Mephisto do. `mephisto-es review` and the web
view do the same with more comfort.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import click

from ...core.errors import UnknownEntityError
from ...events.ids import WorkerId
from ...projections.mephisto_db.data_model import AgentView, UnitView, WorkerView
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.data_browser import DataBrowser, UnitData
from ..terminal import echo

#: Returns the text that is shown for the data of a unit.
FormatData = Callable[[UnitData], str]
#: A worker's earlier units by status.
WorkerStats = dict[str, list[UnitView]]

#: Results that are printed unless a range is typed.
SHOWN_RESULTS = 15
_STATUSES = ("accepted", "soft_rejected", "rejected")
_OPTIONS = "Accept this work? (a)ccept, (r)eject, (p)ass, accept with a qualification (v)alue"
_CAPS = "Capitals apply the answer to the rest of this worker's units."


def print_results(
    db: MephistoDB,
    task_name: str,
    format_data_for_printing: FormatData,
    start: int | None = None,
    end: int | None = None,
) -> None:
    """Print the submitted units of a task, the newest first.

    Args:
        db: the log.
        task_name: the task.
        format_data_for_printing: returns the text for the data of a unit.
        start: index of the first result to print, from 0.
        end: index after the last one; by default all are printed.

    Raises:
        UnknownEntityError: there is no such task.
    """
    browser = DataBrowser(db)
    units = browser.get_units_for_task_name(task_name)[::-1]
    for unit in units[start or 0 : len(units) if end is None else end]:
        echo(format_data_for_printing(browser.get_data_from_unit(unit)))


def get_worker_stats(units: list[UnitView]) -> dict[WorkerId | None, WorkerStats]:
    """Return the accepted, soft-rejected and rejected units of each worker, by status."""
    stats: dict[WorkerId | None, WorkerStats] = {}
    for unit in units:
        of_worker = stats.setdefault(unit.worker_id, {status: [] for status in _STATUSES})
        if unit.status in of_worker:
            of_worker[unit.status].append(unit)
    return stats


def format_worker_stats(worker_id: WorkerId | None, previous_work_by_worker: dict[WorkerId | None, WorkerStats]) -> str:
    """Return in short how much of a worker's work was accepted: `(accepted | not accepted(soft-rejected) / all)`."""
    previous = previous_work_by_worker.get(worker_id)
    if previous is None:
        return "(First time worker!)"
    accepted, soft, rejected = (len(previous[status]) for status in _STATUSES)
    return f"({accepted} | {rejected + soft}({soft}) / {accepted + soft + rejected})"


class _Names(NamedTuple):
    """The qualifications that a review may grant; None: it does not."""

    block: str | None
    approve: str | None


def run_examine_by_worker(
    db: MephistoDB,
    format_data_for_printing: FormatData,
    task_name: str | None = None,
    block_qualification: str | None = None,
    approve_qualification: str | None = None,
) -> None:
    """Review the submitted units of a task at the terminal, worker by worker.

    Args:
        db: a log that can be decided about: `mephisto_es.connect()`.
        format_data_for_printing: returns the text for the data of a unit.
        task_name: the task; asked for if not given, and so are the two qualifications then.
        block_qualification: offered for workers whose work is passed.
        approve_qualification: offered for workers whose work is all accepted.

    Raises:
        UnknownEntityError: there is no such task.
        CommandRefusedError: the database only reads.
    """
    if task_name is None:
        task_name = click.prompt("Task name")
        block_qualification = click.prompt("Qualification for blocking, if any", default="", show_default=False)
        approve_qualification = click.prompt("Qualification for good workers, if any", default="", show_default=False)
    names = _Names(block_qualification or None, approve_qualification or None)
    browser = DataBrowser(db)
    units = browser.get_units_for_task_name(str(task_name))
    stats = get_worker_stats([unit for unit in units if unit.status != "completed"])
    left = [unit for unit in units if unit.status == "completed"]
    by_worker: dict[WorkerId | None, list[UnitView]] = {}
    for unit in left:
        by_worker.setdefault(unit.worker_id, []).append(unit)
    echo("Accepted and passed work is paid, rejected work is not. Reject only work done in bad faith.")
    echo(_CAPS)
    remaining = len(left)
    for worker_id, of_worker in by_worker.items():
        for_all: str | None = None
        for number, unit in enumerate(of_worker, 1):
            worker = unit.get_worker()
            agent = unit.get_assigned_agent()
            if worker is None or agent is None:
                raise UnknownEntityError(f"agent of unit-{unit.unit_id}")
            place = f"({number}/{len(of_worker)})"
            previous = format_worker_stats(worker_id, stats)
            echo(f"{worker.worker_name} {place}, previous {previous}, {remaining} left")
            remaining -= 1
            echo(format_data_for_printing(browser.get_data_from_unit(unit)))
            answer = for_all or _ask()
            _decide(answer, agent, worker, names, is_first=for_all is None)
            for_all = answer if answer.isupper() else for_all


def run_examine_or_review(db: MephistoDB, format_data_for_printing: FormatData) -> None:
    """Ask at the terminal whether to print results or to review them, and do it.

    Raises:
        UnknownEntityError: there is no such task.
        CommandRefusedError: work is to be reviewed, and the database only reads.
    """
    typed = click.prompt("(r)eview, or (e)xamine [END, or START END]", default="e", show_default=False)
    words = str(typed).split()
    if words and words[0].lower().startswith("r"):
        run_examine_by_worker(db, format_data_for_printing)
        return
    numbers = [int(word) for word in words[1:3] if word.isdecimal()]
    start, end = (numbers[0], numbers[1]) if len(numbers) > 1 else (0, numbers[0] if numbers else SHOWN_RESULTS)
    print_results(db, click.prompt("Task name"), format_data_for_printing, start, end)


def _ask() -> str:
    answer = click.prompt(_OPTIONS, type=click.Choice(list("aprvAPRV")), show_choices=False)
    return str(answer)


def _decide(answer: str, agent: AgentView, worker: WorkerView, names: _Names, *, is_first: bool) -> None:
    """Record the answer about one unit, and offer what goes with it."""
    match answer.lower():
        case "a":
            agent.approve_work()
            if answer == "A" and is_first and names.approve and click.confirm("Grant the qualification?"):
                worker.grant_qualification(names.approve, 1)
        case "v":
            agent.approve_work()
            if is_first and names.approve:
                worker.grant_qualification(names.approve, click.prompt("Value", type=int, default=1))
        case "p":
            agent.soft_reject_work()
            if is_first and names.block and click.confirm("Keep this worker from further tasks?"):
                worker.grant_qualification(names.block, 1)
        case _:
            agent.reject_work(click.prompt("Why? The worker reads it"))
            if is_first and click.confirm("Block this worker?"):
                worker.block_worker(click.prompt("Why?"))
