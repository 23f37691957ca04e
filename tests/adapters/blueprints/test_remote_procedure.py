from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import trio

from mephisto_es.adapters.blueprints.remote_procedure import (
    RemoteProcedure,
    RemoteProcedureAgentState,
    RemoteProcedureBlueprint,
    RemoteProcedureTaskRunner,
    SharedRemoteProcedureTaskState,
)
from mephisto_es.core.abstractions.agent import Agent, Assignment, InitializationData, PastUpdate, Unit
from mephisto_es.core.abstractions.callbacks import Callback, UnusableAnswerError
from mephisto_es.core.errors import AgentDisconnectedError, ConfigError, UserCodeError
from mephisto_es.core.operations.task_code.calls import call
from mephisto_es.events.ids import AgentId, AssignmentId, UnitId, WorkerId

from .settings import run_config

T = TypeVar("T")

MAX_BYTES = 10_000


def add(request_id: str, args: dict[str, int], agent_state: RemoteProcedureAgentState) -> dict[str, int]:
    return {"sum": args["a"] + args["b"]}


async def whoami(request_id: str, args: None, agent_state: RemoteProcedureAgentState) -> str:
    await trio.lowlevel.checkpoint()
    return f"{agent_state.agent.token}, {args!r}"


def broken(request_id: str, args: object, agent_state: RemoteProcedureAgentState) -> object:
    raise RuntimeError("the password is swordfish")


def unspeakable(request_id: str, args: object, agent_state: RemoteProcedureAgentState) -> object:
    return {1, object()}


def is_even(request_id: str, args: dict[str, int], agent_state: RemoteProcedureAgentState) -> object:
    return {"even": np.int64(args["a"]) % 2 == 0, "half": np.float64(args["a"]) / 2}


async def asks_the_worker(request_id: str, args: object, agent_state: RemoteProcedureAgentState) -> None:
    agent_state.agent.notice("disconnect")
    await agent_state.agent.observe({"text": "are you there?"})


def count_requests(request_id: str, args: object, agent_state: RemoteProcedureAgentState) -> object:
    calls = [one.target for one in agent_state.requests.values() if one.args_json is not None]
    return {"calls": calls, "data": agent_state.init_data, "inputs": agent_state.get_data()["inputs"]}


FUNCTIONS: dict[str, RemoteProcedure] = {
    "add": add,
    "is_even": is_even,
    "count_requests": count_requests,
    "whoami": whoami,
    "broken": broken,
    "unspeakable": unspeakable,
    "asks_the_worker": asks_the_worker,
}


class LedgerHandle:
    """An agent whose page is the test."""

    def __init__(self) -> None:
        self.unit = Unit(UnitId(1), 0, Assignment(AssignmentId(1), InitializationData(shared={"text": "x"})))
        self.past: list[PastUpdate] = []
        recall = self.past.copy
        self.agent = Agent(
            AgentId(5), self.unit, WorkerId(1), "token", "in task", self._send, recall, call_task_code=self._call
        )
        shared = SharedRemoteProcedureTaskState(static_task_data=[{}], function_registry=FUNCTIONS)
        config = run_config(RemoteProcedureBlueprint, task_source="page")
        self.runner = RemoteProcedureBlueprint(config, shared).make_task_runner()
        self._answers, self.answers = trio.open_memory_channel[dict[str, Any]](100)

    async def _send(self, update: dict[str, Any]) -> None:
        self.past.append(PastUpdate(False, {**update, "update_id": f"o{len(self.past)}"}, trio.current_time()))
        await self._answers.send(update)

    async def _call(self, callback: Callback[T], function: Callable[[], object]) -> T:
        try:
            return callback.read(await call(function), MAX_BYTES)
        except UnusableAnswerError as error:
            raise UserCodeError(callback.name, "returned something else") from error

    def call(self, request_id: str, target: str, args: str | None = None) -> None:
        passed = {} if args is None else {"args": args}
        update = {"request_id": request_id, "target": target, **passed, "update_id": f"u{request_id}"}
        self.past.append(PastUpdate(True, update, trio.current_time()))
        self.agent.deliver(update)


async def during(work: Callable[[LedgerHandle], Awaitable[None]]) -> LedgerHandle:
    """Do something while the unit is run, then hand in."""
    desk = LedgerHandle()
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.runner.run_unit, desk.unit, desk.agent)
            await work(desk)
            desk.agent.notice("completed")
    return desk


