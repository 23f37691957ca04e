"""Properties of whole runs of any shape, with any workers, checked at every event and at the end."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlite_utils
import trio
import trio.testing
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryPageSocket, MemoryRouter, PageGoneError
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment, Unit, Update
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.abstractions.use_gold_unit import GoldWorker, get_gold_factory
from mephisto_es.core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.lifecycles.unit import OPEN_UNIT_STATUSES, UnitStatus
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentCompletedAlone, AgentSubmitted
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.projections.engine import rebuild
from mephisto_es.projections.registry import PROJECTIONS

from .operator_harness import HarnessTaskState, ask, items, open_harness

RUN = TaskRunId(1)
REWARD_CENTS = 10
GOLDS = [{"gold": number} for number in range(3)]
#: Statuses after which a page has nothing to wait for.
AT_REST = {"in task", "completed", "partner disconnect", "disconnect", "timeout", "returned", "expired"}
#: What a worker does with what it got.
ACTIONS = ("submit", "submit", "submit", "submit twice", "reload and submit", "return", "disconnect", "forget")


@dataclass(frozen=True)
class Visit:
    """One visit of a worker."""

    action: str
    is_right: bool
    seconds: int


@dataclass(frozen=True)
class Plan:
    """A run and its visits."""

    assignments: int
    seats: int
    allowed_concurrent: int
    maximum_units_per_worker: int
    max_num_concurrent_units: int
    max_repeats: int
    onboarding: bool
    screening_units: int | None
    gold_units: int | None
    workers: tuple[tuple[int, tuple[Visit, ...]], ...]

    @property
    def blueprint(self) -> dict[str, object]:
        settings: dict[str, object] = {"block_qualification": "blocked"}
        if self.screening_units is not None:
            settings |= {"use_screening_task": True, "passed_qualification_name": "passed"}
            settings["max_screening_units"] = self.screening_units
        if self.gold_units is not None:
            settings |= {"use_golds": True, "gold_qualification_base": "base", "max_gold_units": self.gold_units}
        return settings


visits = st.builds(Visit, st.sampled_from(ACTIONS), st.sampled_from((True, True, True, False)), st.integers(0, 40))
plans = st.builds(
    Plan,
    assignments=st.integers(1, 5),
    seats=st.integers(1, 2),
    allowed_concurrent=st.integers(0, 2),
    maximum_units_per_worker=st.integers(0, 3),
    max_num_concurrent_units=st.sampled_from((0, 0, 2, 3)),
    max_repeats=st.integers(0, 2),
    onboarding=st.booleans(),
    screening_units=st.sampled_from((None, None, 0, 1, 9)),
    gold_units=st.sampled_from((None, None, 1, 9)),
    workers=st.lists(
        st.tuples(st.integers(0, 60), st.lists(visits, min_size=1, max_size=6).map(tuple)), min_size=1, max_size=6
    ).map(tuple),
)


class Chat(TaskRunner):
    """Greets, and waits for all submissions."""

    is_concurrent = True

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        for agent in agents:
            await agent.observe({"text": "hello"})
        for agent in agents:
            await agent.await_submit()


def chat_with(repeats: int) -> type[TaskRunner]:
    return type("RepeatedChat", (Chat,), {"max_repeats": repeats})


# No plain function is called: a clock that jumps does not know that a thread is at work.


async def questions() -> AsyncIterator[Update]:
    for number in range(100):
        yield {"question": number}


async def gold_for(worker: GoldWorker) -> Update:
    return get_gold_factory(GOLDS)(worker)


async def needs_gold(completed: int, correct: int, wrong: int, least: int) -> bool:
    return correct < least + wrong + completed // 2


async def qualifies(completed: int, correct: int, wrong: int, most: int) -> bool:
    return wrong <= most


async def is_ready(data: Update) -> bool:
    outputs = data["outputs"]
    return bool(outputs["ready"])


async def is_right(unit: Unit) -> bool:
    agent = unit.get_assigned_agent()
    assert agent is not None
    return bool(agent.state.get_data()["outputs"]["right"])


async def come(router: MemoryRouter, worker: str, arrives: int, planned: Sequence[Visit]) -> None:
    """Make a worker's visits."""
    await trio.sleep(arrives)
    for number, visit in enumerate(planned):
        try:
            details = await ask(router, worker, number)
            token = details["agent_id"]
            if token is not None and token.startswith("onboarding"):
                details = await router.submit_onboarding(token, {"ready": visit.is_right})
                token = details["agent_id"]
            if token is not None:
                await act(router, worker, number, token, visit)
            await trio.sleep(1 + visit.seconds)
        except PageGoneError:
            return


