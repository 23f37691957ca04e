"""Callbacks and task code get Mephisto's arguments: workers, units, assignments and agents that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, OnboardingAgent, Unit, Worker
from mephisto_es.core.abstractions.task_runner import LiveTaskRunner, TaskRunner
from mephisto_es.core.abstractions.use_gold_unit import GoldWorker
from mephisto_es.core.errors import (
    AgentDisconnectedError,
    AgentLeftError,
    AgentReturnedError,
    AgentShutdownError,
    AgentTimeoutError,
    ConfigError,
)
from mephisto_es.events.agent import AgentRejected
from mephisto_es.events.worker import WorkerBlocked

from .operator_harness import HarnessTaskState, ask, items, open_harness, until


def facts_about(worker: Worker, unit: Unit) -> dict[str, Any]:
    """Read everything that a callback of Mephisto's scripts reads."""
    assignment = unit.get_assignment()
    [sibling] = assignment.get_units()
    return {
        "name": worker.worker_name,
        "provider": worker.provider_type,
        "earlier": [
            (agent.get_agent_id(), agent.get_status(), agent.state.get_data()["outputs"])
            for agent in worker.get_agents()
        ],
        "completed": len(worker.get_agents("completed")),
        "qualifications": worker.get_qualifications(),
        "granted": worker.get_granted_qualification("reads"),
        "qualified": (worker.is_qualified("reads"), worker.is_disqualified("reads"), worker.is_blocked()),
        "same": worker == Worker(worker.db_id, None),
        "unit": (unit.db_id, unit.unit_index, unit.get_status(), unit.get_db_status(), unit.get_assigned_agent()),
        "assignment": (assignment.db_id, assignment.get_assignment_data().shared, sibling.db_id == unit.db_id),
        "unit_data": unit.get_assignment_data().shared,
        "nobody": (unit.get_worker(), unit.worker_id, assignment.get_agents()),
    }


@pytest.mark.parametrize("is_plain", [False, True])
async def test_worker_can_do_unit_gets_a_worker_and_a_unit(tmp_path: Path, is_plain: bool) -> None:
    seen: list[dict[str, Any]] = []

    def plain(worker: Worker, unit: Unit) -> bool:
        seen.append(facts_about(worker, unit))
        return True

    async def asynchronous(worker: Worker, unit: Unit) -> bool:
        await trio.lowlevel.checkpoint()
        return plain(worker, unit)

    callback = plain if is_plain else asynchronous
    async with open_harness(tmp_path) as harness:
        shared = HarnessTaskState(data=items(2), worker_can_do_unit=callback)
        live_run = await harness.launch(shared, max_num_concurrent_units=1)
        router = harness.router(live_run)
        token = (await ask(router, "ann", 1))["agent_id"]
        router.submit_task(token, {"rating": 5})
        token = (await ask(router, "ann", 2))["agent_id"]
        router.submit_task(token, {"rating": 4})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert seen[0]["name"] == "ann"
    assert seen[0]["provider"] == "harness"
    assert seen[0]["earlier"] == []
    assert (seen[0]["qualifications"], seen[0]["granted"]) == ({}, None)
    assert seen[0]["qualified"] == (False, False, False)
    assert seen[0]["same"]
    assert seen[0]["unit"] == (1, 0, "launched", "launched", None)
    assert seen[0]["assignment"] == (1, {"number": 0}, True)
    assert seen[0]["unit_data"] == {"number": 0}
    assert seen[0]["nobody"] == (None, None, [None])
    last = seen[-1]
    assert (last["earlier"], last["completed"]) == ([("1", "completed", {"rating": 5})], 1)


