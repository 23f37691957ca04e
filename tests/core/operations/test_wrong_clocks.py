"""A wall clock that was a day ahead once: the log's times never fall, and no deadline waits for that day."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.services.directory import Directory

from .operator_harness import HarnessTaskState, TrioClock, ask, items, on_the_loop, open_harness

DAY_US = 24 * 3600 * 1_000_000


class DayAhead:
    def now_us(self) -> int:
        return TrioClock().now_us() + DAY_US


async def log_of_a_day_ahead() -> MemoryLog:
    log = MemoryLog()
    ledger = Ledger(log, DayAhead(), on_the_loop)
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.run)
        await Directory(ledger, SystemIds(ledger.state.highest_ids(), epoch=0)).find_or_create_requester(
            "somebody", "harness"
        )
        nursery.cancel_scope.cancel()
    return log


async def test_a_worker_who_is_late_loses_the_unit(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path, await log_of_a_day_ahead()) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)), assignment_duration_in_seconds=60)
        await ask(harness.router(live_run), "ann")
        await trio.sleep(61)
        assert harness.statuses("agent") == {"timeout": 1}
        await harness.operator.force_shutdown()


async def test_an_onboarding_that_is_late_ends(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path, await log_of_a_day_ahead(), "onboarded") as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)), assignment_duration_in_seconds=60)
        await ask(harness.router(live_run), "ann")
        await trio.sleep(61)
        assert [one.status.value for one in harness.operator.ledger.state.onboardings.values()] == ["timeout"]
        await harness.operator.force_shutdown()


async def test_a_run_in_which_nothing_more_is_handed_in_stops(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path, await log_of_a_day_ahead()) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)), no_submission_patience=600)
        router = harness.router(live_run)
        router.submit_task((await ask(router, "ann"))["agent_id"], {})
        with trio.fail_after(700):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 1, "launched": 1}
        assert harness.statuses("task_run") == {"paused": 1}
