"""Acknowledgements of outbox packets, which routers get for durable packets only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
import trio.testing

from mephisto_es.core.operations.client_io_handler import ACK_EVERY
from mephisto_es.core.ports import Outcome

from .operator_harness import HarnessTaskState, ask, items, open_harness


async def test_a_router_that_lost_its_outbox_is_not_told_to_forget_what_it_has_since(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    disk_is_slow = False  # a commit takes ten seconds then

    async def slowly(commit: Callable[[], list[Outcome]]) -> list[Outcome]:
        await trio.sleep(10 if disk_is_slow else 0)
        return commit()

    async with open_harness(tmp_path, offload=slowly) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
        disk_is_slow = True
        for number in range(ACK_EVERY):
            router.send_live_update(ann, {"text": "hello", "update_id": str(number)})
        await trio.sleep(11)
        # It comes back with an empty disk while the last of them are being committed.
        router.lose_outbox()
        router.submit_task(bob, {})
        await trio.sleep(10)
        assert router.unacknowledged == 1
        await trio.sleep(10)
        assert router.unacknowledged == 0
        await harness.operator.force_shutdown()
