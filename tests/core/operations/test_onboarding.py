"""Onboarding: its candidates, results and answers, across restarts and runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.agent import OnboardingAgent, Update
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.events.engagement import RefusalReason

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness


def passes(data: Update) -> bool:
    return bool(data["outputs"].get("answer") == 42)


async def apasses(data: Update) -> bool:
    return passes(data)


def shared(count: int = 3, runner: type[TaskRunner] = TaskRunner) -> HarnessTaskState:
    data = {"question": "6 * 7"}
    return HarnessTaskState(data=items(count), onboarding_data=data, validate_onboarding=apasses, runner=runner)


def statuses(harness: OperatorHarness) -> list[str]:
    return [agent.status.value for agent in harness.operator.ledger.state.onboardings.values()]


async def test_who_passes_goes_on_to_a_unit_and_is_never_asked_again(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared()))
        first = await ask(router, "ann")
        assert first["agent_id"].startswith("onboarding")
        assert first["init_task_data"] == {"question": "6 * 7"}
        assert (await ask(router, "ann"))["agent_id"] == first["agent_id"]
        task = await router.submit_onboarding(first["agent_id"], {"answer": 42})
        assert not task["agent_id"].startswith("onboarding")
        assert task["init_task_data"] == {"number": 0, "seat": 0}
        assert (await ask(router, "ann"))["agent_id"] == task["agent_id"], "a reload finds the task"
        other = await ask(router, "ann", "another visit")
        assert other["init_task_data"]["number"] == 1
        assert statuses(harness) == ["approved"]
        await harness.operator.force_shutdown()


async def test_who_fails_is_told_so_now_and_in_every_later_run(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        for visit in range(2):
            live_run = await harness.launch(shared())
            router = harness.router(live_run)
            if visit == 0:
                first = await ask(router, "ann")
                refused = await router.submit_onboarding(first["agent_id"], {"answer": 41})
                assert refused["agent_id"] is None
                assert refused["failure_reason"] == refusal_text(RefusalReason.NOT_QUALIFIED)
            again = await ask(router, "ann", "another visit")
            assert again["failure_reason"] == refusal_text(RefusalReason.NOT_QUALIFIED)
            assert again["worker_id"] is None
            await harness.operator.force_shutdown()
        assert statuses(harness) == ["rejected"]


async def test_an_onboarding_handed_in_twice_is_answered_twice_with_one_agent(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared()))
        first = await ask(router, "ann")
        answers = []

        async def submit() -> None:
            answers.append(await router.submit_onboarding(first["agent_id"], {"answer": 42}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            nursery.start_soon(submit)
        answers.append(await router.submit_onboarding(first["agent_id"], {"answer": 42}))
        assert len({answer["agent_id"] for answer in answers}) == 1
        assert harness.statuses("agent") == {"in task": 1}
        await harness.operator.force_shutdown()


@pytest.mark.parametrize("data", [{"answer": 41}, "not an object", None])
async def test_what_cannot_be_validated_does_not_pass(tmp_path: Path, data: object) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared()))
        first = await ask(router, "ann")
        assert (await router.submit_onboarding(first["agent_id"], data))["agent_id"] is None
        await harness.operator.force_shutdown()


def broken(data: Update) -> bool:
    raise ZeroDivisionError("secret words of an exception")


async def test_a_validation_that_raises_lets_nobody_pass_and_says_nothing_to_the_worker(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        state = shared()
        state.validate_onboarding = broken
        router = harness.router(await harness.launch(state))
        first = await ask(router, "ann")
        answer = await router.submit_onboarding(first["agent_id"], {"answer": 42})
        assert "secret" not in str(answer)
        assert answer["failure_reason"] == refusal_text(RefusalReason.TECHNICAL_PROBLEM)
        assert statuses(harness) == ["waiting"]
        await harness.operator.force_shutdown()


class Quiz(TaskRunner):
    """An onboarding with live updates."""

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        await agent.observe({"text": "how much is 6 * 7?"})
        await agent.get_live_update()
        await agent.observe({"text": "thank you"})


async def test_an_onboarding_can_talk(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared(runner=Quiz)))
        token = (await ask(router, "ann"))["agent_id"]
        page = router.connect(token)
        texts: list[str] = []
        while len(texts) < 2:
            packet = await page.receive()
            if packet["packet_type"] == "client_bound_live_update":
                texts.append(packet["data"]["text"])
                router.send_live_update(token, {"text": "42", "update_id": "u1"})
        assert texts == ["how much is 6 * 7?", "thank you"]
        await harness.operator.force_shutdown()


@pytest.mark.parametrize(
    ("leave", "status"),
    [(lambda router, token: router.disconnect(token), "disconnect"), (lambda router, token: None, "timeout")],
    ids=["page closed", "too late"],
)
async def test_who_leaves_an_onboarding_keeps_nothing_open(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, leave: Callable[[object, str], None], status: str
) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        live_run = await harness.launch(shared(1), assignment_duration_in_seconds=60)
        router = harness.router(live_run)
        leave(router, (await ask(router, "ann"))["agent_id"])
        await trio.sleep(61)
        assert statuses(harness) == [status]
        assert (await ask(router, "ann"))["failure_reason"] == refusal_text(RefusalReason.TASK_MISSING)
        await harness.operator.shutdown()


async def test_a_run_whose_work_is_done_does_not_wait_for_an_onboarding(tmp_path: Path) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared(1)))
        ann = await ask(router, "ann")
        await ask(router, "bob")
        task = await router.submit_onboarding(ann["agent_id"], {"answer": 42})
        router.submit_task(task["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown()
        assert statuses(harness) == ["approved", "returned"]
        assert harness.statuses("task_run") == {"completed": 1}
