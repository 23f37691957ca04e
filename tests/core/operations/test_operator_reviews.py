"""Reviewing and paying from the launch script while the run is live."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.crowd.payments import PaymentOrder
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.lifecycles.payment import PaymentStatus

from .operator_harness import HarnessProvider, HarnessTaskState, items, open_harness, until, work


class Generous(HarnessProvider):
    """A provider that pays immediately.

    Attributes:
        paid: the payments that it was asked for, by token.
    """

    paid: dict[str, PaymentOrder]

    async def pay(self, order: PaymentOrder) -> str:
        await trio.lowlevel.checkpoint()
        self.paid[order.token] = order
        return order.token

    async def has_arrived(self, reference: str) -> bool:
        await trio.lowlevel.checkpoint()
        return reference in self.paid


async def test_work_is_reviewed_and_paid_while_the_run_goes_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        operator = harness.operator
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        assert await work(harness.router(live_run), "Zoë", visits=1) == 1
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        (done,) = (one for one in operator.ledger.state.agents.values() if one.status.value == "completed")
        await operator.reviewer().approve_work(done.agent, "well done", bonus_cents=50)
        provider = Generous(live_run.config, live_run.blueprint.shared_state, live_run.provider.resources)
        provider.paid = {}
        paying_run = replace(live_run, context=replace(live_run.context, provider=provider))
        paymaster = operator.paymaster(paying_run)
        assert await paymaster.pay_owed(live_run.task_run) == 2
        assert await paymaster.confirm_sent(live_run.task_run) == 2
        assert {(one.worker_name, one.amount_cents, one.purpose) for one in provider.paid.values()} == {
            ("Zoë", 10, "pay"),
            ("Zoë", 50, "bonus"),
        }
        assert {one.status for one in operator.ledger.state.payments.values()} == {PaymentStatus.CONFIRMED}
        assert harness.statuses("task_run") == {"live": 1}


async def test_a_provider_that_does_not_pay_says_so(tmp_path: Path) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        with pytest.raises(ConfigError, match=r"the crowd provider 'harness' cannot pay workers.*mephisto-es ledger"):
            harness.operator.paymaster(live_run)
