"""Items get further units until their label is sure enough: through crashes, reviews and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.command_issuer import CommandIssuer
from mephisto_es.core.commands.labels import LabelPlan
from mephisto_es.core.commands.review import LabelAssignment
from mephisto_es.core.operations.launching.label_units import answer_text
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.core.state.label_model import LabelModel, StopRule
from mephisto_es.events.assignment import AssignmentExtended, AssignmentSettled, StopReason
from mephisto_es.events.base import Event
from mephisto_es.events.ids import AgentId, AssignmentId
from mephisto_es.events.unit import UnitCompleted

from .operator_harness import HarnessTaskState, ask, items, open_harness, until

CLASSES = ("cat", "dog", "bird")
PLAN = LabelPlan(answer="label", classes=CLASSES, accuracy=0.95, rule=StopRule(0.95, 2, 5))
Decided = list[AssignmentExtended | AssignmentSettled]


@pytest.fixture(autouse=True)
def _no_router_is_left() -> None:
    MemoryArchitect.routers.clear()


def shared(count: int, plan: LabelPlan = PLAN) -> HarnessTaskState:
    return HarnessTaskState(data=items(count, workers=plan.rule.least), label_plan=plan)


def decided(log: MemoryLog) -> dict[int, Decided]:
    """The decisions about each assignment."""
    found: dict[int, Decided] = {}
    for recorded in log.read():
        event = recorded.envelope.event
        if isinstance(event, AssignmentExtended | AssignmentSettled):
            found.setdefault(int(recorded.envelope.stream.rpartition("/")[2]), []).append(event)
    return found


async def answer(router: MemoryRouter, worker: str, label: object) -> None:
    """Take the unit that is on offer, and answer it."""
    router.submit_task((await ask(router, worker))["agent_id"], {"label": label})


async def test_two_who_agree_are_enough_and_two_who_differ_are_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(shared(1))
        router = harness.router(live_run)
        await answer(router, "ann", "cat")
        await answer(router, "bob", "dog")
        await until(harness, lambda: harness.statuses("unit").get("launched") == 1)
        assert live_run.task_launcher.planned_units == 3
        await answer(router, "cyd", "dog")
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        ((extended, settled),) = decided(harness.log).values()
        assert isinstance(extended, AssignmentExtended)
        assert (extended.evidence.counts, len(extended.units), extended.open_units) == ((1, 1, 0), 1, 0)
        assert isinstance(settled, AssignmentSettled)
        assert (settled.by, settled.evidence.label) == (StopReason.CONFIDENCE, "dog")
        assert settled.evidence.counts == (1, 2, 0)
        assert settled.evidence.posterior == LabelModel(3, 0.95).posterior([1, 2, 0])
        assert harness.statuses("unit") == {"completed": 3}
        assert harness.statuses("task_run") == {"completed": 1}


async def test_rejected_work_is_replaced_and_a_reversal_withdraws_the_replacement(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(shared(2))
        router, run, log = harness.router(live_run), live_run.task_run, harness.log
        for worker in ("ann", "bob"):
            await answer(router, worker, "cat")
        await until(harness, lambda: [len(events) for events in decided(log).values()] == [1])
        reviewer = harness.operator.reviewer()
        await reviewer.reject_work(AgentId(1), "not read")
        await until(harness, lambda: [len(events) for events in decided(log).values()] == [2])
        index = harness.operator.ledger.state.runs[run]
        assert len(index.units_of[index.assignments[0]]) == 3
        await reviewer.approve_work(AgentId(1))
        await until(harness, lambda: [len(events) for events in decided(log).values()] == [3])
        extended, settled = decided(log)[1][1:]
        assert isinstance(extended, AssignmentExtended)
        assert isinstance(settled, AssignmentSettled)
        assert (extended.evidence.agents, settled.withdrawn) == ((AgentId(2),), extended.units)
        assert harness.statuses("unit") == {"accepted": 1, "completed": 1, "expired": 1, "launched": 2}


async def test_a_reviewers_decision_settles_an_item_and_withdraws_what_is_on_offer_for_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(shared(1))
        router, run = harness.router(live_run), live_run.task_run
        await answer(router, "ann", "cat")
        await answer(router, "bob", "dog")
        await until(harness, lambda: harness.statuses("unit").get("launched") == 1)
        label = seal(b'"dog"', bytes(16))
        command = LabelAssignment(
            task_run=run,
            assignment=AssignmentId(1),
            question=PLAN.answer,
            label=label.ref,
            units=tuple(harness.operator.ledger.state.runs[run].units_of[AssignmentId(1)][:2]),
            reviewer="user/ada",
        )
        await CommandIssuer(harness.operator.ledger, SystemIds({}, 99), "user/ada").issue(command, label)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        settled = decided(harness.log)[1][-1]
        assert isinstance(settled, AssignmentSettled)
        assert (settled.by, len(settled.withdrawn)) == (StopReason.DECIDED, 1)
        assert harness.statuses("unit") == {"completed": 2, "expired": 1}
        assert harness.statuses("task_run") == {"completed": 1}


async def test_there_is_never_more_on_offer_than_allowed_and_paid_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        # Five units are covered: the sixth answer cannot be paid, and the run ends without it.
        live_run = await harness.launch(shared(2), max_num_concurrent_units=1, budget="0.50")
        router = harness.router(live_run)
        for number, label in enumerate(("cat", "dog", "cat", "dog", "bird")):
            await until(harness, lambda: harness.statuses("unit").get("launched") == 1)
            await answer(router, f"worker-{number}", label)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        statuses = harness.statuses("unit")
        assert statuses["completed"] == 5
        assert statuses.keys() == {"completed", "expired"}


async def test_an_answer_that_is_no_class_is_paid_and_says_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(shared(1)))
        for number, label in enumerate(("cow", None, 3, ["cat"], {"cat": "cat"})):
            await until(harness, lambda: bool(harness.statuses("unit").get("launched")))
            await answer(router, f"worker-{number}", label)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        settled = decided(harness.log)[1][-1]
        assert isinstance(settled, AssignmentSettled)
        assert (settled.by, settled.evidence.counts, len(settled.evidence.agents)) == (StopReason.MAXIMUM, (0, 0, 0), 5)


async def test_an_accuracy_that_nobody_knows_is_estimated_from_the_answers(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        plan = LabelPlan(answer="label", classes=CLASSES, accuracy=None, rule=StopRule(0.95, 2, 5))
        router = harness.router(await harness.launch(shared(20, plan)))
        with suppress(PageGoneError):
            for number in range(70):
                await answer(router, f"worker-{number}", "cat")
                await trio.testing.wait_all_tasks_blocked()
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        events = [events[-1] for events in decided(harness.log).values()]
        # Nothing is known about the workers at first.
        assert events[-1].evidence.accuracy > 0.9 > events[0].evidence.accuracy > 0.75
        assert all(event.evidence.estimated_from is not None for event in events)


def test_the_answer_is_found_by_its_keys() -> None:
    submission = {"a": {"b.c": {"d": 1}}, "e.f": "text", "g": True}
    assert answer_text(submission, "a.b.c.d") == "1"
    assert answer_text(submission, "e.f") == "text"
    assert answer_text(submission, "g") == "true"
    assert answer_text(submission, "a.x") is None
    assert answer_text(["a"], "a") is None


class Crash(BaseException):
    """The process has died."""


class MortalLog(MemoryLog):
    """A log whose process dies once, right after an event of a kind is durable for the so many-th time."""

    def __init__(self, kind: type[Event], times: int) -> None:
        super().__init__()
        self._kind = kind
        self._left = times

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        outcomes = super().commit(batch)
        before = self._left
        self._left -= sum(isinstance(new.event, self._kind) for request in batch for new in request.events)
        if before > 0 >= self._left:
            raise Crash
        return outcomes


@pytest.mark.parametrize(
    ("kind", "times"), [(UnitCompleted, 1), (UnitCompleted, 2), (AssignmentExtended, 1), (AssignmentSettled, 1)]
)
async def test_a_killed_operator_opens_nothing_twice_and_forgets_nothing(
    kind: type[Event], times: int, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    log, answers = MortalLog(kind, times), ("cat", "dog", "dog")
    with pytest.raises(BaseExceptionGroup) as died:
        await work_until_death(tmp_path, log, answers)
    assert died.value.subgroup(Crash)
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(shared(1), resume_incomplete_run=True)
        await answer_all(harness.router(live_run), answers)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert [[type(event) for event in events] for events in decided(log).values()] == [
            [AssignmentExtended, AssignmentSettled]
        ]
        assert harness.statuses("unit") == {"completed": 3}


async def work_until_death(path: Path, log: MemoryLog, answers: Sequence[str]) -> None:
    async with open_harness(path, log) as harness:
        await answer_all(harness.router(await harness.launch(shared(1))), answers)
        await trio.sleep_forever()


async def answer_all(router: MemoryRouter, answers: Sequence[str]) -> None:
    """Give the answers that are not there yet, each by a worker of its own, as long as the run is live."""
    for number, label in enumerate(answers):
        worker = f"worker-{number}"
        with suppress(PageGoneError):
            details = await ask(router, worker)
            while details["agent_id"] is None:
                # A unit may follow once the answers that are there are durable.
                await trio.sleep(1)
                details = await ask(router, worker)
            router.submit_task(details["agent_id"], {"label": label})
