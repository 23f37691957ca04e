"""Acknowledgements of outbox packets, which routers get for durable packets only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio
import trio.testing

from mephisto_es.core.operations.client_io_handler import ACK_EVERY
from mephisto_es.events.agent import AgentUpdateReceived

from .operator_harness import HarnessTaskState, ask, items, open_harness

T = TypeVar("T")


async def test_a_router_that_lost_its_outbox_is_not_told_to_forget_what_it_has_since(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk_is_slow = False  # a batch takes ten seconds then: five to look its commands up, and five to commit it

    async def slowly(call: Callable[[], T], /) -> T:
        await trio.sleep(5 if disk_is_slow else 0)
        return call()

    async with open_harness(tmp_path, offload=slowly) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
        disk_is_slow = True
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
        disk_is_slow = False
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