async def act(router: MemoryRouter, worker: str, number: int, token: str, visit: Visit) -> None:
    page = router.connect(token)
    with trio.move_on_after(50):
        await until_at_rest(page)
    router.send_live_update(token, {"text": "hello", "update_id": f"{worker}-{number}"})
    await trio.sleep(visit.seconds)
    work = {"right": visit.is_right}
    if visit.action == "reload and submit":
        again = await ask(router, worker, number)
        assert again["agent_id"] == token
    if visit.action in ("submit", "submit twice", "reload and submit"):
        router.submit_task(token, work)
    if visit.action == "submit twice":
        router.submit_task(token, {"right": not visit.is_right})
    elif visit.action == "return":
        router.return_task(token)
    elif visit.action == "disconnect":
        router.disconnect(token)


async def until_at_rest(page: MemoryPageSocket) -> None:
    while (packet := await page.receive())["packet_type"] != "update_status" or packet["data"]["status"] not in AT_REST:
        pass


async def play(plan: Plan, folder: Path, log: MemoryLog) -> DecisionState:
    """Run everything; returns the operator's state at the end."""
    MemoryArchitect.routers.clear()
    shared = HarnessTaskState(
        data=items(plan.assignments, plan.seats),
        runner=chat_with(plan.max_repeats) if plan.seats > 1 else TaskRunner,
        validate_onboarding=is_ready,
        on_unit_submitted=is_right,
        screening_data_factory=questions() if plan.screening_units else False,
        get_gold_for_worker=gold_for,
        worker_needs_gold=needs_gold,
        worker_qualifies=qualifies,
    )
    settings: dict[str, object] = {
        "allowed_concurrent": plan.allowed_concurrent,
        "maximum_units_per_worker": plan.maximum_units_per_worker,
        "max_num_concurrent_units": plan.max_num_concurrent_units,
        "assignment_duration_in_seconds": 100,
        "no_submission_patience": 400,
    }
    onboarding = "onboarded" if plan.onboarding else None
    async with open_harness(folder, log, onboarding, plan.blueprint) as harness:
        router = harness.router(await harness.launch(shared, **settings))
        async with trio.open_nursery() as crowd:
            for number, (arrives, planned) in enumerate(plan.workers):
                crowd.start_soon(come, router, f"worker-{number}", arrives, planned)
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
            crowd.cancel_scope.cancel()
        assert harness.operator.runs.failures == []
        return harness.operator.ledger.state


@given(plans)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_run_is_legal_at_every_event_and_ends(plan: Plan) -> None:
    note(str(plan))
    log = MemoryLog(PROJECTIONS)
    with tempfile.TemporaryDirectory() as folder:
        clock = trio.testing.MockClock(autojump_threshold=0)
        live = trio.run(play, plan, Path(folder), log, clock=clock)
    state = follow(plan, log)
    check_end(plan, log, state)
    assert known(state) == known(live)
    check_view(log)


def follow(plan: Plan, log: MemoryLog) -> DecisionState:
    """Fold the log, and assert that each event is legal and that all limits hold after each append."""
    state = DecisionState()
    for _, append in groupby(log.read(), lambda recorded: recorded.envelope.command):
        touched: list[RecordedEvent] = list(append)
        for recorded in touched:
            state.apply(recorded.envelope)
        check_limits(plan, state)
    return state


