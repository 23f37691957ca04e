"""Operators in folders that are thrown away, and launches up to the moment when all work is on offer."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio
from omegaconf import DictConfig

from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.logger_core import set_mephisto_log_level
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.core.payloads import RUNS_FOLDER
from mephisto_es.events.envelope import RecordedEvent


class BenchOperator(NamedTuple):
    """An operator and where it keeps its runs."""

    operator: Operator
    runs: Path


@asynccontextmanager
async def open_bench_operator() -> AsyncIterator[BenchOperator]:
    """An operator with an empty log, as launch scripts have it."""
    set_mephisto_log_level(level="error")
    with tempfile.TemporaryDirectory() as folder:
        async with open_operator(Path(folder)) as operator:
            yield BenchOperator(operator, Path(folder) / RUNS_FOLDER)
            await operator.force_shutdown()


async def launch(operator: Operator, cfg: DictConfig, shared_state: SharedTaskState | None, units: int) -> LiveTaskRun:
    """Launch a run and wait until so many units are on offer."""
    run = await operator.launch_task_run_or_die(cfg, shared_state)
    live_run = operator.get_running_task_runs()[run]
    index = operator.ledger.state.runs[live_run.task_run]
    everything_is_out = trio.Event()

    def look(_: Sequence[RecordedEvent] = ()) -> None:
        if index.units_by_status.get(UnitStatus.LAUNCHED, 0) == units:
            everything_is_out.set()

    unsubscribe = operator.ledger.subscribe(look)
    look()
    await everything_is_out.wait()
    unsubscribe()
    return live_run
