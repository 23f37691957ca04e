"""Runs with screening or gold units when people are faster than the script, or the script is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Unit, Update
from mephisto_es.events.ids import AgentId

from .operator_harness import HarnessTaskState, ask, items, open_harness, until, work

SCREENED: dict[str, object] = {
    "use_screening_task": True,
    "passed_qualification_name": "can-do-it",
    "block_qualification": "cannot-do-it",
    "max_screening_units": 5,
}
GOLDEN: dict[str, object] = {"use_golds": True, "gold_qualification_base": "harness", "max_gold_units": 20}


async def questions() -> AsyncIterator[Update]:
    for number in range(9):
        await trio.lowlevel.checkpoint()
        yield {"question": number}


async def test_a_screening_that_was_reviewed_before_the_script_could_judge_it_is_judged_after_a_restart(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The worker would otherwise wait for a judgement that never comes."""

    async def never(_unit: Unit) -> None:
        await trio.sleep_forever()

    async def passes(_unit: Unit) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    log = MemoryLog()
    async with open_harness(tmp_path, log, blueprint=SCREENED) as harness:
        state = HarnessTaskState(data=items(1), on_unit_submitted=never, screening_data_factory=questions())
        await work(harness.router(await harness.launch(state)), "ann", 1)
        await until(harness, lambda: harness.statuses("unit").get("completed") == 1)
    async with open_harness(tmp_path, log, blueprint=SCREENED) as harness:
        await harness.operator.reviewer().approve_work(AgentId(1))
        state = HarnessTaskState(data=items(1), on_unit_submitted=passes, screening_data_factory=questions())
        router = harness.router(await harness.launch(state, resume_incomplete_run=True))
        await trio.sleep(1)
        assert (await ask(router, "ann", 2))["agent_id"] is not None


@pytest.mark.parametrize("settings", [SCREENED, GOLDEN], ids=["screening", "gold units"])
async def test_a_run_is_ended_without_its_script(
    settings: dict[str, object], tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def judge(_unit: Unit) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    log = MemoryLog()
    async with open_harness(tmp_path, log, blueprint=settings) as harness:
        state = HarnessTaskState(data=items(2), on_unit_submitted=judge, screening_data_factory=questions())
        run = (await harness.launch(state)).task_run
    async with open_harness(tmp_path, log, blueprint=settings) as harness:
        await harness.operator.end_run(run, "enough", "user/me")
        assert harness.statuses("task_run") == {"completed": 1}
