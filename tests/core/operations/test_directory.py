"""Registration of names, once each, by scripts and by runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.qualifications import QUAL_EXISTS, make_qualification_dict
from mephisto_es.core.errors import CommandRefusedError, ConfigError
from mephisto_es.events import streams

from .operator_harness import HarnessTaskState, ask, items, open_harness


async def test_a_worker_registered_by_name_is_the_one_who_comes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        directory, reviewer = harness.operator.directory(), harness.operator.reviewer()
        ann = await directory.new_worker("ann", "harness")
        bob = await directory.new_worker("bob", "harness")
        await reviewer.grant_qualification(ann, "careful")
        rules = [make_qualification_dict("careful", QUAL_EXISTS, None)]
        live_run = await harness.launch(HarnessTaskState(data=items(2), qualifications=rules))
        router = harness.router(live_run)
        assert (await ask(router, "ann"))["worker_id"] == str(ann)
        assert "not currently qualified" in (await ask(router, "bob"))["failure_reason"]
        assert len(harness.operator.ledger.state.workers) == 2
        assert bob != ann


async def test_a_name_is_registered_once(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        directory = harness.operator.directory()
        ann = await directory.new_worker("ann", "harness")
        with pytest.raises(CommandRefusedError, match=f"at harness is registered already, with the id {ann}$"):
            await directory.new_worker("ann", "harness")
        assert await directory.find_or_create_worker("ann", "harness") == ann
        requester = await directory.new_requester("lab", "harness")
        with pytest.raises(
            CommandRefusedError, match=f"'lab' of harness is registered already, with the id {requester}$"
        ):
            await directory.new_requester("lab", "harness")
        assert not await directory.find_or_create_requester("lab", "harness")
        task = await directory.new_task("A harness", "harness")
        with pytest.raises(
            CommandRefusedError, match=f"the task 'A harness' is registered already, with the id {task}$"
        ):
            await directory.new_task("A harness", "harness")


async def test_a_run_puts_its_task_in_the_project_that_its_configuration_names(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        directory, state = harness.operator.directory(), harness.operator.ledger.state
        project = await directory.new_project("speech")
        first = await harness.launch(HarnessTaskState(data=items(1)), project_name="speech")
        task = state.task_runs[streams.task_run(first.task_run)].task
        assert state.tasks[streams.task(task)].project == project
        await harness.launch(HarnessTaskState(data=items(1)))
        assert state.tasks[streams.task(task)].project == project
        assert not await directory.put_in_project(task, "speech")
        assert await directory.put_in_project(task, "vision")
        with pytest.raises(ConfigError, match=r"mephisto\.task\.project_name is 'NO_PROJECT', which means no project"):
            await harness.launch(HarnessTaskState(data=items(1)), project_name="NO_PROJECT")


async def test_of_two_who_register_a_name_at_once_one_does(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        refused: list[str] = []

        async def register() -> None:
            try:
                await harness.operator.directory().new_worker("ann", "harness")
            except CommandRefusedError as error:
                refused.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(register)
            nursery.start_soon(register)
        assert len(refused) == 1
        assert len(harness.operator.ledger.state.workers) == 1


async def test_a_run_takes_the_task_and_the_requester_there_are(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        directory = harness.operator.directory()
        task = await directory.new_task("building", "harness")
        requester = await directory.new_requester("harness_requester", "harness")
        live_run = await harness.launch(HarnessTaskState(data=items(1)), task_name="building")
        run = harness.operator.ledger.state.task_runs[streams.task_run(live_run.task_run)]
        assert (run.task, run.requester) == (task, requester)


async def test_a_qualification_has_one_id(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        directory = harness.operator.directory()
        careful = await directory.find_or_create_qualification("careful")
        assert await directory.find_or_create_qualification("careful") == careful
        assert await directory.find_or_create_qualification("quick") != careful


async def test_a_misspelt_kind_is_told_with_the_nearest(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        directory, before = harness.operator.directory(), harness.log.head()
        with pytest.raises(ConfigError, match=r"no provider 'harnes'.*harness"):
            await directory.new_worker("ann", "harnes")
        with pytest.raises(ConfigError, match=r"no provider 'harnes'.*harness"):
            await directory.new_requester("lab", "harnes")
        with pytest.raises(ConfigError, match=r"no blueprint 'harnes'.*harness"):
            await directory.new_task("A harness", "harnes")
        assert harness.log.head() == before
