"""A run with several routers: pages move between them, and a router that is lost takes nobody's work away."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect, MemoryChannel
from mephisto_es.adapters.architects.memory.router import Json, MemoryPageSocket, MemoryRouter
from mephisto_es.core.abstractions.agent import Agent
from mephisto_es.core.abstractions.channel import (
    SILENT_SECONDS,
    Channel,
    OnCatastrophicDisconnect,
    OnChannelOpen,
    OnMessage,
)
from mephisto_es.core.abstractions.task_runner import TaskRunner
from mephisto_es.core.abstractions.work.handles import Unit
from mephisto_es.core.operations.page_presence import PageAbsence, PagePresence
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.router_reports import UNCLEAR_SECONDS

from .operator_harness import HarnessTaskState, OperatorHarness, ask, config, items, open_harness, until


class TwoRouters(MemoryArchitect):
    """A second router beside the first."""

    ARCHITECT_TYPE: ClassVar[str] = "two routers"
    second_class: ClassVar[type[MemoryRouter]] = MemoryRouter
    seconds: ClassVar[list[MemoryRouter]] = []
    channels: ClassVar[list[MemoryChannel]] = []

    def get_channels(
        self,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> list[Channel]:
        second = self.second_class("second")
        routers = (self.routers[self.task_run], second)
        callbacks = (on_channel_open, on_catastrophic_disconnect, on_message)
        self.seconds.append(second)
        self.channels[:] = [MemoryChannel(name, router, *callbacks) for name, router in zip("ab", routers, strict=True)]
        return list(self.channels)


class Silent(MemoryRouter):
    """A router that has not said yet which pages it watches."""

    def take(self, packet: Json) -> None:
        if packet["packet_type"] == "agents":
            self.statuses = dict(packet["data"]["agents"])
        else:
            super().take(packet)


class Echo(TaskRunner):
    """Answers whatever a page says."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        while True:
            said = await agent.get_live_update()
            assert said is not None
            await agent.observe({"echo": said["text"]})


register_mephisto_abstraction()(TwoRouters)


async def launch(
    harness: OperatorHarness, second: type[MemoryRouter] = MemoryRouter
) -> tuple[MemoryRouter, MemoryRouter]:
    TwoRouters.second_class = second
    task = config()
    task.architect._architect_type = TwoRouters.ARCHITECT_TYPE
    await harness.operator.launch_task_run_or_die(task, HarnessTaskState(data=items(3), runner=Echo))
    [live_run] = harness.operator.get_running_task_runs().values()
    return harness.router(live_run), TwoRouters.seconds[-1]


def status_of(harness: OperatorHarness, token: str) -> str:
    state = harness.operator.ledger.state
    [agent] = [found for run in state.runs if (found := state.agent_by_token(run, token))]
    return str(agent.status.value)


async def echo_at(socket: MemoryPageSocket) -> str:
    while True:
        packet = await socket.receive()
        if packet["packet_type"] == "client_bound_live_update":
            return str(packet["data"]["echo"])


