"""Runs a task from launch to replay with a simulated crowd. Everything but the people is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import trio
from omegaconf import DictConfig

from ...core.abstractions.blueprint import SharedTaskState
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.operator import Operator
from ...core.operations.run.live_task_run import LiveTaskRun
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...projections.audit.report import ReplayReport
from ...projections.registry import PROJECTIONS
from ..composition.data_dir import DATABASE_FILE
from ..composition.operator import open_operator
from ..log.audit.replay import replay
from .bot import Bot
from .crowd import Crowd
from .summary import CrowdSummary


class DemoRun(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a demo run."""

    #: The path of the log.
    database: str
    #: The URL that the workers opened.
    url: str
    #: Events in the log, including those of earlier runs in the same data folder.
    events: int
    #: The number of units by final status.
    units: dict[str, int]
    #: The time from the launch to the end of the run.
    seconds: float
    crowd: CrowdSummary
    replay: ReplayReport

    @property
    def is_success(self) -> bool:
        """True if all units are completed and the log is legal."""
        return set(self.units) == {UnitStatus.COMPLETED.value} and self.replay.legal


async def run_demo(
    cfg: DictConfig,
    shared_state: SharedTaskState,
    data_dir: Path,
    bots: Sequence[Bot],
    *,
    on_live: Callable[[LiveTaskRun], None],
    on_submitted: Callable[[], None],
) -> DemoRun:
    """Launch a run, let a crowd work on it, and replay its log.

    The run ends when all work is done, or when all workers have left.

    Args:
        cfg: the configuration of a launch script.
        shared_state: the shared state that a launch script would pass.
        data_dir: the folder for the log.
        bots: the workers.
        on_live: called when the run is open to workers.
        on_submitted: called after each acknowledged submission.

    Raises:
        ConfigError, LaunchError, LogError: as raised by the operator.
    """
    database = data_dir / DATABASE_FILE
    async with open_operator(data_dir) as operator:
        started_at = trio.current_time()
        run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
        live_run = operator.get_running_task_runs()[run]
        on_live(live_run)
        crowd = Crowd(live_run.url, bots, on_submitted=on_submitted)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_work_until_done, crowd, operator, live_run.task_run)
            await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
            nursery.cancel_scope.cancel()
        seconds = trio.current_time() - started_at
        counted = operator.ledger.state.runs[live_run.task_run].units_by_status
    report = replay(database, PROJECTIONS)
    return DemoRun(
        database=str(database),
        url=live_run.url,
        events=report.events,
        units={status.value: count for status, count in counted.items() if count},
        seconds=round(seconds, 2),
        crowd=crowd.summary(),
        replay=report,
    )


async def _work_until_done(crowd: Crowd, operator: Operator, run: TaskRunId) -> None:
    """Let the crowd work until all work is done, or until everybody has left."""
    with trio.CancelScope() as working:

        def stop_when_done(_: Sequence[RecordedEvent]) -> None:
            if operator.run_status(run) is TaskRunStatus.STOPPING and operator.ledger.state.runs[run].is_idle:
                working.cancel()

        operator.ledger.subscribe(stop_when_done)
        await crowd.run()
    await operator.shutdown()
