"""Implements `mephisto-es pause`, `end`, `reopen` and `retry`: what becomes of a run as a whole."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from ...core.entity_ref import EntityRef
from ...core.operations.control.requests import AnyRequest, EndRequest, PauseRequest, ReopenRequest, RetryRequest
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...events.ids import TaskRunId
from ..control.client import open_control
from ..control.protocol import author_of
from ..terminal import echo
from .common.arguments import LogCommand, author_option, log_argument, run_argument


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
    if not now:
        echo(f"{run} gives no work to newcomers; waiting until nobody is at work (--now does not wait)", err=True)
    _execute(database, PauseRequest(task_run=TaskRunId(run.number), reason=reason, drain=not now), author)
    echo(f"{run} is paused; `mephisto-es resume` continues it")


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

    \b
    Example:
      mephisto-es end mephisto_data 1 --reason "enough data"
    """
    if not now:
        echo(f"{run} gives out no more work; waiting for the people at work (--now does not wait)", err=True)
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")
    _execute(database, EndRequest(task_run=TaskRunId(run.number), reason=reason, at_once=now), author)
    echo(f"{run} has ended")


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
    echo(f"{run} is open again; `mephisto-es resume` continues it")


@click.command("retry", cls=LogCommand)
@log_argument
@run_argument
@author_option
def retry_command(database: Path, run: EntityRef, author: str | None) -> None:
    """Ask the code of RUN, which is live, again about everybody whom it failed on, and let newcomers in again.

    A run that is paused needs no retry: its code is asked again when it is resumed.

    \b
    Example:
      mephisto-es retry mephisto_data 1
    """
    _execute(database, RetryRequest(task_run=TaskRunId(run.number)), author)
    echo(f"{run}: its code is asked again, and newcomers get work")


def _execute(database: Path, request: AnyRequest, author: str | None) -> None:
    async def execute() -> None:
        async with open_control(database, author_of(author)) as control:
            await control.execute(request)

    trio.run(execute)
