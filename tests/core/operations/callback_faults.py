"""The functions of a task, a blueprint and a provider, the faults they may have, and how workers come upon them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import trio
import trio.testing

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.blueprints.remote_procedure import RemoteProcedure, RemoteProcedureTaskRunner
from mephisto_es.core.abstractions.agent import Agent, Assignment, OnboardingAgent, Unit, Update
from mephisto_es.core.abstractions.callbacks import remote_procedure
from mephisto_es.core.abstractions.crowd.visits import VisitTerms
from mephisto_es.core.abstractions.task_runner import TaskRunner

from .operator_harness import HarnessTaskState, ask, items

SCREENED: dict[str, object] = {
    "use_screening_task": True,
    "passed_qualification_name": "can-do-it",
    "block_qualification": "cannot-do-it",
    "max_screening_units": 5,
}
GOLDEN: dict[str, object] = {"use_golds": True, "gold_qualification_base": "harness", "max_gold_units": 20}

Function = Callable[..., object]


class bool_:  # noqa: N801 - numpy's name
    """Stands for numpy's truth value."""

    def __init__(self, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value


def raises(*_: object) -> object:
    raise ValueError("what ann has written")


async def raises_async(*_: object) -> object:
    await trio.lowlevel.checkpoint()
    raise ValueError("what ann has written")


async def hangs(*_: object) -> None:
    await trio.sleep_forever()


FAULTS: dict[str, Function] = {
    "raises": raises,
    "returns None": lambda *_: None,
    "returns a string": lambda *_: "yes",
    "returns a bool of numpy": lambda *_: bool_(True),
    "never returns": hangs,
    "async and raises": raises_async,
}
PROBLEMS = {
    "raises": "raised ValueError",
    "returns None": "returned NoneType instead of ",
    "returns a string": "returned str instead of ",
    "returns a bool of numpy": "returned bool_ instead of ",
    "never returns": "did not return within 300 s",
    "async and raises": "raised ValueError",
}


class Switch:
    """A function that has a fault until it is repaired."""

    def __init__(self, fault: Function, good: Function) -> None:
        self.fault: Function | None = fault
        self.good = good

    async def __call__(self, *args: object) -> object:
        answer = self.call_now(*args)
        return await answer if isinstance(answer, Awaitable) else answer

    def call_now(self, *args: object) -> object:
        return (self.fault or self.good)(*args)


@dataclass
class Scenario:
    """One function of a task, and how three workers come upon it."""

    function: str
    good: Function
    #: What a script passes, with the function in it.
    shared: Callable[[Function], HarnessTaskState]
    #: Comes upon the function once; returns the answer that the page got last.
    provoke: Callable[[MemoryRouter, str], Awaitable[Any]]
    #: What the function may return, although it looks like a fault.
    allowed: frozenset[str] = frozenset()
    onboarding: str | None = None
    blueprint: dict[str, object] = field(default_factory=dict)
    #: True if the page is refused, False if it only sees its agent end.
    refuses: bool = True
    #: True if the worker left in the course of it, and comes back with a new page.
    leaves: bool = False
    #: True if the function cannot be `async`, so that a coroutine is one more wrong answer.
    is_plain: bool = False

    def problem(self, fault: str) -> str:
        """Return how a failure is described."""
        awaited = self.is_plain and fault in {"never returns", "async and raises"}
        return "returned coroutine instead of " if awaited else PROBLEMS[fault]


IGNORED = frozenset({"returns None", "returns a string", "returns a bool of numpy"})
BOOL = frozenset({"returns a bool of numpy"})


async def request(router: MemoryRouter, worker: str) -> Any:
    return await ask(router, worker)


async def submit(router: MemoryRouter, worker: str) -> Any:
    details = await ask(router, worker)
    router.submit_task(details["agent_id"], {"by": worker})
    return details


async def be_onboarded(router: MemoryRouter, worker: str) -> Any:
    details = await ask(router, worker)
    return await router.submit_onboarding(details["agent_id"], {"by": worker})


async def begin_onboarding(router: MemoryRouter, worker: str) -> Any:
    """Begin an onboarding, and submit it if its code lets it go on."""
    details = await ask(router, worker)
    await trio.testing.wait_all_tasks_blocked()
    if router.statuses.get(details["agent_id"]) != "onboarding":
        return details
    return await router.submit_onboarding(details["agent_id"], {"by": worker})


async def work_in_a_pair(router: MemoryRouter, worker: str) -> Any:
    first, second = await ask(router, worker), await ask(router, f"{worker}'s partner")
    for details in (first, second):
        router.submit_task(details["agent_id"], {})
    return first


async def give_back(router: MemoryRouter, worker: str) -> Any:
    details = await ask(router, worker)
    router.return_task(details["agent_id"])
    return details


async def reload_after_work(router: MemoryRouter, worker: str) -> Any:
    details = await submit(router, worker)
    while router.unacknowledged:
        await trio.testing.wait_all_tasks_blocked()
    return await ask(router, worker) | {"agent_id": details["agent_id"]}


async def leave_a_pair(router: MemoryRouter, worker: str) -> Any:
    first, second = await ask(router, worker), await ask(router, f"{worker}'s partner")
    for details in (first, second):
        router.return_task(details["agent_id"])
    return first


async def leave_the_onboarding(router: MemoryRouter, worker: str) -> Any:
    details = await ask(router, worker)
    router.connect(details["agent_id"])
    router.disconnect(details["agent_id"])
    return details


async def call_a_procedure(router: MemoryRouter, worker: str) -> Any:
    """Call it until it is answered, as a page does, and keep the unit."""
    details = await ask(router, worker)
    socket = router.connect(details["agent_id"])
    router.send_live_update(details["agent_id"], {"request_id": "r1", "target": "add", "update_id": "u1"})
    while True:
        update = (await socket.receive())["data"]
        if update.get("handles") == "r1":
            assert (update["response"] is None) == (update.get("error") == "The procedure failed.")
            return details


def with_callback(name: str, **more: Any) -> Callable[[Function], HarnessTaskState]:
    return lambda function: HarnessTaskState(data=items(5), **cast("dict[str, Any]", {name: function}), **more)


def with_plugin(name: str) -> Callable[[Function], HarnessTaskState]:
    """Let the blueprint or the provider have the function, which cannot be async."""

    def shared(function: Function) -> HarnessTaskState:
        switch = getattr(function, "__self__", None)
        call_now = switch.call_now if isinstance(switch, Switch) else function
        return HarnessTaskState(data=items(5), plugins={name: call_now})

    return shared


def with_runner(method: str, base: type[TaskRunner] = TaskRunner, workers: int = 1) -> Callable[..., HarnessTaskState]:
    def shared(function: Function) -> HarnessTaskState:
        async def call(self: TaskRunner, *args: object) -> object:
            return await cast("Awaitable[object]", function(*args))

        return HarnessTaskState(data=items(5, workers), runner=type("Runner", (base,), {method: call}))

    return shared


@dataclass
class ProcedureTaskState(HarnessTaskState):
    """State for a page that calls functions of the script."""

    function_registry: dict[str, RemoteProcedure] = field(default_factory=dict)


def with_procedure(function: Function) -> HarnessTaskState:
    return ProcedureTaskState(
        data=items(5), runner=RemoteProcedureTaskRunner, function_registry={"add": cast("RemoteProcedure", function)}
    )


class Pairs(TaskRunner):
    """Two people work together."""

    is_concurrent = True


class WaitingPairs(Pairs):
    """Two people work together until both have submitted."""

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        await waits_for_all(assignment, agents)


class Questions:
    """Screening data that can be read again from the beginning."""

    def __init__(self, function: Function) -> None:
        self._function = function

    async def __aiter__(self) -> AsyncIterator[Update]:
        for number in range(20):
            yield cast("Update", await cast("Awaitable[object]", self._function(number)))


async def good_question(number: int) -> Update:
    return {"question": number}


async def gold(_: object) -> Update:
    return {"gold": 1}


async def passes(_: object) -> bool:
    return True


async def waits(_unit: Unit, agent: Agent) -> None:
    await agent.await_submit()


async def waits_for_all(_: Assignment, agents: Sequence[Agent]) -> None:
    for agent in agents:
        await agent.await_submit()


async def waits_for_onboarding(agent: OnboardingAgent) -> None:
    await agent.await_submit()


SCENARIOS = (
    Scenario(
        "validate_onboarding", passes, with_callback("validate_onboarding"), be_onboarded, BOOL, onboarding="knows"
    ),
    Scenario("worker_can_do_unit", lambda *_: True, with_callback("worker_can_do_unit"), request, BOOL),
    Scenario(
        "on_unit_submitted",
        passes,
        with_callback("on_unit_submitted", screening_data_factory=Questions(good_question)),
        submit,
        BOOL,
        blueprint=SCREENED,
        refuses=False,
    ),
    Scenario(
        "get_gold_for_worker",
        lambda _: {"gold": 1},
        with_callback("get_gold_for_worker", on_unit_submitted=passes),
        request,
        frozenset({"returns None"}),
        blueprint=GOLDEN,
    ),
    Scenario(
        "screening_data_factory",
        lambda number: {"question": number},
        lambda function: HarnessTaskState(
            data=items(5), screening_data_factory=Questions(function), on_unit_submitted=passes
        ),
        request,
        blueprint=SCREENED,
    ),
    Scenario("run_unit", waits, with_runner("run_unit"), submit, IGNORED, refuses=False),
    Scenario(
        "run_assignment",
        waits_for_all,
        with_runner("run_assignment", Pairs, workers=2),
        work_in_a_pair,
        IGNORED,
        refuses=False,
    ),
    Scenario(
        "run_onboarding",
        waits_for_onboarding,
        with_runner("run_onboarding"),
        begin_onboarding,
        IGNORED,
        onboarding="knows",
        refuses=False,
    ),
    Scenario(
        "get_init_data_for_agent",
        lambda agent: {"number": agent.unit.unit_id},
        with_runner("get_init_data_for_agent"),
        request,
    ),
    Scenario("cleanup_unit", lambda _: None, with_runner("cleanup_unit"), give_back, IGNORED, refuses=False),
    Scenario("filter_units_for_worker", lambda units, _: units, with_runner("filter_units_for_worker"), request),
    Scenario(
        "worker_qualifies",
        lambda *_: True,
        with_callback("worker_qualifies", get_gold_for_worker=gold, on_unit_submitted=passes),
        request,
        BOOL,
        blueprint=GOLDEN,
    ),
    Scenario(
        "worker_needs_gold",
        lambda *_: False,
        with_callback("worker_needs_gold", get_gold_for_worker=gold, on_unit_submitted=passes),
        request,
        BOOL,
        blueprint=GOLDEN,
    ),
    Scenario(
        "get_init_data_for_onboarding",
        lambda _: {},
        with_runner("get_init_data_for_onboarding"),
        request,
        onboarding="knows",
    ),
    Scenario(
        "cleanup_assignment",
        lambda _: None,
        with_runner("cleanup_assignment", WaitingPairs, workers=2),
        leave_a_pair,
        IGNORED,
        refuses=False,
    ),
    Scenario(
        "cleanup_onboarding",
        lambda _: None,
        with_runner("cleanup_onboarding"),
        leave_the_onboarding,
        IGNORED,
        onboarding="knows",
        refuses=False,
        leaves=True,
    ),
    Scenario(
        remote_procedure("add").name,
        lambda *_: {"sum": 42},
        with_procedure,
        call_a_procedure,
        frozenset({"returns None", "returns a string"}),
        refuses=False,
    ),
    Scenario("check_submission", lambda _: (), with_plugin("check_submission"), submit, refuses=False, is_plain=True),
    Scenario("visit_terms", lambda page, _: VisitTerms(page), with_plugin("visit_terms"), request, is_plain=True),
    Scenario(
        "completion_code",
        lambda _: "7K3M",
        with_plugin("completion_code"),
        reload_after_work,
        frozenset({"returns None", "returns a string"}),
        refuses=False,
        is_plain=True,
    ),
)
