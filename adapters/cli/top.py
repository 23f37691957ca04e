"""Implements `mephisto-es top`: watch a run live, or replay a past one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import click
import msgspec
import trio
from rich.live import Live

from ...core.entity_ref import EntityRef
from ...core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ...core.ports import WallClock
from ...core.printable import printable_json
from ...events.ids import TaskRunId
from ...projections.mephisto_db.rows import end_of
from ...projections.queries.entity_ref import stream_of
from ...projections.queries.runs.run_status import RunStatus, run_status, without_operator
from ..composition.clock_and_ids import SystemClock
from ..control.abandoned import operator_problem
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import LogCommand, log_argument, run_argument
from .common.output import as_json_option, console
from .status import status_panel

#: The interval between two refreshes.
REFRESH_SECONDS = 1.0
#: The highest replay speed.
MAX_SPEED = 100_000.0


@click.command("top", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=MAX_SPEED, min_open=True),
    help="Replay the recorded events from the start of the run, this many times as fast.",
)
@as_json_option
def top_command(database: Path, run: EntityRef, speed: float | None, as_json: bool) -> None:
    """Watch RUN until it ends: units by status, working agents, pace, money, the last events. Press Ctrl-C to quit.

    With --json, print one line each second.

    \b
    Examples:
      mephisto-es top mephisto_data 1
      mephisto-es top mephisto_data 1 --speed 60
    """
    number = TaskRunId(run.number)
    statuses = replayed(database, number, speed) if speed else live(database, number, SystemClock())
    with _printing(as_json) as show:
        try:
            trio.run(_show_all, statuses, show)
        except KeyboardInterrupt:
            # The usual way to quit.
            return


async def live(database: Path, run: TaskRunId, clock: WallClock) -> AsyncGenerator[RunStatus, None]:
    """Yield the status of a run at intervals, until it has ended.

    Raises:
        UnknownEntityError, LogError: see `open_as_of` and `run_status`.
    """
    while True:
        with open_as_of(database) as moment:
            status = run_status(moment, run, now=clock.now_us())
        problem = operator_problem(database, run, status.progress.status)
        yield status if problem is None else without_operator(status, problem)
        if TaskRunStatus(status.progress.status) in ENDED_RUN_STATUSES:
            return
        await trio.sleep(REFRESH_SECONDS)


async def replayed(database: Path, run: TaskRunId, speed: float) -> AsyncGenerator[RunStatus, None]:
    """Yield the past statuses of a run, from its first event to the last one recorded.

    Raises:
        UnknownEntityError, LogError: see `open_as_of` and `run_status`.
    """
    first, last = _extent(database, run)
    started_at = trio.current_time()
    with open_as_of(database, at=first, can_advance=True) as moment:
        now = first
        while True:
            yield run_status(moment, run, now=now)
            if now >= last:
                return
            await trio.sleep(REFRESH_SECONDS)
            now = min(last, first + round((trio.current_time() - started_at) * speed * 1_000_000))
            moment.advance(now)


def _extent(database: Path, run: TaskRunId) -> tuple[int, int]:
    """Return the times of a run's first and last event, in microseconds."""
    with open_as_of(database) as moment:
        created = moment.stream(stream_of(moment.db, EntityRef("run", run)))[0]
        row = moment.db.get_task_run(run)
        ended = row.end_date or row.last_event_date
        return created.envelope.at, end_of(ended)


@contextmanager
def _printing(as_json: bool) -> Iterator[Callable[[RunStatus], None]]:
    """Return a function that shows a status: as a line of JSON, or on a screen in place of the previous one."""
    if as_json:
        yield lambda status: echo(printable_json(msgspec.json.encode(status).decode()))
    elif not console().is_terminal:
        yield lambda status: console().print(status_panel(status))
    else:
        with Live(console=console(), auto_refresh=False) as screen:
            yield lambda status: screen.update(status_panel(status, wraps=True), refresh=True)


async def _show_all(statuses: AsyncGenerator[RunStatus, None], show: Callable[[RunStatus], None]) -> None:
    async with aclosing(statuses):
        async for status in statuses:
            show(status)
