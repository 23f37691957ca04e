"""Workers who wait for each other: whom a newcomer joins, and what becomes of somebody whose partner leaves."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.events.engagement import RefusalReason, WorkerRefused
from mephisto_es.events.payment import PaymentOwed

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until


class Pairs(TaskRunner):
    """Two workers who submit independently."""

    is_concurrent = True


def pairs(count: int) -> HarnessTaskState:
    return HarnessTaskState(data=items(count, workers=2), runner=Pairs)


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


async def token_of(router: MemoryRouter, worker: str) -> str:
    return str((await ask(router, worker))["agent_id"])


def waiting(harness: OperatorHarness) -> list[str]:
    """Return the tokens of the agents that wait for a partner."""
    state = harness.operator.ledger.state
    return [agent.token for agent in state.agents.values() if agent.status.value == "waiting"]


def owed(log: MemoryLog) -> list[int]:
    """Return the amounts that are owed, in cents."""
    events = (recorded.envelope.event for recorded in log.read())
    return [event.amount_cents for event in events if isinstance(event, PaymentOwed)]


@pytest.mark.parametrize("leaves", ["returns", "disconnects"])
async def test_the_first_of_a_pair_leaves_and_nobody_waits_longer_than_one_arrival(
    leaves: str, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(pairs(60)))
        for number in range(3):
            await token_of(router, f"early {number}")
        [lonely] = waiting(harness)
        if leaves == "returns":
            router.return_task(lonely)
        else:
            router.disconnect(lonely)
        await until(harness, lambda: not waiting(harness))
        for number in range(50):
            newest = await token_of(router, f"late {number}")
            assert waiting(harness) in ([], [newest])
        await harness.operator.force_shutdown()


@pytest.mark.parametrize("seed", range(5))
async def test_nobody_is_paired_with_a_closed_page_and_nobody_with_an_open_one_is_passed_over(
    seed: int, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    chance = Random(seed)
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(pairs(60)))
        closed: set[str] = set()
        for number in range(40):
            there = [token for token in waiting(harness) if token not in closed]
            newest = await token_of(router, f"worker {number}")
            assert len(there) <= 1
            assert closed <= set(waiting(harness))
            assert (newest in waiting(harness)) == (not there)
            match chance.randrange(3):
                case 0 if newest in waiting(harness):
                    router.vanish(newest)
                    closed.add(newest)
                case 1 if closed:
                    token = chance.choice(sorted(closed))
                    closed.remove(token)
                    router.disconnect(token)
                    await until(harness, lambda gone=token: gone not in waiting(harness))  # type: ignore[misc]
        await harness.operator.force_shutdown()


async def test_a_page_that_comes_back_is_joined_before_those_who_came_later(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(pairs(5)))
        ann = await token_of(router, "ann")
        router.vanish(ann)
        bob = await token_of(router, "bob")
        assert waiting(harness) == [ann, bob]
        router.connect(ann)
        await token_of(router, "cyd")
        assert waiting(harness) == [bob]
        await harness.operator.force_shutdown()


async def test_the_last_unit_is_kept_for_a_newcomer_until_it_is_known_who_is_there(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(pairs(1)))
        ann = await token_of(router, "ann")
        router.vanish(ann)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, router, "bob")
            await trio.sleep(5)
            assert waiting(harness) == [ann]
            router.disconnect(ann)
        assert harness.statuses("agent") == {"disconnect": 1, "waiting": 1}
        [bob] = waiting(harness)
        router.vanish(bob)
        refused = await ask(router, "cyd")
        assert refused["failure_reason"] == refusal_text(RefusalReason.NO_AVAILABLE_UNITS)
        last = [one.envelope.event for one in harness.log.read() if isinstance(one.envelope.event, WorkerRefused)][-1]
        assert last.rule == "partner_present"
        await harness.operator.force_shutdown()


@pytest.mark.parametrize("approves", [False, True])
@pytest.mark.parametrize("ends", ["submits", "closes the page"])
async def test_a_partner_left_behind_is_paid_if_the_task_says_so_and_gets_new_work(
    ends: str, approves: bool, tmp_path: Path
) -> None:
    settings = {"maximum_units_per_worker": 1, "approve_left_partners": approves}
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(pairs(2), **settings))
        ann, bob = await token_of(router, "ann"), await token_of(router, "bob")
        router.return_task(ann)
        if ends == "submits":
            await until(harness, lambda: harness.statuses("agent").get("partner disconnect") == 1)
            router.submit_task(bob, {"said": "hello?"})
        else:
            router.disconnect(bob)
        final = "approved" if approves else "completed"
        await until(harness, lambda: harness.statuses("agent") == {"returned": 1, final: 1})
        assert harness.statuses("unit") == {
            "expired": 1,
            "launched": 2,
            "accepted" if approves else "completed": 1,
        }
        await until(harness, lambda: owed(harness.log) == [10] * approves)
        again = await ask(router, "bob", "again")
        assert again["agent_id"] not in (None, bob)
        await harness.operator.force_shutdown()


async def test_what_is_to_be_paid_to_a_partner_left_behind_survives_a_crash(tmp_path: Path) -> None:
    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(pairs(1)))
        ann, bob = await token_of(router, "ann"), await token_of(router, "bob")
        router.return_task(ann)
        router.disconnect(bob)
        await until(harness, lambda: harness.statuses("agent") == {"returned": 1, "completed": 1})
        await harness.operator.pause("as if it had crashed just then")
    for _ in range(2):
        async with open_harness(tmp_path, log) as harness:
            await harness.launch(pairs(1), resume_incomplete_run=True, approve_left_partners=True)
            await until(harness, lambda: harness.statuses("agent").get("approved") == 1)
            await harness.operator.pause("again")
    assert owed(log) == [10]
