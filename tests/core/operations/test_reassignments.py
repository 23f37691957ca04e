"""Reassignments: an assignment for several workers that somebody left is made again, but not forever."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Assignment
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import OutcomeUnknownError
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.events.assignment import AssignmentCreated
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.events.unit import UnitExpired

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until


class Pairs(TaskRunner):
    """Two workers who submit independently."""

    is_concurrent = True
    max_repeats = 2


class BrokenPairs(Pairs):
    """Two workers whose task code raises."""

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        raise ZeroDivisionError("secret words of an exception")


@pytest.fixture(autouse=True)
def _no_router_is_left() -> None:
    MemoryArchitect.routers.clear()


async def pair(router: MemoryRouter, *workers: str) -> list[str]:
    tokens = [(await ask(router, worker))["agent_id"] for worker in workers]
    assert all(tokens)
    return tokens


def assignments(harness: OperatorHarness) -> list[AssignmentCreated]:
    events = [recorded.envelope.event for recorded in harness.log.read()]
    return [event for event in events if isinstance(event, AssignmentCreated)]


async def test_what_was_left_is_made_once_more_and_not_for_the_same_people(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Pairs)))
        ann, bob = await pair(router, "ann", "bob")
        router.return_task(ann)
        await until(harness, lambda: harness.statuses("unit").get("launched") == 2)
        router.submit_task(bob, {"alone": True})
        for worker in ("ann", "bob"):
            refused = await ask(router, worker, "again")
            assert refused["failure_reason"] == refusal_text(RefusalReason.NO_AVAILABLE_UNITS)
        for token in await pair(router, "cyd", "dan"):
            router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"expired": 1, "completed": 3}
        first, second = assignments(harness)
        assert (first.number, first.data) == (second.number, second.data)


async def test_it_is_not_made_for_ever(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=Pairs)))
        for number in range(3):
            leaver, partner = await pair(router, f"leaver-{number}", f"partner-{number}")
            router.disconnect(leaver)
            await until(harness, lambda at=number: harness.statuses("agent").get("disconnect") == at + 1)  # type: ignore[misc]
            router.return_task(partner)
            if number < 2:
                await until(harness, lambda: harness.statuses("unit").get("launched") == 2)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert len(assignments(harness)) == 3
        assert harness.statuses("unit") == {"expired": 3, "completed": 3}


async def test_a_group_whose_code_breaks_is_not_made_again_but_offered_again(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(1, workers=2), runner=BrokenPairs)))
        await pair(router, "ann", "bob")
        await until(harness, lambda: harness.statuses("unit") == {"launched": 2})
        assert len(assignments(harness)) == 1
        assert harness.statuses("agent") == {"expired": 2}
        await harness.operator.shutdown()


async def test_a_run_that_is_taken_up_again_goes_on_where_it_was(tmp_path: Path) -> None:
    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(2, workers=2), runner=Pairs)))
        ann, _ = await pair(router, "ann", "bob")
        router.return_task(ann)
        await until(harness, lambda: harness.statuses("unit").get("launched") == 4)
    async with open_harness(tmp_path, log) as harness:
        shared = HarnessTaskState(data=items(2, workers=2), runner=Pairs)
        router = harness.router(await harness.launch(shared, resume_incomplete_run=True))
        for token in (*await pair(router, "cyd", "dan"), *await pair(router, "eve", "fay")):
            router.submit_task(token, {})
        router.return_task((await ask(router, "bob"))["agent_id"])
        with trio.fail_after(120):
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert [event.number for event in assignments(harness)] == [0, 1, 0]
        assert harness.statuses("unit") == {"expired": 1, "completed": 5}


class Crash(BaseException):
    """The process has died."""


class DiesAfterExpiry(MemoryLog):
    """A log whose process dies once, when a unit has expired."""

    is_over = False

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        outcomes = super().commit(batch)
        expires = any(isinstance(new.event, UnitExpired) for request in batch for new in request.events)
        if expires and not self.is_over:
            self.is_over = True
            raise Crash
        return outcomes


async def test_what_was_left_just_before_a_crash_is_made_once_more_after_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    log, shared = DiesAfterExpiry(), HarnessTaskState(data=items(1, workers=2), runner=Pairs)
    with pytest.RaisesGroup(Crash, OutcomeUnknownError, flatten_subgroups=True):
        async with open_harness(tmp_path, log) as harness:
            router = harness.router(await harness.launch(shared))
            ann, bob = await pair(router, "ann", "bob")
            router.return_task(ann)
            await trio.sleep_forever()
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(shared, resume_incomplete_run=True))
        for token in (bob, *await pair(router, "cyd", "dan")):
            router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert [event.number for event in assignments(harness)] == [0, 0]
        assert harness.statuses("unit") == {"expired": 1, "completed": 3}
