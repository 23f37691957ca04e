"""History of live updates that a reloaded page gets, also after a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeVar

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.blueprints.remote_procedure import (
    RemoteProcedureAgentState,
    RemoteProcedureTaskRunner,
    SharedRemoteProcedureTaskState,
)
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Unit
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.task_runner import LiveTaskRunner

from .operator_harness import HarnessTaskState, ask, items, open_harness

T = TypeVar("T")


class Echo(LiveTaskRunner):
    """Sends back each update."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        while (update := await agent.get_live_update()) is not None:
            await agent.observe({"id": "Echo", "text": update["text"], "update_id": f"echo-{update['update_id']}"})


@pytest.fixture(autouse=True)
def _no_router_is_left() -> None:
    MemoryArchitect.routers.clear()


async def test_a_live_page_gets_both_sides_in_order_and_its_own_as_it_sent_them(tmp_path: Path) -> None:
    log = MemoryLog()
    token = ""
    for start in range(2):
        async with open_harness(tmp_path, log) as harness:
            shared = HarnessTaskState(data=items(1), runner=Echo)
            router = harness.router(await harness.launch(shared, resume_incomplete_run=bool(start)))
            details = await ask(router, "ann")
            if start == 0:
                assert details["init_task_data"] == {"task_data": {"number": 0, "seat": 0}, "past_live_updates": []}
                token = details["agent_id"]
            assert details["agent_id"] == token
            router.send_live_update(token, {"text": str(start), "id": "7", "update_id": str(start)})
            await trio.testing.wait_all_tasks_blocked()
            past = (await ask(router, "ann"))["init_task_data"]["past_live_updates"]
            assert past == [
                line
                for number in map(str, range(start + 1))
                for line in (
                    {"text": number, "id": "7", "update_id": number},
                    {"id": "Echo", "text": number, "update_id": f"echo-{number}"},
                )
            ]
            if start == 1:
                router.submit_task(token, {})
                await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


class PlainEcho(LiveTaskRunner):
    """Code as Mephisto's users write it: plain functions whose agents block."""

    def run_unit(self, unit: Unit, agent: Agent) -> None:  # type: ignore[override]  # a plain function is allowed too
        said = agent.get_live_update(timeout=30)
        agent.observe({"text": said["text"].upper(), "unit": unit.unit_index})  # type: ignore[index, unused-coroutine]
        assert agent.await_submit()


async def test_plain_task_code_gets_agents_that_block(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        shared = HarnessTaskState(data=items(1), runner=PlainEcho)
        router = harness.router(await harness.launch(shared))
        token = (await ask(router, "ann"))["agent_id"]
        page = router.connect(token)
        router.send_live_update(token, {"text": "hello", "update_id": "1"})
        while (packet := await page.receive())["packet_type"] != "client_bound_live_update":
            pass
        assert packet["data"]["text"] == "HELLO"
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 1}


@given(steps=st.lists(st.sampled_from(["ann speaks", "bob speaks", "ann reloads", "time passes"]), max_size=12))
def test_a_page_that_is_loaded_again_finds_all_that_it_sent(steps: list[str]) -> None:
    trio.run(_follow, steps, clock=trio.testing.MockClock(autojump_threshold=0))


async def _follow(steps: list[str]) -> None:
    """Take steps while each commit takes a second, so that most of them are taken with one under way."""
    is_slow = False
    MemoryArchitect.routers.clear()

    async def slowly(call: Callable[[], T], /) -> T:
        await trio.sleep(1 if is_slow else 0)
        return call()

    with TemporaryDirectory() as folder:
        async with open_harness(Path(folder), offload=slowly) as harness:
            router = harness.router(await harness.launch(HarnessTaskState(data=items(2), runner=Echo)))
            tokens = {worker: (await ask(router, worker))["agent_id"] for worker in ("ann", "bob")}
            is_slow = True
            sent: list[str] = []
            for number, step in enumerate(steps):
                worker, what = step.split()
                if what == "speaks":
                    router.send_live_update(tokens[worker], {"text": step, "update_id": str(number)})
                    sent += [str(number)] if worker == "ann" else []
                elif what == "reloads":
                    past = (await ask(router, "ann"))["init_task_data"]["past_live_updates"]
                    assert [line["update_id"] for line in past if "id" not in line] == sent
                else:
                    await trio.sleep(0.3)
            is_slow = False
            for token in tokens.values():
                router.submit_task(token, {})
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


class Procedures(RemoteProcedureTaskRunner):
    """Rolls a die for the page, and counts the rolls."""

    thrown: ClassVar[int] = 0

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, SharedRemoteProcedureTaskState(function_registry={"throw": self._throw}))

    async def _throw(self, request_id: str, args: Any, agent_state: RemoteProcedureAgentState) -> int:
        Procedures.thrown += 1
        await agent_state.agent.observe({"text": f"throw {Procedures.thrown}"})
        return Procedures.thrown


async def throw(router: MemoryRouter, token: str, number: int) -> None:
    router.send_live_update(
        token, {"request_id": f"r{number}", "target": "throw", "args": "{}", "update_id": f"u{number}"}
    )
    await trio.testing.wait_all_tasks_blocked()


async def test_a_procedure_that_was_answered_is_not_called_again_after_a_restart(tmp_path: Path) -> None:
    Procedures.thrown = 0
    log = MemoryLog()
    for start in range(3):
        async with open_harness(tmp_path, log) as harness:
            shared = HarnessTaskState(data=items(1), runner=Procedures)
            router = harness.router(await harness.launch(shared, resume_incomplete_run=bool(start)))
            token = (await ask(router, "ann"))["agent_id"]
            await throw(router, token, start)
            requests = (await ask(router, "ann"))["init_task_data"]["previous_requests"]
            assert [request["target"] for request in requests] == [
                target for number in range(start + 1) for target in ("throw", f"r{number}")
            ]
            assert [request["response_json"] for request in requests[1::2]] == ["1", "2", "3"][: start + 1]
            assert [request["uuid"] for request in requests[::2]] == [f"r{number}" for number in range(start + 1)]
            assert all(request["args_json"] == "{}" for request in requests[::2])
            times = [request["timestamp"] for request in requests]
            assert times == sorted(times)
            if start == 2:
                router.submit_task(token, {})
                await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
                assert harness.statuses("unit") == {"completed": 1}
    assert Procedures.thrown == 3
