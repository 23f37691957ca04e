"""Implements `mephisto-es pause`, `end`, `reopen` and `retry`: what becomes of a run as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import trio

from ...core.commands.task_run import LATE_WORK_SECONDS
from ...core.entity_ref import EntityRef
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.operations.configuration.money import amount
from ...core.operations.control.requests import (
    AnyRequest,
    EndRequest,
    PauseRequest,
    ReopenRequest,
    Reply,
    RetryRequest,
    RevokeVerdictsRequest,
)
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...events.ids import TaskRunId
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.runs.progress import longest_wait_text, people_at_work
from ...projections.queries.runs.taken_work import TakenWork, taken_work
from ..advice import advised
from ..control.abandoned import how_to_resume
from ..control.client import open_control
from ..control.protocol import author_of
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from ..text import count_of
from .common.arguments import LogCommand, author_option, log_argument, run_argument
from .common.operators import ask_operator


@click.command("pause", cls=LogCommand)
@log_argument
@run_argument
@click.option("--now", is_flag=True, help="Do not wait for the people at work; they keep their work and their pages.")
@click.option("--reason", default="paused by hand", show_default=True, help="Recorded in the log.")
@author_option
def pause_command(database: Path, run: EntityRef, now: bool, reason: str, author: str | None) -> None:
    """Pause RUN, which is live. Newcomers get no more work; when nobody is at work, the run is paused.

    Open units stay open. `mephisto-es resume`, or the launch script again, continues the run.

    \b
    Example:
      mephisto-es pause mephisto_data 1
    """
    if not now and _is_operated(database, TaskRunId(run.number)):
        echo(f"{run} gives no work to newcomers; waiting until nobody is at work (--now does not wait)", err=True)
    _execute(database, PauseRequest(task_run=TaskRunId(run.number), reason=reason, drain=not now), author)
    echo(advised(f"{run} is paused; {how_to_resume(database, TaskRunId(run.number))}"))


@click.command("end", cls=LogCommand)
@log_argument
@run_argument
@click.option("--now", is_flag=True, help="Take their work from the people at work, instead of waiting for them.")
@click.option("--reason", default="ended by hand", show_default=True, help="Recorded in the log.")
@author_option
def end_command(database: Path, run: EntityRef, now: bool, reason: str, author: str | None) -> None:
    """End RUN: wait for the people at work, expire what is open, and release its server.

    Nobody waits for the unit of a blocked worker. A run that is not live is resumed for that, so that nothing is lost
    that its server took from workers.

    With --now, the people at work are told that their work was taken away. What they send within half a minute is kept
    as late work.

    \b
    Example:
      mephisto-es end mephisto_data 1 --reason "enough data"
    """
    if now:
        echo(
            f"{run} takes their work from the people at work; waiting at most {LATE_WORK_SECONDS:.0f} seconds for what "
            "they still send",
            err=True,
        )
    else:
        echo(f"{run} gives out no more work; {_wait_for_people(database, TaskRunId(run.number))}", err=True)
    for sentence, since in _outages(database, TaskRunId(run.number)):
        echo(f"since {since}, {sentence}. The run ends without it if it stays away for two minutes", err=True)
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")
    _execute(database, EndRequest(task_run=TaskRunId(run.number), reason=reason, at_once=now), author)
    echo(f"{run} has ended")
    if now:
        with open_as_of(database) as moment:
            taken = taken_work(moment, TaskRunId(run.number))
        for line in _lines_of_taken_work(run.number, taken):
            echo(advised(line))


@click.command("reopen", cls=LogCommand)
@log_argument
@run_argument
@click.option("--reason", default="reopened by hand", show_default=True, help="Recorded in the log.")
@author_option
def reopen_command(database: Path, run: EntityRef, reason: str, author: str | None) -> None:
    """Put the expired units of RUN, which has ended, back. The run is paused then: resume it to have them done.

    \b
    Example:
      mephisto-es reopen mephisto_data 1
    """
    _execute(database, ReopenRequest(task_run=TaskRunId(run.number), reason=reason), author)
    echo(advised(f"{run} is open again; {how_to_resume(database, TaskRunId(run.number))}"))


@click.command("retry", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--revoke",
    "function",
    metavar="FUNCTION",
    help="First revoke what FUNCTION said against workers while it was at fault: "
    "validate_onboarding, on_unit_submitted, worker_can_do_unit or worker_qualifies.",
)
@click.option("--reason", default="the function was at fault", show_default=True, help="Recorded with --revoke.")
@author_option
def retry_command(database: Path, run: EntityRef, function: str | None, reason: str, author: str | None) -> None:
    """Ask the code of RUN, which is live, again about everybody whom it failed on, and let newcomers in again.

    A run that is paused needs no retry: its code is asked again when it is resumed.

    With --revoke, workers whom a faulty function has refused can come again: their exclusion and the qualifications
    that say so are taken back, and submissions that nobody has reviewed are judged again. Use it for runs whose log has
    the failure of a function as its verdict. The run need not be live.

    \b
    Examples:
      mephisto-es retry mephisto_data 1
      mephisto-es retry mephisto_data 1 --revoke validate_onboarding
    """
    number = TaskRunId(run.number)
    if function is not None:
        request = RevokeVerdictsRequest(task_run=number, function=function, reason=reason)
        workers = _execute(database, request, author).workers
        echo(f"{run}: what {function} said against {count_of(workers, 'worker')} does not count any more")
        with closing(MephistoDB(database)) as db:
            if db.get_task_run(number).status != TaskRunStatus.LIVE.value:
                return
    if _execute(database, RetryRequest(task_run=number), author).repeated:
        echo(f"{run}: nothing has failed, so there is nothing to ask again")
    else:
        echo(f"{run}: its code is asked again; newcomers get work as long as it does not fail again")


def _wait_for_people(database: Path, run: TaskRunId) -> str:
    """Return for whom the end of a run waits, and how long at most."""
    with closing(MephistoDB(database)) as db:
        people, longest = people_at_work(db, run), longest_wait_text(db, run)
    if not people:
        return "nobody is at work"
    return f"waiting for {'1 person' if people == 1 else f'{people:,} people'} at work{longest} (--now does not wait)"


def _lines_of_taken_work(run: int, taken: TakenWork) -> Iterator[str]:
    """Yield what people lost, what they are owed, and the next commands."""
    if not taken.agents:
        return
    people = "1 person" if taken.agents == 1 else f"{taken.agents:,} people"
    yield f"{people} lost work by that; {taken.submitted_late:,} of them sent it late"
    if taken.submitted_late:
        yield f"`mephisto-es review {run} --late` shows that; --accept-late pays it"
    if taken.time_pay_cents:
        yield f"{amount(taken.time_pay_cents)} is owed for their time: `mephisto-es pay {run}` pays it"
    else:
        yield "nothing is owed for their time: the run has no pay_for_time, or no money left"


def _is_operated(database: Path, run: TaskRunId) -> bool:
    """Return whether a run is live, and has the operator that it needs for that."""
    with closing(MephistoDB(database)) as db:
        status = db.get_task_run(run).status
    return status == TaskRunStatus.LIVE.value and ask_operator(database, run, status).problem is None


def _outages(database: Path, run: TaskRunId) -> tuple[tuple[str, str], ...]:
    with closing(MephistoDB(database)) as db:
        status = db.get_task_run(run).status
    return ask_operator(database, run, status).outages


def _execute(database: Path, request: AnyRequest, author: str | None) -> Reply:
    async def execute() -> Reply:
        async with open_control(database, author_of(author)) as control:
            return await control.execute(request)

    return trio.run(execute)
