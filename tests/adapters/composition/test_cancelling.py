"""An operator that is cancelled at any moment ends, and its log can be opened again."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.lowlevel import Task

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.events.ids import TaskRunId

from ...core.operations.operator_harness import HarnessTaskState, config, items, work

#: More than the whole job takes.
NEVER = 100_000


class CancelAfterSteps(trio.abc.Instrument):
    """Cancels a scope once all tasks together have made a number of steps."""

    def __init__(self, steps: int) -> None:
        self.scope = trio.CancelScope()
        self._left = steps

    def after_task_step(self, task: Task) -> None:
        if task.parent_nursery is not None and not self.scope.cancel_called:
            self._left -= 1
            if self._left == 0:
                self.scope.cancel()


async def launch_and_work(path: Path, scope: trio.CancelScope) -> bool:
    """Do a whole job; returns whether it was cancelled."""
    with scope:
        async with open_operator(path) as operator:
            run = await operator.launch_task_run_or_die(config(), HarnessTaskState(data=items(2)))
            await work(MemoryArchitect.routers[TaskRunId(int(run))], "ann", 2, 0.001)
    return scope.cancelled_caught


async def statuses_of_runs(path: Path) -> set[TaskRunStatus]:
    async with open_operator(path) as operator:
        return {run.status for run in operator.ledger.state.task_runs.values()}


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6, 8, 10, 13, 21, 34, 55, 89])
def test_an_operator_that_is_cancelled_ends_whatever_it_was_doing(tmp_path: Path, steps: int) -> None:
    """A start that was cancelled waited for its own writer, for good, or left the log locked."""
    data_dir = tmp_path / "data"
    cancelling = CancelAfterSteps(steps)
    assert trio.run(launch_and_work, data_dir, cancelling.scope, instruments=[cancelling])
    still_running = {TaskRunStatus.LIVE, TaskRunStatus.STOPPING}
    assert not trio.run(statuses_of_runs, data_dir) & {*still_running, TaskRunStatus.COMPLETED}


def test_a_job_that_is_not_cancelled_is_completed(tmp_path: Path) -> None:
    never = CancelAfterSteps(NEVER)
    assert not trio.run(launch_and_work, tmp_path / "data", never.scope, instruments=[never])
    assert trio.run(statuses_of_runs, tmp_path / "data") == {TaskRunStatus.COMPLETED}
