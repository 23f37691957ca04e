"""A run that pays for time: whoever returns work, or loses it through us, is paid for the time that the log shows."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from mephisto_es.core.abstractions.agent import Update
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.operations.services.worker_page import page_token
from mephisto_es.events.ids import WorkerId

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until


def owed(harness: OperatorHarness) -> list[int]:
    payments = harness.operator.ledger.state.payments.values()
    assert {one.status for one in payments} <= {PaymentStatus.OWED}
    return [one.amount_cents for one in payments]


async def test_returned_work_is_paid_for_its_time(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live = await harness.launch(HarnessTaskState(data=items(3)), pay_for_time="0.06", pay_for_time_limit="1")
        router = harness.router(live)
        details = await ask(router, "ann")
        await trio.sleep(150)
        router.return_task(details["agent_id"])
        await until(harness, lambda: bool(owed(harness)))
        assert owed(harness) == [15]
        page = await router.request_worker_page(page_token(harness.log.pseudonym_key, WorkerId(1)))
        [work] = page["work"]  # type: ignore[index]  # it is an object
        assert work["payments"] == [
            {"purpose": "bonus", "amount_cents": 15, "status": "owed", "reason": "Pay for 2 min 30 s of work."}
        ]


async def test_the_end_of_a_run_pays_everybody_at_work(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live = await harness.launch(HarnessTaskState(data=items(3)), pay_for_time="0.01", task_reward="0.02")
        router = harness.router(live)
        for name in ("ann", "bob"):
            await ask(router, name)
        await trio.sleep(30)
        await live.worker_pool.disconnect_active_agents("the lab is closed")
        await until(harness, lambda: len(owed(harness)) == 2)
        # Half a cent is a cent, and the reward is the limit.
        assert owed(harness) == [1, 1]


async def test_a_run_that_does_not_pay_for_time_pays_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live = await harness.launch(HarnessTaskState(data=items(3)))
        router = harness.router(live)
        details = await ask(router, "ann")
        await trio.sleep(150)
        router.return_task(details["agent_id"])
        await until(harness, lambda: "returned" in harness.statuses("agent"))
        await trio.sleep(10)
        assert owed(harness) == []


async def knows(data: Update) -> bool:
    return bool(data["outputs"].get("answer") == 42)


async def test_an_onboarding_that_was_not_passed_is_paid_for_its_time(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path, onboarding="knows") as harness:
        shared = HarnessTaskState(data=items(3), validate_onboarding=knows)
        live = await harness.launch(shared, pay_for_time="0.06", pay_for_time_limit="1")
        router = harness.router(live)
        for name, answer in (("ann", 41), ("bob", 42)):
            first = await ask(router, name)
            await trio.sleep(150)
            await router.submit_onboarding(first["agent_id"], {"answer": answer})
        await until(harness, lambda: bool(owed(harness)))
        await trio.sleep(10)
        assert owed(harness) == [15]
        # Whoever comes back is told the same as before.
        assert (await ask(router, "ann"))["agent_id"] is None
        page = await router.request_worker_page(page_token(harness.log.pseudonym_key, WorkerId(1)))
        [work] = page["work"]  # type: ignore[index]  # it is an object
        assert work["payments"][0]["reason"] == "Pay for 2 min 30 s of onboarding."
        assert harness.statuses("unit") == {"expired": 1, "assigned": 1, "launched": 2}
