"""A run that is given more while it is live, while it is paused, and after it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import InitializationData
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.operations.control.requests import ExtendRequest
from mephisto_es.core.operations.control.run_extension import RunExtension
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.task_run import TaskRunDataExhausted

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until, work

MORE = tuple(InitializationData(shared={"number": number}, unit_data=({},)) for number in (100, 101))


def extension(harness: OperatorHarness) -> RunExtension:
    ledger = harness.operator.ledger
    return RunExtension(ledger, SystemIds(ledger.state.highest_ids(), epoch=1_000_000), "user/ann")


async def extend(harness: OperatorHarness, run: TaskRunId, key: str = "k", **changes: object) -> None:
    request = ExtendRequest(task_run=run, reason="more", **changes)  # type: ignore[arg-type]  # its own fields
    await extension(harness).extend(request, command_id=key)


def planned(live_run: LiveTaskRun) -> int | None:
    return live_run.task_launcher.planned_units


def exhaustions(log: MemoryLog) -> list[int]:
    events = (recorded.envelope.event for recorded in log.read())
    return [event.assignments for event in events if isinstance(event, TaskRunDataExhausted)]


async def begin(harness: OperatorHarness, count: int) -> LiveTaskRun:
    """Launch a run with some items, one of which somebody keeps, so that it does not end."""
    live_run = await harness.launch(HarnessTaskState(data=items(count)))
    details = await ask(harness.router(live_run), "ann")
    assert details["agent_id"] is not None
    return live_run


async def test_items_that_are_added_to_a_live_run_are_done(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await begin(harness, 2)
        run = live_run.task_run
        await until(harness, lambda: live_run.task_launcher.exhausted)
        assert planned(live_run) == 2
        await extend(harness, run, items=MORE)
        await extend(harness, run, items=MORE)  # the same command
        assert planned(live_run) is None
        await until(harness, lambda: exhaustions(harness.log) == [2, 4])
        await until(harness, lambda: harness.statuses("unit").get("launched") == 3)
        assert planned(live_run) is None


async def test_items_that_are_added_before_the_end_of_the_data_follow_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    more = trio.Event()

    async def data() -> AsyncGenerator[InitializationData]:
        yield items(1)[0]
        await more.wait()
        yield items(2)[1]

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=data()))
        await extend(harness, live_run.task_run, items=MORE)
        more.set()
        await until(harness, lambda: len(exhaustions(harness.log)) == 1)
        assert exhaustions(harness.log) == [4]


async def test_a_paused_run_that_was_extended_continues_with_what_is_left(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path / "1") as harness:
        live_run = await begin(harness, 2)
        run, log = live_run.task_run, harness.log
        await until(harness, lambda: live_run.task_launcher.exhausted)
        await extend(harness, run, items=MORE[:1])
        await until(harness, lambda: live_run.task_launcher.exhausted)
        await harness.operator.pause("for the night")
        await extend(harness, run, "k2", items=MORE[1:], units_per_assignment=2)
    async with open_harness(tmp_path / "2", log) as harness:
        await harness.operator.launch_from_incomplete_run(run, HarnessTaskState(data=items(2)))
        await until(harness, lambda: harness.statuses("unit") == {"assigned": 1, "launched": 7})
        index = harness.operator.ledger.state.runs[run]
        assert [len(index.units_of[one]) for one in index.assignments] == [2, 2, 2, 2]
        await until(harness, lambda: exhaustions(log) == [2, 3, 4])


async def test_an_ended_run_that_is_extended_is_resumed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        run = live_run.task_run
        await work(harness.router(live_run), "ann", 2)
        await harness.operator.wait_for_runs_then_shutdown()
        assert harness.statuses("task_run") == {"completed": 1}
        await extend(harness, run, units_per_assignment=2)
        assert harness.statuses("task_run") == {"paused": 1}
        await harness.operator.launch_from_incomplete_run(run, HarnessTaskState(data=items(1)))
        live_run = harness.operator.get_running_task_runs()[str(run)]
        assert await work(harness.router(live_run), "bob", 1) == 1
        await harness.operator.wait_for_runs_then_shutdown()
        workers = Counter(agent.worker for agent in harness.operator.ledger.state.agents.values())
        assert list(workers.values()) == [1, 1]


async def test_nobody_waits_for_the_unit_of_a_blocked_worker(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        live_run = await begin(harness, 2)
        nursery.start_soon(harness.operator.end_run, live_run.task_run, "enough", "user/ann")
        await trio.testing.wait_all_tasks_blocked()
        assert harness.statuses("task_run") == {"stopping": 1}
        await harness.operator.reviewer().block_worker(WorkerId(1), "at random")
        await until(harness, lambda: harness.statuses("task_run") == {"completed": 1})
        assert harness.statuses("agent") == {"returned": 1}


async def test_units_that_are_done_together_are_not_raised(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    class Together(TaskRunner):
        is_concurrent = True

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Together))
        # The script passed the runner, which the stored configuration does not know.
        await extend(harness, live_run.task_run, items=MORE, units_per_assignment=3)
        await until(harness, lambda: len(exhaustions(harness.log)) == 2)
        index = harness.operator.ledger.state.runs[live_run.task_run]
        assert [len(index.units_of[one]) for one in index.assignments] == [2, 1, 1]
        with pytest.raises(CommandRefusedError, match="there is no run-7"):
            await extend(harness, TaskRunId(7), units_per_assignment=3)