async def test_the_answer_is_a_json_text() -> None:
    async def work(desk: LedgerHandle) -> None:
        desk.call("r1", "add", '{"a": 2, "b": 40}')
        desk.call("r2", "whoami")
        desk.call("r3", "is_even", '{"a": 3}')
        first, second, third = [await desk.answers.receive() for _ in range(3)]
        assert first == {"handles": "r1", "response": '{"sum":42}'}
        assert second == {"handles": "r2", "response": '"token, None"'}
        assert third == {"handles": "r3", "response": '{"even":false,"half":1.5}'}

    await during(work)


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("missing", "{}"),
        ("broken", "{}"),
        ("unspeakable", "{}"),
        ("add", "{not JSON"),
        ("add", "[" * 20_000 + "]" * 20_000),
        ("add", '{"a": 2}'),
        ("add", None),
    ],
)
async def test_a_call_that_comes_to_nothing_is_answered_and_the_next_one_works(target: str, args: str | None) -> None:
    async def work(desk: LedgerHandle) -> None:
        desk.call("r1", target, args)
        answer = await desk.answers.receive()
        assert set(answer) == {"handles", "response", "error"}
        assert (answer["handles"], answer["response"]) == ("r1", None)
        assert answer["error"].endswith(".")
        for hidden in ("swordfish", "Error", "'b'", "password"):
            assert hidden not in answer["error"]
        desk.call("r2", "add", '{"a": 1, "b": 1}')
        assert (await desk.answers.receive())["response"] == '{"sum":2}'

    await during(work)


async def test_what_is_no_call_is_passed_over() -> None:
    async def work(desk: LedgerHandle) -> None:
        desk.agent.deliver({"text": "hello", "update_id": "u1"})
        desk.agent.deliver({"request_id": 17, "target": "add", "update_id": "u2"})
        desk.agent.deliver({"request_id": "r", "target": ["add"], "update_id": "u3"})
        desk.call("r1", "add", '{"a": 1, "b": 1}')
        assert (await desk.answers.receive())["handles"] == "r1"

    await during(work)


async def test_a_page_that_is_loaded_again_gets_what_was_said() -> None:
    async def work(desk: LedgerHandle) -> None:
        assert desk.runner.get_init_data_for_agent(desk.agent) == {"task_data": {"text": "x"}, "previous_requests": []}
        desk.call("r1", "add", '{"a": 2, "b": 40}')
        await desk.answers.receive()
        await trio.testing.wait_all_tasks_blocked()
        data = json.loads(json.dumps(desk.runner.get_init_data_for_agent(desk.agent)))
        request, answer = data["previous_requests"]
        assert request.pop("timestamp") <= answer.pop("timestamp")
        assert request == {"uuid": "r1", "target": "add", "args_json": '{"a": 2, "b": 40}', "response_json": None}
        assert answer.pop("uuid") != "r1"
        assert answer == {"target": "r1", "args_json": None, "response_json": '{"sum":42}'}

    await during(work)


async def test_a_procedure_gets_the_state_of_the_agent() -> None:
    async def work(desk: LedgerHandle) -> None:
        desk.call("r1", "add", '{"a": 2, "b": 40}')
        desk.call("r2", "count_requests")
        await desk.answers.receive()
        answer = json.loads((await desk.answers.receive())["response"])
        assert answer == {"calls": ["add", "count_requests"], "data": {"text": "x"}, "inputs": {"text": "x"}}

    await during(work)


async def test_a_worker_who_leaves_ends_the_unit() -> None:
    desk = LedgerHandle()
    desk.call("r1", "asks_the_worker")
    with trio.fail_after(120), pytest.raises(AgentDisconnectedError):
        await desk.runner.run_unit(desk.unit, desk.agent)


@pytest.mark.parametrize(
    ("settings", "functions", "complaint"),
    [({}, FUNCTIONS, "needs its own page"), ({"task_source": "page"}, {}, "function_registry is empty")],
)
def test_what_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    functions: dict[str, RemoteProcedure],
    complaint: str,
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text('<script src="/wrap_crowd_source.js"></script>')
    monkeypatch.chdir(tmp_path)
    shared = SharedRemoteProcedureTaskState(static_task_data=[{}], function_registry=functions)
    with pytest.raises(ConfigError, match=complaint):
        RemoteProcedureBlueprint.assert_task_args(run_config(RemoteProcedureBlueprint, **settings), shared)


def test_its_code_is_its_own() -> None:
    assert isinstance(LedgerHandle().runner, RemoteProcedureTaskRunner)
