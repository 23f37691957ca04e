"""Launch scripts that return nonsense, which affects at most their run, and often just one worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.agent import InitializationData, Unit, Worker
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import LaunchError
from mephisto_es.events.engagement import RefusalReason

from .operator_harness import HarnessTaskState, ask, items, open_harness, work

SCREENING = {
    "use_screening_task": True,
    "passed_qualification_name": "passed",
    "block_qualification": "failed",
    "max_screening_units": 5,
}

STRANGE_ITEMS = {
    "shared data that are no object": InitializationData(shared=cast("Any", "text")),
    "unit data that are no object": InitializationData(shared={}, unit_data=cast("Any", ("text",))),
    "what JSON does not have": InitializationData(shared={"x": object()}),
    "no assignment at all": cast("InitializationData", {"shared": {}}),
    "a number that nobody can read": InitializationData(shared={"x": 10**5000}),
}


@pytest.mark.parametrize("item", STRANGE_ITEMS.values(), ids=STRANGE_ITEMS)
async def test_an_item_that_makes_no_sense_ends_its_run_and_no_other(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, item: InitializationData
) -> None:
    async with open_harness(tmp_path) as harness:
        other = await harness.launch(HarnessTaskState(data=items(1)))
        with pytest.raises(LaunchError, match="at assignment data: item 1 "):
            await harness.launch(HarnessTaskState(data=[item]))
        await work(harness.router(other), "ann", 1)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("task_run") == {"completed": 1, "failed": 1}


@pytest.mark.parametrize("data", ["text", {"x": object()}], ids=["no object", "not JSON"])
async def test_screening_data_that_make_no_sense_screen_nobody(tmp_path: Path, data: object) -> None:
    async def on_unit_submitted(_unit: Unit) -> bool:
        return True

    async with open_harness(tmp_path, blueprint=SCREENING) as harness:
        shared = HarnessTaskState(
            data=items(1), screening_data_factory=cast("Any", [data]), on_unit_submitted=on_unit_submitted
        )
        live_run = await harness.launch(shared)
        answer = await ask(harness.router(live_run), "ann")
        assert answer["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        await harness.operator.shutdown()
        assert harness.statuses("task_run") == {"completed": 1}


class Strange(TaskRunner):
    """Returns something else than units."""

    answer: object = None

    def filter_units_for_worker(self, units: Sequence[Unit], worker: Worker) -> Sequence[Unit]:
        return cast("Sequence[Unit]", self.answer)


@pytest.mark.parametrize("answer", [None, 7, [1, 2]])
async def test_a_filter_that_gives_no_units_gives_none(tmp_path: Path, answer: object) -> None:
    class Filter(Strange):
        pass

    Filter.answer = answer
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Filter))
        refused = await ask(harness.router(live_run), "ann")
        assert refused["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        await harness.operator.shutdown()
        assert harness.statuses("task_run") == {"completed": 1}


async def test_a_slow_callback_is_asked_once_while_units_are_being_launched(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    asked: list[int] = []

    async def slow(_worker: Worker, unit: Unit) -> bool:
        asked.append(unit.unit_id)
        await trio.sleep(5)
        return True

    async def endless() -> AsyncIterator[InitializationData]:
        yield items(1)[0]
        await trio.sleep_forever()

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=endless(), worker_can_do_unit=slow))
        answer = await ask(harness.router(live_run), "ann")
        assert answer["agent_id"]
        assert asked == [1]
        await harness.operator.force_shutdown()