def check_limits(plan: Plan, state: DecisionState) -> None:
    live = [agent for agent in state.agents.values() if agent.status in LIVE_AGENT_STATUSES]
    assert max(Counter(agent.unit for agent in live).values(), default=0) <= 1, "a unit has two agents"
    for engagement in state.engagements.values():
        assert plan.allowed_concurrent == 0 or len(engagement.live) <= plan.allowed_concurrent
        assert plan.maximum_units_per_worker == 0 or engagement.counted <= plan.maximum_units_per_worker
    index = state.runs[RUN]
    out = [
        unit
        for unit in state.units.values()
        if unit.index >= 0 and unit.status in (UnitStatus.LAUNCHED, UnitStatus.ASSIGNED)
    ]
    assert plan.max_num_concurrent_units == 0 or len(out) <= plan.max_num_concurrent_units
    assert index.evaluations(SCREENING_UNIT_INDEX) <= (plan.screening_units or 0)
    assert index.evaluations(GOLD_UNIT_INDEX) <= (plan.gold_units or 0)
    assert all(unit.index < 0 or unit.unit not in index.offered for unit in state.units.values() if unit.agent)
    check_data_seen(state)


def check_data_seen(state: DecisionState) -> None:
    """Assert that no worker gets the same data twice."""
    repeats = state.runs[RUN].repeats
    seen: Counter[tuple[WorkerId, AssignmentId]] = Counter(
        (agent.worker, repeats.get(agent.assignment, agent.assignment)) for agent in state.agents.values()
    )
    assert max(seen.values(), default=0) <= 1


def check_end(plan: Plan, log: MemoryLog, state: DecisionState) -> None:
    [run] = state.task_runs.values()
    still_open = [unit for unit in state.units.values() if unit.status in OPEN_UNIT_STATUSES]
    # A run in which nothing was submitted for too long is paused: its units wait for whoever resumes it.
    assert run.status is (TaskRunStatus.PAUSED if still_open else TaskRunStatus.COMPLETED)
    assert state.runs[RUN].is_idle or still_open
    events = [recorded.envelope.event for recorded in log.read()]
    submitted = [event for event in events if isinstance(event, AgentSubmitted | AgentCompletedAlone)]
    owed = sum(unit.pay_cents for unit in state.units.values() if unit.status is UnitStatus.COMPLETED)
    assert owed == REWARD_CENTS * len(submitted)
    done = {agent.unit for agent in state.agents.values() if agent.status is AgentStatus.COMPLETED}
    completed: set[UnitId] = {unit.unit for unit in state.units.values() if unit.status is UnitStatus.COMPLETED}
    assert done == completed
    for engagement in state.engagements.values():
        # Only work that is still in progress is undecided.
        assert engagement.undecided() in {None, *(unit.unit for unit in still_open)}
        if plan.screening_units is not None:
            check_screened(state, engagement.worker)


def check_screened(state: DecisionState, worker: WorkerId) -> None:
    """Assert that every worker with ordinary work had passed the screening, which that work may be part of."""
    names = {number: name for name, number in state.qualifications_by_name.items()}
    held = {names[number] for number in state.workers[f"worker/{worker}"].qualifications}
    mine = [agent for agent in state.agents.values() if agent.worker == worker]
    done = [agent for agent in mine if agent.status is AgentStatus.COMPLETED]
    assert len(done) <= 1 or "passed" in held
    assert not {"passed", "blocked"} <= held


def known(state: DecisionState) -> dict[str, Any]:
    """Return everything that a state knows, for comparison."""
    families = {name: value for name, value in vars(state).items() if name != "_folds"}
    return {name: dict(value.items()) if hasattr(value, "fold") else value for name, value in families.items()}


def check_view(log: MemoryLog) -> None:
    """Assert that the live view equals the view rebuilt from the log."""
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    rebuild.build(fresh, PROJECTIONS, log.read(), log.payload)
    for table in sqlite_utils.Database(fresh).table_names():
        assert not list(rebuild.differences(log.connect(), fresh, table))
    fresh.close()
