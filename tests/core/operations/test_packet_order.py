"""The order of a channel's packets, and requests that overtake a large one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.core.opaque_json import LARGE_BODY_BYTES
from mephisto_es.core.operations.packet_commands import WAITING_LIMIT, PacketCommand, PacketOrder
from mephisto_es.events.agent import AgentSubmitted, AgentUpdateReceived
from mephisto_es.events.ids import WorkerId

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, on_the_loop, open_harness

T = TypeVar("T")

LARGE = {"answer": "x" * LARGE_BODY_BYTES}
ANN, BOB = WorkerId(1), WorkerId(2)


class HeldCheck:
    """Makes blocking calls, and holds the result of the check of a packet until it is released."""

    def __init__(self) -> None:
        self.has_begun = trio.Event()
        self.released = trio.Event()

    async def __call__(self, call: Callable[[], T], /) -> T:
        result = await on_the_loop(call)
        if isinstance(result, PacketCommand):
            self.has_begun.set()
            await self.released.wait()
        return result


@asynccontextmanager
async def held_submission(path: Path) -> AsyncIterator[tuple[OperatorHarness, MemoryRouter, HeldCheck, dict[str, str]]]:
    """A run of which a large submission of ann is being checked; bob is at work, too."""
    check = HeldCheck()
    async with open_harness(path, offload=check) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(4)))
        router = harness.router(live_run)
        agents = {worker: (await ask(router, worker))["agent_id"] for worker in ("ann", "bob")}
        router.submit_task(agents["ann"], LARGE)
        await check.has_begun.wait()
        yield harness, router, check, agents
        await harness.operator.force_shutdown()


def recorded(harness: OperatorHarness) -> list[type]:
    events = [one.envelope.event for one in harness.log.read()]
    return [type(event) for event in events if isinstance(event, AgentSubmitted | AgentUpdateReceived)]


async def test_others_get_an_agent_while_a_large_submission_is_checked(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with held_submission(tmp_path) as (harness, router, check, _):
        assert (await ask(router, "cyd"))["agent_id"] is not None
        assert recorded(harness) == []
        assert router.unacknowledged == 1
        check.released.set()
        await trio.testing.wait_all_tasks_blocked()
        assert recorded(harness) == [AgentSubmitted]
        assert router.unacknowledged == 0


@pytest.mark.parametrize("visit", [0, 1], ids=["reload", "next unit"])
async def test_a_worker_finds_what_they_have_just_submitted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, visit: int
) -> None:
    async with held_submission(tmp_path) as (harness, router, check, _):
        answers: list[dict[str, Any]] = []

        async def reload() -> None:
            answers.append(await ask(router, "ann", visit))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload)
            await trio.testing.wait_all_tasks_blocked()
            assert answers == []
            check.released.set()
        assert recorded(harness) == [AgentSubmitted]
        [answer] = answers
        assert answer["status"] == ("in task" if visit else "completed")


async def test_packets_behind_a_large_one_are_recorded_after_it_in_order(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with held_submission(tmp_path) as (harness, router, check, agents):
        router.send_live_update(agents["bob"], {"text": "hello", "update_id": "1"})
        answers: list[dict[str, Any]] = []

        async def reload() -> None:
            answers.append(await ask(router, "bob"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload)
            await trio.testing.wait_all_tasks_blocked()
            assert (recorded(harness), answers, router.unacknowledged) == ([], [], 2)
            check.released.set()
        assert recorded(harness) == [AgentSubmitted, AgentUpdateReceived]
        assert answers[0]["agent_id"] == agents["bob"]


async def test_a_worker_sees_the_submission_on_their_own_page(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with held_submission(tmp_path) as (_, router, check, _):
        page = (await ask(router, "bob"))["worker_page"]
        shown: list[object] = []

        async def open_page() -> None:
            shown.append(await router.request_worker_page(page))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_page)
            await trio.testing.wait_all_tasks_blocked()
            assert shown == []
            check.released.set()
        assert shown


async def test_only_so_many_packets_wait(autojump_clock: trio.testing.MockClock) -> None:
    handled: list[int] = []
    released = trio.Event()

    async def handle(number: int) -> None:
        await released.wait()
        handled.append(number)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            order = PacketOrder(nursery)
            for number in range(WAITING_LIMIT):
                await order.add(partial(handle, number), ANN)
            nursery.start_soon(order.add, partial(handle, WAITING_LIMIT), BOB)
            await trio.testing.wait_all_tasks_blocked()
            await order.wait_handled(BOB)  # it has no place yet
            released.set()
            await order.wait_handled(ANN)
            assert handled[:WAITING_LIMIT] == list(range(WAITING_LIMIT))
        assert handled == list(range(WAITING_LIMIT + 1))
        assert order.is_idle
        await order.wait_all_handled()
