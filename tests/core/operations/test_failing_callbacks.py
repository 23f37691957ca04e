"""Functions of a task that fail in every way: nobody is judged, everybody sees it, and it can be repaired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment, OnboardingAgent, Unit, Update
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.decisions.task_run import FAILURES_IN_A_ROW
from mephisto_es.core.lifecycles.task_run import TaskRunState
from mephisto_es.events import streams
from mephisto_es.events.engagement import RefusalReason, WorkerExcluded, WorkerRefused
from mephisto_es.events.ids import SCREENING_UNIT_INDEX, TaskRunId, WorkerId
from mephisto_es.events.onboarding import OnboardingFailed, OnboardingPassed
from mephisto_es.events.task_run import CallbackFailed, TaskRunAdmissionPaused, TaskRunAdmissionResumed

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until

SCREENED: dict[str, object] = {
    "use_screening_task": True,
    "passed_qualification_name": "can-do-it",
    "block_qualification": "cannot-do-it",
    "max_screening_units": 5,
}
GOLDEN: dict[str, object] = {"use_golds": True, "gold_qualification_base": "harness", "max_gold_units": 20}
WORKERS = ("ann", "bob", "cyd")
RUN = TaskRunId(1)
COME_BACK_LATER = {refusal_text(RefusalReason.TECHNICAL_PROBLEM), refusal_text(RefusalReason.PAUSED)}

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
        answer = (self.fault or self.good)(*args)
        return await answer if isinstance(answer, Awaitable) else answer


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


def with_callback(name: str, **more: Any) -> Callable[[Function], HarnessTaskState]:
    return lambda function: HarnessTaskState(data=items(5), **cast("dict[str, Any]", {name: function}), **more)


def with_runner(method: str, base: type[TaskRunner] = TaskRunner, workers: int = 1) -> Callable[..., HarnessTaskState]:
    def shared(function: Function) -> HarnessTaskState:
        async def call(self: TaskRunner, *args: object) -> object:
            return await cast("Awaitable[object]", function(*args))

        return HarnessTaskState(data=items(5, workers), runner=type("Runner", (base,), {method: call}))

    return shared


class Pairs(TaskRunner):
    """Two people work together."""

    is_concurrent = True


class Questions:
    """Screening data that can be read again from the beginning."""

    def __init__(self, function: Function) -> None:
        self._function = function

    async def __aiter__(self) -> AsyncIterator[Update]:
        for number in range(20):
            yield cast("Update", await cast("Awaitable[object]", self._function(number)))


async def good_question(number: int) -> Update:
    return {"question": number}


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
)


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


def events_of(log: MemoryLog, *kinds: type) -> list[Any]:
    return [one.envelope.event for one in log.read() if isinstance(one.envelope.event, kinds)]


def state_of(harness: OperatorHarness) -> TaskRunState:
    return harness.operator.ledger.state.task_runs[streams.task_run(RUN)]


async def provoke_all(harness: OperatorHarness, scenario: Scenario) -> None:
    """Let three workers come upon the function one after the other, each until it has failed."""
    router = MemoryArchitect.routers[RUN]
    for number, worker in enumerate(WORKERS, start=1):
        answer = await provoked(scenario, router, worker)
        await until(harness, lambda at=number: len(events_of(harness.log, CallbackFailed)) >= at)  # type: ignore[misc]
        if scenario.refuses:
            assert answer["failure_reason"] in COME_BACK_LATER
            assert "ann" not in str(answer)


async def provoked(scenario: Scenario, router: MemoryRouter, worker: str) -> Any:
    """Come upon the function; the page may be left alone while its agent is taken away."""
    with trio.move_on_after(1000):
        return await scenario.provoke(router, worker)
    return None


def check_that_nobody_is_judged(harness: OperatorHarness) -> None:
    """Check that no verdict follows from the failures; `validate_onboarding` may have given its own."""
    state, log = harness.operator.ledger.state, harness.log
    passed = len(events_of(log, OnboardingPassed))
    held = [worker.qualifications for worker in state.workers.values() if worker.qualifications]
    assert held == [{state.qualifications_by_name["knows"]: 1}] * passed if passed else held == []
    assert events_of(log, OnboardingFailed, WorkerExcluded) == []
    assert {event.rule for event in events_of(log, WorkerRefused)} <= {"callback_failed", "admission_open"}
    counted = {worker: engagement.counted for worker, engagement in state.engagements.items() if engagement.counted}
    assert set(counted) == {streams.engagement(RUN, unit.worker) for unit in held_units(harness)}
    assert state.runs[RUN].evaluations(SCREENING_UNIT_INDEX) == 0


def held_units(harness: OperatorHarness) -> Iterable[Any]:
    """The ordinary units that somebody has or has submitted."""
    units = harness.operator.ledger.state.units.values()
    return [unit for unit in units if unit.status.value in {"assigned", "completed"} and unit.index >= 0]


async def check_failures(harness: OperatorHarness, scenario: Scenario, fault: str) -> None:
    """Check the events, and that newcomers are told to come back later."""
    failures = events_of(harness.log, CallbackFailed)
    assert {failure.function for failure in failures} == {scenario.function}
    for failure in failures:
        assert failure.error.startswith(PROBLEMS[fault])
        assert failure.location.startswith("test_failing_callbacks.py:")
        assert failure.worker is not None or len(failure.agents) == 2
        assert "ann" not in repr(failure)
    assert state_of(harness).admission_paused_by == scenario.function
    paused = TaskRunAdmissionPaused(function=scenario.function, failures=FAILURES_IN_A_ROW)
    assert events_of(harness.log, TaskRunAdmissionPaused) == [paused]
    newcomer = await ask(MemoryArchitect.routers[RUN], "dan")
    assert newcomer["failure_reason"] == refusal_text(RefusalReason.PAUSED)
    assert harness.statuses("task_run") == {"live": 1}


async def check_repair(harness: OperatorHarness, scenario: Scenario) -> None:
    """Check that everybody can go on, with what they have submitted."""
    router, state = MemoryArchitect.routers[RUN], harness.operator.ledger.state
    await until(harness, lambda: bool(events_of(harness.log, TaskRunAdmissionResumed)))
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert state_of(harness).admission_paused_by is None
    assert state_of(harness).failures == {}
    if scenario.function == "validate_onboarding":
        assert [one.status.value for one in state.onboardings.values()] == ["approved"] * len(WORKERS)
    if scenario.function == "on_unit_submitted":
        held = [state.workers[streams.worker(WorkerId(number))].qualifications for number in (1, 2, 3)]
        assert held == [{state.qualifications_by_name["can-do-it"]: 1}] * 3
    before = len(events_of(harness.log, CallbackFailed))
    details = await ask(router, "eve")
    if scenario.onboarding is not None:
        details = await router.submit_onboarding(details["agent_id"], {"by": "eve"})
    assert details["agent_id"] is not None, details["failure_reason"]
    for worker in WORKERS:
        again = await ask(router, worker)
        assert again["failure_reason"] is None, "who was told to come back later may"
    assert len(events_of(harness.log, CallbackFailed)) == before


async def retried(harness: OperatorHarness, scenario: Scenario, switch: Switch) -> None:
    switch.fault = None
    await harness.operator.retry(RUN)
    await check_repair(harness, scenario)
    await harness.operator.force_shutdown()


async def run_scenario(path: Path, scenario: Scenario, fault: str, repair: str) -> None:
    """Break a function, check what follows, repair it, and check that everybody can go on."""
    switch, log = Switch(FAULTS[fault], scenario.good), MemoryLog()
    opened = partial(open_harness, path, log, scenario.onboarding, scenario.blueprint)
    async with opened() as harness:
        await harness.launch(scenario.shared(switch.__call__))
        await provoke_all(harness, scenario)
        await trio.testing.wait_all_tasks_blocked()
        if scenario.function == "validate_onboarding":
            assert events_of(log, OnboardingPassed) == []
        check_that_nobody_is_judged(harness)
        await check_failures(harness, scenario, fault)
        if repair == "retry":
            await retried(harness, scenario, switch)
    if repair == "resume":
        switch.fault = None
        async with opened() as harness:
            await harness.launch(scenario.shared(switch.__call__), resume_incomplete_run=True)
            await check_repair(harness, scenario)
            await harness.operator.force_shutdown()


FAILING = [
    pytest.param(scenario, fault, id=f"{scenario.function} {fault}")
    for scenario in SCENARIOS
    for fault in FAULTS
    if fault not in scenario.allowed
]


@pytest.mark.parametrize("repair", ["retry", "resume"])
@pytest.mark.parametrize(("scenario", "fault"), FAILING)
async def test_a_function_that_fails_judges_nobody_and_can_be_repaired(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, scenario: Scenario, fault: str, repair: str
) -> None:
    await run_scenario(tmp_path, scenario, fault, repair)


ALLOWED = [
    pytest.param(scenario, fault, id=f"{scenario.function} {fault}")
    for scenario in SCENARIOS
    for fault in sorted(scenario.allowed)
]


@pytest.mark.parametrize(("scenario", "fault"), ALLOWED)
async def test_what_a_function_may_return_is_no_failure(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, scenario: Scenario, fault: str
) -> None:
    switch = Switch(FAULTS[fault], scenario.good)
    async with open_harness(tmp_path, MemoryLog(), scenario.onboarding, scenario.blueprint) as harness:
        await harness.launch(scenario.shared(switch.__call__))
        for worker in WORKERS:
            await provoked(scenario, MemoryArchitect.routers[RUN], worker)
        await trio.testing.wait_all_tasks_blocked()
        assert events_of(harness.log, CallbackFailed) == []
        await harness.operator.force_shutdown()
