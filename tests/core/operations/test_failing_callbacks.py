"""Functions of a task that fail in every way: nobody is judged, everybody sees it, and it can be repaired."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions import callbacks
from mephisto_es.core.abstractions.callbacks import CALLBACKS, VISIT_TERMS, Callback, remote_procedure
from mephisto_es.core.abstractions.shared_task_state import SharedTaskState
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.decisions.task_run import FAILURES_IN_A_ROW
from mephisto_es.core.lifecycles.task_run import TaskRunState
from mephisto_es.events import streams
from mephisto_es.events.engagement import RefusalReason, WorkerExcluded, WorkerRefused
from mephisto_es.events.ids import SCREENING_UNIT_INDEX, TaskRunId, WorkerId
from mephisto_es.events.onboarding import OnboardingFailed, OnboardingPassed
from mephisto_es.events.task_run import CallbackFailed, TaskRunAdmissionPaused, TaskRunAdmissionResumed

from .callback_faults import FAULTS, SCENARIOS, Scenario, Switch
from .operator_harness import OperatorHarness, ask, open_harness, until

WORKERS = ("ann", "bob", "cyd")
RUN = TaskRunId(1)
COME_BACK_LATER = {refusal_text(RefusalReason.TECHNICAL_PROBLEM), refusal_text(RefusalReason.PAUSED)}


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
    """The ordinary units that somebody has or has submitted; those of left partners are completed without that."""
    state = harness.operator.ledger.state
    holders = {
        agent.agent
        for agent in state.agents.values()
        if agent.status.value == "in task" or (agent.status.value == "completed" and agent.submission is not None)
    }
    return [unit for unit in state.units.values() if unit.agent in holders and unit.index >= 0]


async def check_failures(harness: OperatorHarness, scenario: Scenario, fault: str) -> None:
    """Check the events, and that newcomers are told to come back later."""
    failures = events_of(harness.log, CallbackFailed)
    assert {failure.function for failure in failures} == {scenario.function}
    for failure in failures:
        assert failure.error.startswith(scenario.problem(fault))
        assert failure.location.startswith(("callback_faults.py:", "operator_harness.py:"))
        assert failure.worker is not None or len(failure.agents) == 2 or scenario.function == VISIT_TERMS.name
        assert "ann" not in repr(failure)
    assert state_of(harness).admission_paused_by == scenario.function
    paused = TaskRunAdmissionPaused(function=scenario.function, failures=FAILURES_IN_A_ROW)
    assert events_of(harness.log, TaskRunAdmissionPaused) == [paused]
    newcomer = await ask(MemoryArchitect.routers[RUN], "dan")
    # Without the terms nobody knows who is at work and who is new.
    why = RefusalReason.TECHNICAL_PROBLEM if scenario.function == VISIT_TERMS.name else RefusalReason.PAUSED
    assert newcomer["failure_reason"] == refusal_text(why)
    assert len(events_of(harness.log, CallbackFailed)) == len(failures)
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
        again = await ask(router, worker, "a new page" if scenario.leaves else 0)
        assert again["failure_reason"] is None, "who was told to come back later may"
    assert len(events_of(harness.log, CallbackFailed)) == before


async def retried(harness: OperatorHarness, scenario: Scenario, switch: Switch) -> None:
    switch.fault = None
    assert await harness.operator.runs.retry(RUN, "repaired") is True
    await check_repair(harness, scenario)
    assert await harness.operator.runs.retry(RUN, "nothing has failed since") is False
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
    pytest.param(scenario, fault, repair, id=f"{scenario.function} {fault}, {repair}")
    for scenario in SCENARIOS
    for fault in FAULTS
    for repair in ("retry", "resume")
    if fault not in scenario.allowed and (repair == "retry" or scenario in SCENARIOS[:10] or fault == "raises")
]


@pytest.mark.parametrize(("scenario", "fault", "repair"), FAILING)
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


def shared_states(of: type[SharedTaskState] = SharedTaskState) -> Iterable[type[SharedTaskState]]:
    """Yield all that a launch script may pass, of this package."""
    yield of
    for kind in of.__subclasses__():
        if kind.__module__.startswith("mephisto_es."):
            yield from shared_states(kind)


def test_no_function_of_a_task_is_forgotten() -> None:
    """A new function of a task, a blueprint or a provider needs a declaration, and a scenario above."""
    declared = {value.name for value in vars(callbacks).values() if isinstance(value, Callback)}
    assert {callback.name for callback in CALLBACKS} == declared
    assert {scenario.function for scenario in SCENARIOS} == declared | {remote_procedure("add").name}
    of_scripts = {
        known.name for kind in shared_states() for known in dataclasses.fields(kind) if "called_with" in known.metadata
    } | {"screening_data_factory"}
    of_runners = {name for name in vars(TaskRunner) if not name.startswith("_") and callable(getattr(TaskRunner, name))}
    assert (of_scripts - {"function_registry"}) | of_runners <= declared
