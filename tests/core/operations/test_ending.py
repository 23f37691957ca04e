"""Ends of runs: runs that cannot finish their work, several runs in a row, and unusual moments."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, InitializationData, Unit
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.commands.task_run import LATE_WORK_SECONDS
from mephisto_es.core.errors import LaunchError
from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED
from mephisto_es.core.operations.run.driver import CODE_SECONDS, SHORT_CODE_SECONDS
from mephisto_es.events.agent import AgentExpired, AgentSubmittedLate
from mephisto_es.events.ids import AgentId, UnitId
from mephisto_es.events.task_run import TaskRunStopping

from .operator_harness import HarnessTaskState, ask, items, open_harness, until, work

T = TypeVar("T")


class Pairs(TaskRunner):
    """Two workers who submit independently."""

    is_concurrent = True


async def test_who_waits_for_a_partner_is_let_go_when_nobody_can_come_any_more(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2, workers=2), runner=Pairs))
        router = harness.router(live_run)
        ann, bob, cid = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob", "cid")]
        assert harness.statuses("agent") == {"in task": 2, "waiting": 1}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.operator.shutdown)
            with trio.fail_after(1):
                await until(harness, lambda: router.statuses[cid] == "expired")
            assert router.statuses[ann] == "in task"
            for token in (ann, bob):
                router.submit_task(token, {})
        assert harness.statuses("unit") == {"completed": 2, "expired": 2}
        assert harness.statuses("task_run") == {"completed": 1}


async def broken() -> AsyncIterator[InitializationData]:
    """Yield an item, then raise."""
    yield items(1)[0]
    await trio.sleep(10)
    raise ZeroDivisionError


async def test_a_failure_is_told_of_once(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        await harness.launch(HarnessTaskState(data=broken()))
        with pytest.raises(LaunchError, match="ZeroDivisionError"):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        live_run = await harness.launch(HarnessTaskState(data=items(1)), resume_incomplete_run=False)
        await work(harness.router(live_run), "ann", 1)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("task_run") == {"paused": 1, "completed": 1}


async def test_ctrl_c_is_heeded_each_time_that_runs_are_waited_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        await work(harness.router(live_run), "ann", 1)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        await harness.launch(HarnessTaskState(data=items(1)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.operator.wait_for_runs_then_shutdown)
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)
        assert harness.statuses("unit") == {"completed": 1, "launched": 1}
        assert harness.statuses("task_run") == {"completed": 1, "paused": 1}


async def test_shutdown_waits_for_a_run_that_is_just_being_launched(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow() -> AsyncIterator[InitializationData]:
        await trio.sleep(3)
        yield items(1)[0]

    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        nursery.start_soon(harness.launch, HarnessTaskState(data=slow()))
        await trio.sleep(1)
        await harness.operator.shutdown()
        assert harness.statuses("task_run") == {"completed": 1}
        nursery.cancel_scope.cancel()


async def test_an_operator_outlives_a_run_that_fails_while_work_is_being_committed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk_is_slow = False

    async def slowly(call: Callable[[], T], /) -> T:
        await trio.sleep(5 if disk_is_slow else 0)
        return call()

    async def fail() -> None:
        raise ZeroDivisionError

    async def on_unit_submitted(_unit: Unit) -> None:
        raise AssertionError("the run has failed")

    async with open_harness(tmp_path, offload=slowly) as harness:
        other = await harness.launch(HarnessTaskState(data=items(1)))
        live_run = await harness.launch(HarnessTaskState(data=items(3), on_unit_submitted=on_unit_submitted))
        router = harness.router(live_run)
        ann = (await ask(router, "ann"))["agent_id"]
        disk_is_slow = True
        async with trio.open_nursery() as crowd:
            crowd.start_soon(work, router, "bob", 1)
            await trio.sleep(1)
            router.submit_task(ann, {})
            await trio.sleep(1)
            live_run.context.nursery.start_soon(fail)
            await until(harness, lambda: harness.statuses("task_run").get("paused") == 1)
            crowd.cancel_scope.cancel()  # nobody answers bob any more
        disk_is_slow = False
        assert harness.statuses("agent")["completed"] == 1
        assert "expired" not in harness.statuses("unit")
        await work(harness.router(other), "cid", 1)
        with pytest.raises(LaunchError, match="ZeroDivisionError"):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("task_run") == {"paused": 1, "completed": 1}


async def test_what_a_failure_says_is_recorded_without_secrets(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deploy(self: MemoryArchitect) -> str:
        reason = "git push https://somebody:hunter22@git.example.org failed"
        await self.resources.failed(await self.resources.intend("memory_router", {}), reason)
        raise LaunchError("deploy", reason)

    monkeypatch.setattr(MemoryArchitect, "deploy", deploy)
    async with open_harness(tmp_path) as harness:
        with pytest.raises(LaunchError):
            await harness.launch(HarnessTaskState(data=items(1)))
    recorded = [repr(one.envelope.event) for one in harness.log.read()]
    assert not [event for event in recorded if "hunter22" in event]
    assert len([event for event in recorded if "<redacted>@git.example.org" in event]) == 2


async def test_code_that_goes_on_after_the_last_submission_is_let_come_to_its_end(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    ended: list[int] = []

    class Thorough(TaskRunner):
        async def run_unit(self, unit: Unit, agent: Agent) -> None:
            await agent.await_submit()
            await trio.sleep(CODE_SECONDS / 2)
            ended.append(unit.unit_id)

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), runner=Thorough))
        await work(harness.router(live_run), "ann", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert sorted(ended) == [1, 2]


async def test_code_that_never_ends_does_not_keep_a_run_from_ending(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    class Endless(TaskRunner):
        async def run_unit(self, unit: Unit, agent: Agent) -> None:
            await agent.await_submit()
            await trio.sleep_forever()

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), runner=Endless))
        await work(harness.router(live_run), "ann", 1)
        with trio.fail_after(CODE_SECONDS + 10):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("task_run") == {"completed": 1}


async def test_a_run_that_is_ended_at_once_lets_the_script_answer_about_the_last_submission(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    answered: list[int] = []

    async def on_unit_submitted(unit: Unit) -> None:
        await trio.sleep(SHORT_CODE_SECONDS / 2)
        answered.append(unit.unit_id)

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=on_unit_submitted))
        await work(harness.router(live_run), "ann", 1)
        await harness.operator.end_run(live_run.task_run, "enough", "user/me", at_once=True)
        [engagement] = harness.operator.ledger.state.engagements.values()
    assert answered == [1]
    assert engagement.answers == {(ON_SUBMITTED, UnitId(1)): None}


async def test_work_that_is_taken_away_at_the_end_can_still_be_sent_for_a_while(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live_run)
        ann, bob, cid = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob", "cid")]
        page, other_page = router.connect(bob), router.connect(cid)
        ended = trio.Event()

        async def end() -> None:
            await harness.operator.end_run(live_run.task_run, "enough", "user/me", at_once=True)
            ended.set()

        nursery.start_soon(end)
        for socket in (page, other_page):
            while (await socket.receive())["data"]["status"] != "expired":
                pass
        await trio.sleep(LATE_WORK_SECONDS / 3)
        router.submit_task(ann, {"answer": "by hand"})
        router.submit_task(bob, {"answer": "at once"})
        assert harness.statuses("task_run") == {"stopping": 1}
        router.disconnect(cid)
        with trio.fail_after(LATE_WORK_SECONDS / 3):
            await ended.wait()
    assert harness.statuses("task_run") == {"completed": 1}
    assert harness.statuses("agent") == {"expired": 3}
    late = [one for one in harness.log.read() if isinstance(one.envelope.event, AgentSubmittedLate)]
    assert len(late) == 2


async def test_nobody_is_waited_for_for_ever_nor_where_nobody_is_at_work(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        await ask(harness.router(live_run), "ann")
        started = trio.current_time()
        await harness.operator.end_run(live_run.task_run, "enough", "user/me", at_once=True)
        assert LATE_WORK_SECONDS <= trio.current_time() - started < LATE_WORK_SECONDS + 1
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        await work(harness.router(live_run), "ann", 1)
        started = trio.current_time()
        await harness.operator.end_run(live_run.task_run, "enough", "user/me", at_once=True)
        assert trio.current_time() - started < 1


async def test_whoever_hurries_an_end_gives_the_reason_for_which_work_is_lost(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        await ask(harness.router(live_run), "ann")
        nursery.start_soon(harness.operator.end_run, live_run.task_run, "enough", "user/ann")
        await until(harness, lambda: harness.statuses("task_run") == {"stopping": 1})
        await harness.operator.end_run(live_run.task_run, "too slow", "user/bob", at_once=True)
        recorded = [one.envelope for one in harness.log.read()]
    stops = [one for one in recorded if isinstance(one.event, TaskRunStopping)]
    assert [one.event for one in stops] == [
        TaskRunStopping(reason="enough"),
        TaskRunStopping(reason="too slow", at_once=True),
    ]
    assert [one.actor for one in stops] == ["user/ann", "user/bob"]
    assert [one.event.reason for one in recorded if isinstance(one.event, AgentExpired)] == ["too slow"]


async def test_the_script_hears_of_work_that_was_reviewed_before_it_could_be_asked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The operator died after the submission; somebody rejected the work before the run was resumed."""
    told: list[int] = []

    async def never(_unit: Unit) -> None:
        await trio.sleep_forever()

    async def note(unit: Unit) -> None:
        await trio.lowlevel.checkpoint()
        told.append(unit.unit_id)

    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=never))
        await work(harness.router(live_run), "ann", 1)
        await until(harness, lambda: harness.statuses("unit").get("completed") == 1)
    async with open_harness(tmp_path, log) as harness:
        await harness.operator.reviewer().reject_work(AgentId(1), "the answer is empty")
        live_run = await harness.launch(
            HarnessTaskState(data=items(2), on_unit_submitted=note), resume_incomplete_run=True
        )
        await work(harness.router(live_run), "bob", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert sorted(told) == [1, 2]


async def test_the_script_hears_of_late_work_once_it_is_accepted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    told: list[int] = []

    async def note(unit: Unit) -> None:
        await trio.lowlevel.checkpoint()
        told.append(unit.unit_id)

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=note))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        router.return_task(token)
        await until(harness, lambda: harness.statuses("agent") == {"returned": 1})
        router.submit_task(token, {"answer": "after all"})
        await trio.sleep(1)
        assert told == []
        await harness.operator.reviewer().accept_late_work(AgentId(1))
        await work(router, "bob", 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert sorted(told) == [1, 2]
