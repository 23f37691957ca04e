"""Acknowledgements of outbox packets, which routers get for durable packets only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryChannel
from mephisto_es.adapters.architects.memory.router import Json, MemoryRouter
from mephisto_es.core.operations.client_io_handler import ACK_EVERY
from mephisto_es.core.operations.router_reports import RouterOutboxes
from mephisto_es.core.packets import SYSTEM, AckData, Inbound, RouterState, RouterStateData
from mephisto_es.events.agent import AgentUpdateReceived

from .operator_harness import HarnessTaskState, ask, items, open_harness

T = TypeVar("T")


class Disk:
    """A disk that may be slow: a batch takes ten seconds then, five to look its commands up, and five to commit it."""

    is_slow = False

    async def call(self, call: Callable[[], T], /) -> T:
        await trio.sleep(5 if self.is_slow else 0)
        return call()


async def test_a_router_that_lost_its_outbox_is_not_told_to_forget_what_it_has_since(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = Disk()
    async with open_harness(tmp_path, offload=disk.call) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
        disk.is_slow = True
        for number in range(ACK_EVERY):
            router.send_live_update(ann, {"text": "hello", "update_id": str(number)})
            if number == 0:
                await trio.sleep(1)  # the others are in the second batch
        await trio.sleep(11)
        # It comes back with an empty disk while the last of them are being committed.
        router.lose_outbox()
        router.submit_task(bob, {})
        await trio.sleep(10)
        assert router.unacknowledged == 1
        await trio.sleep(11)
        assert router.unacknowledged == 0
        disk.is_slow = False
        await harness.operator.force_shutdown()


async def test_what_a_router_took_before_the_end_is_recorded(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        ann = (await ask(router, "ann"))["agent_id"]
        router.submit_task(ann, {})
        # The connection is lost before what follows has come through.
        connection = router._channel
        assert connection is not None
        router.detach(connection)
        router.send_live_update(ann, {"text": "one more word", "update_id": "1"})

        async def come_back() -> None:
            await trio.sleep(5)
            router.attach(connection)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_back)
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        recorded = [one.envelope.event for one in harness.log.read()]
        assert any(isinstance(event, AgentUpdateReceived) for event in recorded)
        assert harness.statuses("task_run") == {"completed": 1}


@pytest.mark.parametrize("seconds", [1, 22], ids=["the submission", "what came after it"])
async def test_a_run_ends_only_after_its_router_has_confirmed_an_empty_outbox(
    seconds: float, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk = Disk()
    async with open_harness(tmp_path, offload=disk.call) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        ann = (await ask(router, "ann"))["agent_id"]
        connection = router._channel
        assert isinstance(connection, MemoryChannel)
        disk.is_slow = True

        async def work() -> None:
            router.submit_task(ann, {})  # durable after 10 seconds; after 20 the routers are told to take nothing more
            await trio.sleep(11)
            if seconds > 11:
                router.send_live_update(ann, {"text": "one more word", "update_id": "1"})  # durable after 30 seconds

        async def lose_the_connection() -> None:
            """Lose an acknowledgement with the connection, which comes back later."""
            await trio.sleep(seconds)
            connection._attached = False
            router.detach(connection)
            await trio.sleep(40 - seconds)
            assert router.unacknowledged == 1
            connection._attached = True
            router.attach(connection)
            connection.on_channel_open(connection.channel_id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            nursery.start_soon(lose_the_connection)
            await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert router.unacknowledged == 0
        assert harness.statuses("task_run") == {"completed": 1}


class _Listener(MemoryRouter):
    """Keeps the types of the packets that it is sent."""

    def __init__(self) -> None:
        super().__init__("here")
        self.heard: list[str] = []

    def take(self, packet: Json) -> None:
        self.heard.append(packet["packet_type"])


def _leave(_channel: str) -> None:
    """Do nothing about a channel that has opened or is lost."""


async def _ignore(_channel: str, _packet: Inbound) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("first_unacked", "next_seq", "closed", "incarnation", "heard"),
    [
        (1, 3, False, "here", ["ack"]),
        (1, 3, True, "here", ["ack", "drain"]),
        (2, 4, True, "here", ["ack"]),
        (3, 4, True, "here", []),
        (None, 3, True, "here", []),
        (1, 3, True, "elsewhere", []),
        (1, 2, True, "here", []),
    ],
    ids=["all", "all of a closed one", "a part", "nothing", "empty", "another outbox", "lost its end"],
)
def test_what_a_router_still_holds_is_acknowledged_again_if_it_is_durable(
    first_unacked: int | None, next_seq: int, closed: bool, incarnation: str, heard: list[str]
) -> None:
    router = _Listener()
    channel = MemoryChannel("a", router, _leave, _leave, _ignore)
    channel._attached = True
    outboxes = RouterOutboxes()
    outboxes.note_durable("a", AckData("here", 2))
    state = RouterStateData(incarnation, next_seq, first_unacked, closed)
    outboxes.note_state(channel, RouterState(subject_id=SYSTEM, data=state))
    assert router.heard == heard
    assert outboxes.is_drained("a") == (closed and first_unacked is None)