async def test_a_page_moves_to_another_router_and_its_updates_follow(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        a, b = await launch(harness)
        token = str((await ask(a, "ann"))["agent_id"])
        at_a = a.connect(token)
        a.send_live_update(token, {"text": "one", "update_id": "1"})
        assert await echo_at(at_a) == "one"

        at_b = b.connect(token)  # every router knows every agent
        assert await echo_at(at_b) == "one"  # what the page may have missed on its way
        b.send_live_update(token, {"text": "two", "update_id": "2"})
        assert await echo_at(at_b) == "two"
        a.disconnect(token)  # the router that it has left misses it
        b.send_live_update(token, {"text": "three", "update_id": "3"})
        assert await echo_at(at_b) == "three"
        await trio.sleep(100)
        assert status_of(harness, token) == "in task"
        b.send_live_update(token, {"text": "four", "update_id": "4"})
        assert await echo_at(at_b) == "four"
        seen_at_a: list[str] = []
        with trio.move_on_after(100):
            while True:
                seen_at_a.append(await echo_at(at_a))
        assert "four" not in seen_at_a

        b.disconnect(token)
        await until(harness, lambda: status_of(harness, token) == "disconnect")
        await harness.operator.force_shutdown()


async def test_the_run_continues_with_the_routers_that_are_left(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        a, b = await launch(harness)
        token = str((await ask(a, "ann"))["agent_id"])
        at_a = a.connect(token)
        a.send_live_update(token, {"text": "one", "update_id": "1"})
        assert await echo_at(at_a) == "one"
        lost = TwoRouters.channels[0]
        lost.close()
        lost.on_catastrophic_disconnect(lost.channel_id)
        b.send_live_update(token, {"text": "two", "update_id": "2"})
        await trio.sleep(1)
        at_b = b.connect(token)
        assert [await echo_at(at_b) for _ in range(2)] == ["one", "two"]
        b.submit_task(token, {"answer": 1})
        await until(harness, lambda: status_of(harness, token) == "completed")
        for worker in ("ben", "cem"):
            b.submit_task(str((await ask(b, worker))["agent_id"]), {"answer": 2})
        await until(harness, lambda: harness.statuses("unit") == {"completed": 3})


async def test_a_page_that_a_router_misses_while_another_one_is_away_gets_time_to_show_itself(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        a, b = await launch(harness, Silent)
        stays, leaves = [str((await ask(a, worker))["agent_id"]) for worker in ("ann", "ben")]
        for token in (stays, leaves):
            a.connect(token)
        for token in (stays, leaves):
            a.disconnect(token)
        await trio.sleep(UNCLEAR_SECONDS - 1)
        assert [status_of(harness, token) for token in (stays, leaves)] == ["in task"] * 2
        b.connect(stays)
        await until(harness, lambda: status_of(harness, leaves) == "disconnect")
        assert status_of(harness, stays) == "in task"
        await harness.operator.force_shutdown()


async def test_a_page_may_be_at_a_router_that_is_cut_off(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """A router was killed while the other one could not be reached, and missed the pages that had moved there."""
    async with open_harness(tmp_path) as harness:
        a, b = await launch(harness)
        token = str((await ask(b, "ann"))["agent_id"])
        b.connect(token)
        TwoRouters.channels[0].close()
        a.connect(token)
        b.disconnect(token)
        await trio.sleep(UNCLEAR_SECONDS - 1)
        assert status_of(harness, token) == "in task"
        await until(harness, lambda: status_of(harness, token) == "disconnect")
        await harness.operator.force_shutdown()


class Muted(MemoryRouter):
    """A router whose connection may be dead without the operator noticing: what it sends is lost."""

    is_muted = False

    def _send(self, packet: Json) -> None:
        if not self.is_muted:
            super()._send(packet)


async def test_a_page_may_be_at_a_router_whose_connection_is_dead_already(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        a, b = await launch(harness, Muted)
        assert isinstance(b, Muted)
        token = str((await ask(a, "ann"))["agent_id"])
        a.connect(token)
        b.is_muted = True
        b.connect(token)
        a.disconnect(token)
        await trio.sleep(SILENT_SECONDS - 1)
        TwoRouters.channels[1].close()  # it was noticed
        await trio.sleep(UNCLEAR_SECONDS - 1)
        assert status_of(harness, token) == "in task"
        await until(harness, lambda: status_of(harness, token) == "disconnect")
        await harness.operator.force_shutdown()


async def test_a_page_that_no_router_has_is_gone_once_no_connection_can_be_dead(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        a, _ = await launch(harness)
        token = str((await ask(a, "ann"))["agent_id"])
        a.connect(token)
        a.disconnect(token)
        began = trio.current_time()
        await until(harness, lambda: status_of(harness, token) == "disconnect")
        assert SILENT_SECONDS <= trio.current_time() - began < UNCLEAR_SECONDS
        await harness.operator.force_shutdown()


def presence(*heard: str) -> PagePresence:
    made = PagePresence()
    for channel in ("a", "b"):
        made.add_channel(channel)
    for channel in heard:
        made.list_pages(channel, [])
    return made


def test_a_page_is_gone_when_the_last_router_that_watched_it_misses_it() -> None:
    pages = presence("a", "b")
    assert pages.see("t", "a")
    assert not pages.see("t", "a")
    assert pages.see("t", "b")
    assert pages.miss("t", "a", ()) is PageAbsence.ELSEWHERE
    assert pages.places("t") == {"b"}
    assert pages.miss("t", "b", ()) is PageAbsence.LIKELY
    assert pages.is_unclear("t")
    assert pages.settle("t")
    assert presence("a", "b").miss("t", "a", ()) is PageAbsence.LIKELY  # nobody has ever seen it


def test_the_pages_of_a_router_that_is_lost_for_good_get_time_to_move() -> None:
    pages = presence("a", "b")
    for token in ("t", "u"):
        pages.see(token, "a")
    pages.lose_channel("a")
    assert pages.miss("t", "b", []) is PageAbsence.UNCLEAR
    assert pages.settle("t")
    pages.see("u", "b")
    assert pages.miss("u", "b", []) is PageAbsence.GONE


def test_a_router_that_has_not_said_what_it_watches_may_have_any_page() -> None:
    pages = presence("a")
    pages.see("t", "a")
    assert pages.miss("t", "a", ()) is PageAbsence.UNCLEAR
    assert pages.settle("t")
    assert not pages.settle("t")
    pages.miss("t", "a", ())
    pages.see("t", "b")
    assert not pages.settle("t")
    pages.restart("b")
    pages.see("t", "a")
    assert pages.miss("t", "a", ()) is PageAbsence.UNCLEAR
    pages.list_pages("b", ["t"])  # it was there all the time
    assert not pages.settle("t")
    assert pages.miss("t", "a", ()) is PageAbsence.ELSEWHERE
    # It is restarted, and does not say anything: what it had before it may have lost.
    pages.restart("b")
    assert pages.miss("t", "a", ()) is PageAbsence.UNCLEAR
    pages.list_pages("b", [])
    assert pages.miss("t", "a", ()) is PageAbsence.LIKELY
    # It cannot be reached: what it said before does not count.
    assert pages.miss("t", "a", ["b"]) is PageAbsence.UNCLEAR
    pages.see("t", "b")
    pages.lose_channel("b")
    assert pages.places("t") == set()
    assert pages.miss("t", "a", ()) is PageAbsence.UNCLEAR
    assert pages.settle("t")


def test_a_page_that_asked_again_elsewhere_and_needs_no_socket_is_not_gone() -> None:
    pages = presence("a", "b")
    pages.answer("t", "b")
    assert pages.miss("t", "a", ()) is PageAbsence.ELSEWHERE
    assert pages.miss("t", "b", ()) is PageAbsence.LIKELY
    # One that has had a socket needs one: it has a while to open it there.
    pages.see("t", "a")
    pages.answer("t", "b")
    assert pages.miss("t", "a", ()) is PageAbsence.UNCLEAR
    pages.drop("t")
    assert not pages.settle("t")
