"""Payments: every worker is paid exactly once, whatever happens in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.crowd.payments import PaymentOrder, PaymentRefusedError
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.payment import UNPAID_STATUSES, PaymentStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.operations.services.paymaster import Paymaster
from mephisto_es.core.operations.services.reviewer import Reviewer
from mephisto_es.events.ids import TaskRunId

from ...history_search import find_history, holders

UNDER_WAY = (PaymentStatus.APPROVED, PaymentStatus.REQUESTED, PaymentStatus.IN_DOUBT, PaymentStatus.SENT)
HISTORY = find_history(
    500,
    lambda state: (
        any(unit.pay_cents for *_, unit in holders(state, AgentStatus.COMPLETED))
        and sum(payment.status in UNPAID_STATUSES for payment in state.payments.values()) > 5
        and not any(payment.status in UNDER_WAY for payment in state.payments.values())
        and not any(worker.status is WorkerStatus.ERASED for worker in state.workers.values())
    ),
)


class StoppedClock:
    """A clock that stands still."""

    def now_us(self) -> int:
        return 1_800_000_000_000_000


class PowerCutError(Exception):
    """The process ends here."""


class Bank:
    """Pays each token once. May stop answering before or after it has paid, or refuse.

    Attributes:
        paid: cents by token.
        asked: number of requests by token.
    """

    def __init__(self, troubles: list[str]) -> None:
        self.paid: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self._troubles = troubles

    async def pay(self, order: PaymentOrder) -> str:
        await trio.lowlevel.checkpoint()
        self.asked[order.token] += 1
        trouble = self._troubles.pop() if self._troubles else "none"
        if trouble == "before":
            raise PowerCutError
        if trouble == "no":
            raise PaymentRefusedError("no money left")
        assert order.worker_name
        assert self.paid.setdefault(order.token, order.amount_cents) == order.amount_cents
        if trouble == "after":
            raise PowerCutError
        return f"order {order.token}"

    async def has_arrived(self, reference: str) -> bool:
        await trio.lowlevel.checkpoint()
        trouble = self._troubles.pop() if self._troubles else "none"
        if trouble == "no":
            raise PaymentRefusedError("the account is closed")
        return trouble == "none" and reference.removeprefix("order ") in self.paid


@asynccontextmanager
async def open_ledger(log: MemoryLog, epoch: int) -> AsyncIterator[tuple[Ledger, SystemIds]]:
    ledger = Ledger(log, StoppedClock(), commit_in_thread)
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.run)
        yield ledger, SystemIds(ledger.state.highest_ids(), epoch)
        nursery.cancel_scope.cancel()


def busiest_run(ledger: Ledger) -> TaskRunId:
    runs = Counter(stream.split("/")[1] for stream in dict(ledger.state.payments.items()))
    return TaskRunId(int(runs.most_common(1)[0][0]))


async def pay_until_done(log: MemoryLog, bank: Bank, run: TaskRunId) -> None:
    """Start again after each power cut, as a new process would."""
    for epoch in range(2, 60):
        async with open_ledger(log, epoch) as (ledger, ids):
            try:
                await Paymaster(ledger, ids, bank).pay_owed(run)
            except PowerCutError:
                continue
            of_run = [one for stream, one in ledger.state.payments.items() if stream.startswith(f"payment/{run}/")]
            if not any(one.status in UNPAID_STATUSES for one in of_run):
                return
    raise AssertionError("it never came to an end")


@given(st.lists(st.sampled_from(["before", "after", "no", "none"]), max_size=25))
@settings(max_examples=40, deadline=None)
def test_everybody_is_paid_once_whatever_happens(troubles: list[str]) -> None:
    log, bank = MemoryLog(), Bank(troubles)
    log.commit(HISTORY)

    async def main() -> None:
        with trio.fail_after(120):
            async with open_ledger(log, 1) as (ledger, _):
                run = busiest_run(ledger)
                due = [
                    one.amount_cents
                    for stream, one in ledger.state.payments.items()
                    if stream.startswith(f"payment/{run}/") and one.status in UNPAID_STATUSES
                ]
            await pay_until_done(log, bank, run)
            assert sorted(bank.paid.values()) == sorted(due)

    trio.run(main)


async def test_the_wish_is_durable_before_the_provider_is_asked() -> None:
    log, bank = MemoryLog(), Bank(["before"])
    log.commit(HISTORY)
    async with open_ledger(log, 1) as (ledger, ids):
        run = busiest_run(ledger)
        with pytest.raises(PowerCutError):
            await Paymaster(ledger, ids, bank).pay_owed(run)
        (token,) = bank.asked
        assert [one.token for one in ledger.state.payments.values()].count(token) == 1
        last = list(log.read())[-1].envelope
        assert type(last.event).__name__ == "PaymentRequested"
        assert last.actor == "paymaster"
        await Paymaster(ledger, ids, bank).pay_owed(run)
        assert bank.asked[token] == 2


async def test_what_arrives_is_confirmed_and_what_comes_back_is_tried_again() -> None:
    troubles: list[str] = []
    log, bank = MemoryLog(), Bank(troubles)
    log.commit(HISTORY)
    async with open_ledger(log, 1) as (ledger, ids):
        run, paymaster = busiest_run(ledger), Paymaster(ledger, ids, bank)
        taken = await paymaster.pay_owed(run)
        assert taken > 1
        troubles.append("no")
        sent = [one for one in ledger.state.payments.values() if one.status is PaymentStatus.SENT]
        assert await paymaster.confirm_sent(run) == len(sent) - 1
        assert await paymaster.pay_owed(run) == 1
        assert await paymaster.confirm_sent(run) == 1
        assert await paymaster.pay_owed(run) == await paymaster.confirm_sent(run) == 0


@pytest.mark.parametrize(
    ("verdicts", "purposes"),
    [
        ([(Verdict.APPROVED, 70)], ["pay", "bonus"]),
        ([(Verdict.SOFT_REJECTED, 0)], ["pay"]),
        ([(Verdict.REJECTED, 0)], []),
        ([(Verdict.REJECTED, 0), (Verdict.APPROVED, 0)], ["pay"]),
        ([(Verdict.SOFT_REJECTED, 0), (Verdict.APPROVED, 30)], ["pay", "bonus"]),
    ],
)
async def test_a_verdict_owes_what_it_says_once(verdicts: list[tuple[Verdict, int]], purposes: list[str]) -> None:
    log = MemoryLog()
    log.commit(HISTORY)
    async with open_ledger(log, 1) as (ledger, ids):
        agent = next(one for _, one, unit in holders(ledger.state, AgentStatus.COMPLETED) if unit.pay_cents)
        reviewer = Reviewer(ledger, ids)
        before = len([one for one in ledger.state.payments.values() if one.agent == agent.agent])
        for verdict, bonus in verdicts:
            await reviewer.give_verdict(agent.agent, verdict, "a note", bonus)
        owed = [one for one in ledger.state.payments.values() if one.agent == agent.agent][before:]
        assert [one.purpose for one in owed] == purposes
        assert sum(one.amount_cents for one in owed if one.purpose == "bonus") == sum(bonus for _, bonus in verdicts)
