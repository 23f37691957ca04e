"""A task run from launch to proof with a simulated crowd in place of people: everything else is the real thing."""

from __future__ import annotations

import time
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
from .crowd import Crowd
from .plan import WorkerPlan
from .summary import CrowdSummary
from .worker import Answer


class DemoRun(msgspec.Struct, frozen=True, kw_only=True):
    """How a rehearsed run went."""

    #: The log and the view, in one file.
    database: str
    #: Where workers came to.
    url: str
    #: Events in the log, those of earlier runs in the same data folder included.
    events: int
    #: How many units ended in each status.
    units: dict[str, int]
    #: From the launch to the end of the run.
    seconds: float
    crowd: CrowdSummary
    replay: ReplayReport

    @property
    def is_success(self) -> bool:
        """Whether all the work was done and the log is legal."""
        return set(self.units) == {UnitStatus.COMPLETED.value} and self.replay.legal


async def rehearse(
    cfg: DictConfig,
    shared_state: SharedTaskState,
    data_dir: Path,
    plans: Sequence[WorkerPlan],
    answer: Answer,
    *,
    on_live: Callable[[LiveTaskRun], None],
    on_submitted: Callable[[], None],
) -> DemoRun:
    """Launch a run, let a crowd do it, and check its log afterwards.

    The run ends when all work is done, or when the whole crowd has left.

    Args:
        cfg: a launch script's configuration.
        shared_state: what a launch script would pass.
        data_dir: where the log is kept.
        plans: the crowd.
        answer: what it hands in.
        on_live: called when workers can come.
        on_submitted: called after each submission that was acknowledged.

    Raises:
        ConfigError, LaunchError, LogError: as of the operator.
    """
    database = data_dir / DATABASE_FILE
    async with open_operator(data_dir) as operator:
        began_at = trio.current_time()
        run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
        live_run = operator.get_running_task_runs()[run]
        on_live(live_run)
        crowd = Crowd(live_run.url, plans, answer, now=time.time, on_submitted=on_submitted)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_work_to_the_end, crowd, operator, live_run.task_run)
            await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
            nursery.cancel_scope.cancel()
        seconds = trio.current_time() - began_at
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


async def _work_to_the_end(crowd: Crowd, operator: Operator, run: TaskRunId) -> None:
    """Let the crowd work until the run has no more need of it, or everybody has left before the work is done."""
    with trio.CancelScope() as at_work:

        def go_home_when_done(_: Sequence[RecordedEvent]) -> None:
            if operator.run_status(run) is TaskRunStatus.STOPPING and operator.ledger.state.runs[run].is_idle:
                at_work.cancel()

        operator.ledger.subscribe(go_home_when_done)
        await crowd.run()
    await operator.shutdown()
