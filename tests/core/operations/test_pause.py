"""Runs that are paused, in every way there is, and resumed."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Unit
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentAccepted
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.events.task_run import TaskRunPaused, TaskRunStopping

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until, work

Stop = Callable[[OperatorHarness], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


async def sigterm(harness: OperatorHarness) -> None:
    """Ask the process to end while runs are waited for."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(harness.operator.wait_for_runs_then_shutdown)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)


async def ctrl_c_twice(harness: OperatorHarness) -> None:
    """Press Ctrl-C, and again while people are still at work."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(harness.operator.wait_for_runs_then_shutdown)
        for _ in range(2):
            await trio.testing.wait_all_tasks_blocked()
            if harness.statuses("task_run") == {"live": 1}:
                signal.raise_signal(signal.SIGINT)


async def pause(harness: OperatorHarness) -> None:
    """Pause as a script does that failed."""
    await harness.operator.pause("the launch script ended with ValueError")


async def cancel(_: OperatorHarness) -> None:
    """Do nothing: the harness cancels the operator and its ledger together, as a kill would."""


class Pairs(TaskRunner):
    """Two people work together."""

    is_concurrent = True


SCENES = {
    "idle": (HarnessTaskState(data=items(3)), None, ()),
    "page": (HarnessTaskState(data=items(3)), None, ("ann",)),
    "onboarding": (HarnessTaskState(data=items(3)), "onboarded", ("ann",)),
    "pair": (HarnessTaskState(data=items(3, workers=2), runner=Pairs), None, ("ann", "bob")),
    "half a pair": (HarnessTaskState(data=items(3, workers=2), runner=Pairs), None, ("ann",)),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("stop", [sigterm, pause, cancel, ctrl_c_twice])
async def test_a_run_goes_on_after_a_pause_with_the_same_units_and_agents(
    stop: Stop, scene: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared, onboarding, workers = SCENES[scene]
    log = MemoryLog()
    async with open_harness(tmp_path, log, onboarding) as harness:
        router = harness.router(await harness.launch(shared))
        tokens = {worker: str((await ask(router, worker))["agent_id"]) for worker in workers}
        await trio.testing.wait_all_tasks_blocked()
        units = harness.statuses("unit")
        await stop(harness)
        if stop is not cancel:
            assert harness.statuses("task_run") == {"paused": 1}
    async with open_harness(tmp_path, log, onboarding) as harness:
        live_run = await harness.launch(shared, resume_incomplete_run=True)
        assert len(harness.operator.ledger.state.task_runs) == 1
        # Half a pair is not at work: the first Ctrl-C pauses at once.
        if stop is not ctrl_c_twice or scene == "half a pair":
            assert harness.statuses("unit") == units
            again = {worker: str((await ask(harness.router(live_run), worker))["agent_id"]) for worker in workers}
            assert again == tokens
        else:
            assert set(harness.statuses("unit")) <= {"launched", "expired"}
        await harness.operator.force_shutdown()
    state = DecisionState()
    for recorded in log.read():
        state.apply(recorded.envelope)
    accepted = [one for one in log.read() if isinstance(one.envelope.event, AgentAccepted)]
    assert len(accepted) == (0 if onboarding else len(workers))


async def test_the_first_ctrl_c_waits_for_the_people_at_work_and_tells_newcomers(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(3))))
        ann = str((await ask(router, "ann"))["agent_id"])
        nursery.start_soon(harness.operator.wait_for_runs_then_shutdown)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)
        await trio.testing.wait_all_tasks_blocked()
        assert (await ask(router, "bob"))["failure_reason"] == refusal_text(RefusalReason.PAUSED)
        assert str((await ask(router, "ann"))["agent_id"]) == ann
        assert harness.statuses("task_run") == {"live": 1}
        router.submit_task(ann, {})
        await until(harness, lambda: harness.statuses("task_run") == {"paused": 1})
        assert harness.statuses("unit") == {"completed": 1, "launched": 2}


async def test_the_first_ctrl_c_does_not_wait_for_half_a_pair(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared, log = HarnessTaskState(data=items(2, workers=2), runner=Pairs), MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(shared))
        couple = [str((await ask(router, worker))["agent_id"]) for worker in ("ann", "bob")]
        carl = str((await ask(router, "carl"))["agent_id"])
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.operator.wait_for_runs_then_shutdown)
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)
            await trio.testing.wait_all_tasks_blocked()
            assert harness.statuses("task_run") == {"live": 1}
            for agent in couple:
                router.submit_task(agent, {})
            await until(harness, lambda: harness.statuses("task_run") == {"paused": 1})
        assert harness.statuses("agent") == {"completed": 2, "waiting": 1}
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(shared, resume_incomplete_run=True))
        assert str((await ask(router, "carl"))["agent_id"]) == carl
        for agent in (carl, str((await ask(router, "dora"))["agent_id"])):
            router.submit_task(agent, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 4}


async def test_a_paused_run_is_done_by_whoever_resumes_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared, log = HarnessTaskState(data=items(4)), MemoryLog()
    for visit in range(4):
        async with open_harness(tmp_path, log) as harness:
            live_run = await harness.launch(shared, resume_incomplete_run=True)
            await work(harness.router(live_run), f"worker {visit}", 1)
            if visit < 3:
                await harness.operator.pause("end of the day")
            else:
                await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert [one.envelope.event.reason for one in log.read() if isinstance(one.envelope.event, TaskRunPaused)] == [
        "end of the day"
    ] * 3
    async with open_harness(tmp_path, log) as harness:
        assert harness.statuses("unit") == {"completed": 4}
        assert harness.statuses("task_run") == {"completed": 1}


async def test_a_registration_gives_its_agent_to_nobody_else(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live_run)
        victim = {"worker_name": "ann", "agent_registration_id": "ann's page"}
        token = (await router.request_agent(victim))["agent_id"]
        thief = await router.request_agent({**victim, "worker_name": "eve"})
        assert thief["agent_id"] is None
        assert thief["failure_reason"] == refusal_text(RefusalReason.TASK_MISSING)
        assert live_run.worker_pool.impersonations == 1
        assert (await router.request_agent(victim))["agent_id"] == token
        await harness.operator.force_shutdown()


async def test_the_time_of_a_pause_is_not_taken_from_the_people_at_work(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared, log = HarnessTaskState(data=items(1)), MemoryLog()
    settings = {"assignment_duration_in_seconds": 100, "resume_incomplete_run": True}
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(shared, **settings))
        ann = str((await ask(router, "ann"))["agent_id"])
        await trio.sleep(60)
        await harness.operator.pause("end of the day")
    await trio.sleep(50_000)
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(shared, **settings))
        await trio.sleep(30)
        assert router.statuses[ann] == "in task"
        await until(harness, lambda: router.statuses[ann] == "timeout")
        await harness.operator.force_shutdown()


async def test_work_that_ends_while_somebody_waits_for_a_pause_does_not_hide_that_code_failed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The work is done before the run can pause: that is the operator's own decision, and asks for nothing."""

    async def fail(unit: Unit) -> None:
        raise ValueError(f"unit {unit.unit_id}")

    async with open_harness(tmp_path) as harness, trio.open_nursery() as nursery:
        live_run = await harness.launch(HarnessTaskState(data=items(2), on_unit_submitted=fail))
        router, runs = harness.router(live_run), harness.operator.runs
        tokens = [str((await ask(router, worker))["agent_id"]) for worker in ("ann", "bob")]
        router.submit_task(tokens[0], {"answer": 1})
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(partial(runs.pause_run, live_run.task_run, "lunch", "user/cyd", drain=True))
        await trio.testing.wait_all_tasks_blocked()
        router.submit_task(tokens[1], {"answer": 2})
        await runs.wait_until_all_ended()
        assert harness.statuses("task_run") == {"paused": 1}
        stops = [one.envelope for one in harness.log.read() if isinstance(one.envelope.event, TaskRunStopping)]
        assert [(one.actor, one.event) for one in stops] == [("operator", TaskRunStopping(reason="all work is done"))]
