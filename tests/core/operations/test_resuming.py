"""Runs that are resumed, at unusual moments or in several attempts of one operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryPageSocket
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment, OnboardingAgent
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.errors import CommandRefusedError, LaunchError
from mephisto_es.core.operations.services.reviewer import Reviewer
from mephisto_es.core.operations.task_code.replayer import TURN_SECONDS
from mephisto_es.events.ids import AgentId, TaskRunId

from .operator_harness import HarnessProvider, HarnessTaskState, ask, items, open_harness

QUALIFICATION = "onboarded"


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


async def left_behind(
    path: Path, shared: HarnessTaskState, onboarding: str | None = None, **settings: object
) -> tuple[MemoryLog, Mapping[str, object]]:
    """Leave a run with one agent behind, as a killed process would; returns the log and the worker's answer."""
    log = MemoryLog()
    given: Mapping[str, object] = {}
    with trio.move_on_after(50):
        async with open_harness(path, log, onboarding) as harness:
            live_run = await harness.launch(shared, **settings)
            given = await ask(harness.router(live_run), "ann")
            await trio.sleep_forever()
    return log, given


async def test_an_attempt_to_take_a_run_up_may_fail_and_the_next_one_succeed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = HarnessTaskState(data=items(2))
    log, ann = await left_behind(tmp_path, shared)
    attempts = 0

    async def setup(_self: HarnessProvider, _url: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise LaunchError("provider", "it is closed for the night")

    monkeypatch.setattr(HarnessProvider, "setup_resources_for_task_run", setup)
    async with open_harness(tmp_path, log) as harness:
        with pytest.raises(LaunchError, match="closed for the night"):
            await harness.launch(shared, resume_incomplete_run=True)
        live_run = await harness.launch(shared, resume_incomplete_run=True)
        router = harness.router(live_run)
        bob = await ask(router, "bob")
        for worker in (ann, bob):
            router.submit_task(str(worker["agent_id"]), {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 2}


async def test_a_run_is_taken_up_once_however_often_that_is_asked_at_a_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared = HarnessTaskState(data=items(1))
    log, _ = await left_behind(tmp_path, shared)
    outcomes: list[str] = []

    async with open_harness(tmp_path, log) as harness:

        async def resume() -> None:
            try:
                outcomes.append(await harness.operator.launch_from_incomplete_run(TaskRunId(1), shared))
            except CommandRefusedError as error:
                outcomes.append(str(error))

        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(resume)
        assert sorted(outcomes) == ["1", "run 1 is already running"]
        await harness.operator.force_shutdown()


class Moody(TaskRunner):
    """Onboarding code that sends other updates each time it is started."""

    started = 0

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        Moody.started += 1
        await agent.observe({"text": f"this is start {Moody.started}"})
        await agent.await_submit()


async def test_onboarding_code_that_takes_another_path_ends_that_onboarding_alone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = HarnessTaskState(data=items(1), runner=Moody)
    log, _ = await left_behind(tmp_path, shared, QUALIFICATION)
    async with open_harness(tmp_path, log, QUALIFICATION) as harness:
        live_run = await harness.launch(shared, resume_incomplete_run=True)
        await trio.sleep(TURN_SECONDS + 1)
        assert [agent.status.value for agent in harness.operator.ledger.state.onboardings.values()] == ["returned"]
        assert harness.operator.get_running_task_runs() == {"1": live_run}
        await harness.operator.force_shutdown()
    assert "this is start 2" in capsys.readouterr().err


class Talkative(TaskRunner):
    """Onboarding code that waits for an answer before the submission."""

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        await agent.observe({"text": "who are you?"})
        answer = await agent.get_live_update()
        assert answer is not None
        await agent.observe({"text": f"hello {answer['name']}"})
        await agent.await_submit()


async def test_the_page_of_an_onboarding_is_sent_again_what_may_have_been_lost(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared = HarnessTaskState(data=items(1), runner=Talkative)
    log, ann = await left_behind(tmp_path, shared, QUALIFICATION)
    # The router died as well, with whatever it had for the page.
    MemoryArchitect.routers.clear()
    async with open_harness(tmp_path, log, QUALIFICATION) as harness:
        live_run = await harness.launch(shared, resume_incomplete_run=True)
        await trio.testing.wait_all_tasks_blocked()
        page = harness.router(live_run).connect(str(ann["agent_id"]))
        with trio.fail_after(10):
            packets = [(await page.receive())["data"] for _ in range(2)]
        assert packets[0] == {"status": "onboarding"}
        assert packets[1]["text"] == "who are you?"
        await harness.operator.force_shutdown()


async def test_an_onboarding_that_was_handed_in_is_looked_at_once_after_a_restart(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    asked: list[dict[str, Any]] = []

    async def for_long(_data: object) -> bool:
        await trio.sleep(1000)
        return True

    async def slowly(data: dict[str, Any]) -> bool:
        asked.append(data)
        await trio.sleep(10)
        return True

    log, answers = MemoryLog(), []
    async with trio.open_nursery() as crowd:
        with trio.move_on_after(50):
            async with open_harness(tmp_path, log, QUALIFICATION) as harness:
                shared = HarnessTaskState(data=items(1), runner=Talkative, validate_onboarding=for_long)
                router = harness.router(await harness.launch(shared))
                token = (await ask(router, "ann"))["agent_id"]
                router.send_live_update(token, {"name": "ann", "update_id": "1"})
                await trio.sleep(1)

                async def hand_in() -> None:
                    answers.append(await router.submit_onboarding(token, {"ready": True}))

                crowd.start_soon(hand_in)
                await trio.sleep_forever()
        async with open_harness(tmp_path, log, QUALIFICATION) as harness:
            shared = HarnessTaskState(data=items(1), runner=Talkative, validate_onboarding=slowly)
            await harness.launch(shared, resume_incomplete_run=True)
            router.send_live_update(token, {"text": "is anybody there?", "update_id": "2"})
            await trio.sleep(20)
            [data] = asked
            outputs = data["outputs"]
            assert outputs["ready"] is True
            assert [message["sent_by"] for message in outputs["messages"][:2]] == ["task", "worker"]
            assert outputs["messages"][1]["name"] == "ann"
            assert data["agent"].get_agent_id() == "onboarding_1"
            [answer] = answers
            router.submit_task(answer["agent_id"], {})
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
            assert harness.statuses("unit") == {"completed": 1}


class Duet(TaskRunner):
    """Two workers who are greeted, submit independently, and are thanked separately."""

    is_concurrent = True

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        for agent in agents:
            await agent.observe({"text": "hello"})
        for agent in agents:
            await agent.await_submit()
        for agent in agents:
            await agent.observe({"text": "thank you"})


async def test_work_that_was_approved_already_does_not_keep_its_partner_from_going_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    shared, log, bob = HarnessTaskState(data=items(1, workers=2), runner=Duet), MemoryLog(), ""
    with trio.move_on_after(50):
        async with open_harness(tmp_path, log) as harness:
            router = harness.router(await harness.launch(shared))
            ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
            router.submit_task(ann, {})
            await trio.sleep(1)
            reviewer = Reviewer(
                harness.operator.ledger, SystemIds(harness.operator.ledger.state.highest_ids(), epoch=99)
            )
            await reviewer.approve_work(AgentId(1))
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(shared, resume_incomplete_run=True)
        page = harness.router(live_run).connect(bob)
        harness.router(live_run).submit_task(bob, {})
        with trio.fail_after(1):
            said = [packet async for packet in said_to(page, 2)]
        assert said == ["hello", "thank you"]
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


async def said_to(page: MemoryPageSocket, count: int) -> AsyncIterator[str]:
    """Return the updates from task code to a page, without repetitions."""
    seen: set[str] = set()
    while len(seen) < count:
        packet = await page.receive()
        if packet["packet_type"] == "client_bound_live_update" and packet["data"]["update_id"] not in seen:
            seen.add(packet["data"]["update_id"])
            yield packet["data"]["text"]