async def test_a_submitted_unit_leads_to_its_worker(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    seen: list[object] = []

    async def on_unit_submitted(unit: Unit) -> None:
        agent, worker = unit.get_assigned_agent(), unit.get_worker()
        assert agent is not None
        assert worker is not None
        seen.append((agent.db_id, agent.get_agent_id(), agent.db_status, unit.worker_id))
        seen.append(agent.get_worker() == worker)
        seen.append(worker.worker_name)

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), on_unit_submitted=on_unit_submitted))
        router = harness.router(live_run)
        router.submit_task((await ask(router, "ann"))["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert seen == [(1, "1", "completed", 1), True, "ann"]


class Curious(TaskRunner):
    """Reads its agents, and what was said."""

    seen: dict[str, Any] = {}  # noqa: RUF012 - one test's

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        await agent.observe({"text": "who are you?"})
        await agent.get_live_update()
        self.seen["onboarding"] = (agent.get_agent_id(), agent.db_id, agent.get_worker().worker_name)
        self.seen["said"] = [message["text"] for message in agent.state.messages]
        self.seen["question"] = agent.state.inputs

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        await agent.get_live_update()
        state = agent.state
        self.seen["agent"] = (agent.get_agent_id(), agent.db_id, agent.get_worker().worker_name)
        self.seen["data"] = (state.get_init_state(), state.messages[0]["text"], state.final_submission)
        self.seen["assignment"] = agent.get_assignment().db_id == unit.assignment_id
        self.seen["started"] = state.get_task_start() is not None and state.get_task_end() is None
        await agent.await_submit()
        self.seen["end"] = agent.state.get_task_end() is not None
        self.seen["submitted"] = (agent.state.final_submission, len(agent.state.messages))


async def test_task_code_reads_its_agents(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    data: list[dict[str, Any]] = []

    async def validate(onboarding_data: dict[str, Any]) -> bool:
        data.append(onboarding_data)
        return True

    shared = HarnessTaskState(
        data=items(1), runner=Curious, onboarding_data={"question": 1}, validate_onboarding=validate
    )
    async with open_harness(tmp_path, onboarding="knows") as harness:
        router = harness.router(await harness.launch(shared))
        token = (await ask(router, "ann"))["agent_id"]
        router.send_live_update(token, {"text": "ann", "update_id": "1"})
        await trio.testing.wait_all_tasks_blocked()
        token = (await router.submit_onboarding(token, {"ready": True}))["agent_id"]
        router.send_live_update(token, {"text": "hello", "update_id": "2"})
        await trio.testing.wait_all_tasks_blocked()
        router.submit_task(token, {"rating": 3})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert Curious.seen == {
        "onboarding": ("onboarding_1", 1, "ann"),
        "said": ["who are you?", "ann"],
        "question": {"question": 1},
        "agent": ("1", 1, "ann"),
        "data": ({"number": 0, "seat": 0}, "hello", {}),
        "assignment": True,
        "started": True,
        "end": True,
        "submitted": ({"rating": 3}, 1),
    }
    [asked] = data
    assert asked["inputs"] == {"question": 1}
    assert asked["outputs"]["ready"] is True
    assert asked["agent"].get_agent_id() == "onboarding_1"
    assert [message["sent_by"] for message in asked["outputs"]["messages"]] == ["task", "worker"]


def test_a_handle_that_no_operator_made_says_so() -> None:
    with pytest.raises(TypeError, match="not made by an operator"):
        _ = GoldWorker(1, 0, "seed").worker_name
    assert repr(GoldWorker(7, 0, "seed")) == "Worker(7)"
    assert GoldWorker(7, 0, "seed") == GoldWorker(7, 1, "another")
    assert len({GoldWorker(7, 0, "seed"), GoldWorker(7, 1, "another")}) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("disconnect", AgentDisconnectedError),
        ("returned", AgentReturnedError),
        ("timeout", AgentTimeoutError),
        ("expired", AgentShutdownError),
    ],
)
async def test_code_is_told_by_mephisto_s_error_how_a_worker_left(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, status: str, error: type[AgentLeftError]
) -> None:
    raised: list[BaseException] = []

    class Waiting(LiveTaskRunner):
        async def run_unit(self, unit: Unit, agent: Agent) -> None:
            try:
                await agent.await_submit()
            except AgentLeftError as left:
                raised.append(left)
                raise

    async with open_harness(tmp_path) as harness:
        # The second unit stays on offer: the run does not end with the first.
        live_run = await harness.launch(
            HarnessTaskState(data=items(2), runner=Waiting), assignment_duration_in_seconds=600
        )
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        if status == "disconnect":
            router.disconnect(token)
        elif status == "returned":
            router.return_task(token)
        elif status == "expired":
            await harness.operator.end_run(live_run.task_run, "enough", "ann", at_once=True)
        # The clock jumps to the deadline of the work, if nothing else is to come.
        await until(harness, lambda: bool(raised))
        assert [type(one) for one in raised] == [error]


async def test_a_launcher_takes_back_what_nobody_works_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["agent_id"]
        await live_run.task_launcher.expire_units(reason="enough")
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        statuses = [unit.status.value for unit in harness.operator.ledger.state.units.values()]
    assert sorted(statuses) == ["completed", "expired", "expired"]


async def test_a_plain_function_decides_about_what_it_is_given(tmp_path: Path) -> None:
    def on_unit_submitted(unit: Unit) -> None:
        agent, worker = unit.get_assigned_agent(), unit.get_worker()
        assert agent is not None
        assert worker is not None
        if agent.state.get_data()["outputs"]["answer"] == "good":
            for _ in range(2):  # as after a crash
                agent.approve_work("well done", bonus=0.05)
                assert worker.bonus_worker(0.02, "quick", unit) == (True, "")
            assert worker.grant_qualification("good", 3)
            assert worker.unblock_worker("never was")[0]
        elif agent.state.get_data()["outputs"]["answer"] == "odd":
            agent.soft_reject_work("look again")
            assert worker.grant_qualification("odd")
            assert worker.revoke_qualification("odd")
        else:
            agent.reject_work("empty")
            assert worker.block_worker("spam", unit=unit) == (True, "")

    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3), on_unit_submitted=on_unit_submitted))
        router = harness.router(live_run)
        for worker, answer in (("ann", "good"), ("bob", "odd"), ("eve", "spam")):
            router.submit_task((await ask(router, worker))["agent_id"], {"answer": answer})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        state = harness.operator.ledger.state
        assert [agent.status.value for agent in state.agents.values()] == ["approved", "soft_rejected", "rejected"]
        assert [worker.status.value for worker in state.workers.values()] == ["registered", "registered", "blocked"]
        names = {number: name for name, number in state.qualifications_by_name.items()}
        held = [
            {names[one]: value for one, value in worker.qualifications.items()} for worker in state.workers.values()
        ]
        assert held == [{"good": 3}, {}, {}]
        owed = [payment.amount_cents for payment in state.payments.values() if payment.worker == 1]
        assert sorted(owed) == [2, 5, 10]
    decided = [one.envelope for one in log.read() if isinstance(one.envelope.event, AgentRejected | WorkerBlocked)]
    assert [envelope.actor for envelope in decided] == ["script", "script"]


async def test_an_async_function_is_told_what_decides_there(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    said: list[str] = []

    async def on_unit_submitted(unit: Unit) -> None:
        worker = unit.get_worker()
        assert worker is not None
        try:
            worker.grant_qualification("good")
        except ConfigError as error:
            said.append(str(error))

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), on_unit_submitted=on_unit_submitted))
        router = harness.router(live_run)
        router.submit_task((await ask(router, "ann"))["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert said == [
        "grant_qualification blocks, and was called on the event loop. "
        "Call it in a plain function; in an async one use: await operator.reviewer()..."
    ]
