"""Everybody is paid once at simulated sites, whatever is lost, throttled or late and however often the operator dies.

The paymaster, its log and the sites' clients are real; the sites run in the same process under a clock that jumps.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.fakes.clock import FakeClock
from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.site import DEFAULT_KEY, FakeConnect
from mephisto_es.adapters.fakes.faults import FaultPlan
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.connect.answers import ConnectProjectStatus
from mephisto_es.adapters.providers.connect.client import ConnectClient
from mephisto_es.adapters.providers.connect.payments import connect_payment
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.payments import prolific_payment
from mephisto_es.core.abstractions.crowd.effects import SendResult
from mephisto_es.core.abstractions.crowd.payments import PaymentEffect, PaymentOrder
from mephisto_es.core.decisions.settlement import BySendingAgain, Settlement
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.payment import BONUS, PaymentState, PaymentStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.operations.services.paymaster import Paymaster
from mephisto_es.core.operations.services.reviewer import Reviewer
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.events.payment import Sighting

from ...history_search import find_history
from .fake_sites import DONE, project_request, study_request

#: `SITE_SEEDS=1000` tries as many.
SEEDS = int(os.environ.get("SITE_SEEDS", "8"))
LIMITS = TransportLimits(patience_seconds=2)
#: Rounds of paying until nothing is left for a machine to do.
ROUNDS = 60
#: A wrong rule pays somebody twice in one of so many seeds.
SEEDS_UNTIL_SEEN = 30
HISTORY = find_history(
    600,
    lambda state: (
        sum(one.status is PaymentStatus.OWED and one.purpose == BONUS for one in state.payments.values()) > 2
        and sum(one.status is PaymentStatus.OWED for one in state.payments.values()) > 5
        and not any(worker.status is WorkerStatus.ERASED for worker in state.workers.values())
    ),
)


class PowerCutError(Exception):
    """The process ends here."""


class SiteTime:
    """The clock of a site, for the log."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now_us(self) -> int:
        return int(self._clock.now() * 1_000_000)


class FragileEffect:
    """An effect after whose request the process may end before the answer is recorded."""

    def __init__(self, effect: PaymentEffect, random: Random, settlement: Settlement | None) -> None:
        self._effect = effect
        self._random = random
        self.settlement = settlement or effect.settlement

    async def set_up(self) -> str | None:
        return await self._effect.set_up()

    async def send(self, token: str) -> SendResult:
        result = await self._effect.send(token)
        if self._random.random() < 0.1:
            raise PowerCutError
        return result

    async def look(self) -> Sighting | None:
        return await self._effect.look()


class Payer:
    """A site that pays, and its books.

    Attributes:
        clock: the site's clock.
        paid_cents: what an agent got by the site's own books, by purpose.
        settlement: a wrong rule in place of each effect's; None: the right ones.
    """

    def __init__(
        self,
        clock: FakeClock,
        effect: Callable[[PaymentOrder], PaymentEffect],
        paid_cents: Callable[[AgentId, str], int],
        random: Random,
    ) -> None:
        self.clock = clock
        self.paid_cents = paid_cents
        self.settlement: Settlement | None = None
        self._effect = effect
        self._random = random

    def payment_effect(self, order: PaymentOrder) -> FragileEffect:
        return FragileEffect(self._effect(order), self._random, self.settlement)


def plan(seed: int) -> FaultPlan:
    return FaultPlan(
        lost_before=0.07, lost_after=0.07, throttled=0.07, throttled_after=0.03, list_lag_seconds=60, seed=seed
    )


@asynccontextmanager
async def prolific_payer(seed: int, agents: Sequence[AgentId]) -> AsyncIterator[Payer]:
    site = FakeProlific(trio.current_time, seed=seed)
    random = Random(seed)
    async with ProlificClient(
        DEFAULT_TOKEN,
        random.random,
        base_url="http://localhost",
        limits=LIMITS,
        carrier=FakeCarrier(prolific_app(site)),
    ) as client:
        study = await client.studies.create(study_request(len(agents)))
        await client.studies.transition(study.id, StudyAction.PUBLISH)
        works = {}
        for agent in agents:
            works[agent] = site.submissions.reserve(site.studies.get(study.id), f"person {agent}")
            site.submissions.start(works[agent])
            site.submissions.enter_code(works[agent], DONE)
        site.clock.advance(3600)
        site.bonuses.lag_seconds = 600
        site.faults.follow(plan(seed))

        def effect(order: PaymentOrder) -> PaymentEffect:
            return prolific_payment(client, order._replace(handle=works[order.agent].id, study=study.id))

        def paid_cents(agent: AgentId, purpose: str) -> int:
            if purpose != BONUS:
                return works[agent].reward_paid
            setups = site.ledger.setups.values()
            return sum(
                cents * setup.payments for setup in setups for work, cents in setup.lines if work is works[agent]
            )

        yield Payer(site.clock, effect, paid_cents, random)


@asynccontextmanager
async def connect_payer(seed: int, agents: Sequence[AgentId]) -> AsyncIterator[Payer]:
    site = FakeConnect(trio.current_time, seed=seed)
    random = Random(seed)
    async with ConnectClient(
        DEFAULT_KEY, random.random, base_url="http://localhost", limits=LIMITS, carrier=FakeCarrier(connect_app(site))
    ) as client:
        project = (await client.projects.create(project_request(len(agents)))).project_id
        await client.projects.move(project, ConnectProjectStatus.LIVE)
        works = {}
        for agent in agents:
            works[agent] = site.assignments.accept(site.ledger.projects[project], f"person {agent}")
            site.assignments.complete(works[agent], None)
        site.clock.advance(3600)
        site.faults.follow(plan(seed))

        def effect(order: PaymentOrder) -> PaymentEffect:
            return connect_payment(client, order._replace(handle=works[order.agent].id, study=project))

        def paid_cents(agent: AgentId, purpose: str) -> int:
            return works[agent].bonus_cents if purpose == BONUS else works[agent].paid_cents

        yield Payer(site.clock, effect, paid_cents, random)


Site = Callable[[int, Sequence[AgentId]], AbstractAsyncContextManager[Payer]]
SITES: dict[str, Site] = {"prolific": prolific_payer, "connect": connect_payer}


@asynccontextmanager
async def open_ledger(log: MemoryLog, payer: Payer, epoch: int) -> AsyncIterator[tuple[Ledger, SystemIds]]:
    ledger = Ledger(log, SiteTime(payer.clock), commit_in_thread)
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.run)
        yield ledger, SystemIds(ledger.state.highest_ids(), epoch)
        nursery.cancel_scope.cancel()


def owed(log: MemoryLog, payer_clock: FakeClock) -> dict[TaskRunId, list[PaymentState]]:
    """Return the payments that nobody has tried yet, by run, of agents of whom the site has no books yet."""
    found: dict[TaskRunId, list[PaymentState]] = {}
    ledger = Ledger(log, SiteTime(payer_clock), commit_in_thread)
    untried = {PaymentStatus.OWED, PaymentStatus.WITHDRAWN}
    tried = {one.agent for one in ledger.state.payments.values() if one.status not in untried}
    for stream, payment in ledger.state.payments.items():
        if payment.status is PaymentStatus.OWED and payment.agent not in tried:
            found.setdefault(TaskRunId(int(stream.split("/")[1])), []).append(payment)
    return found


async def pay_round(log: MemoryLog, payer: Payer, epoch: int, wanted: dict[TaskRunId, list[PaymentState]]) -> bool:
    """Pay and confirm once, as one process; return True once every payment is confirmed."""
    async with open_ledger(log, payer, epoch) as (ledger, ids):
        paymaster = Paymaster(ledger, ids, payer)
        for run, payments in wanted.items():
            try:
                await paymaster.pay_owed(run, only={one.payment for one in payments})
                await paymaster.confirm_sent(run)
            except PowerCutError:
                return False
        return all(one.status is PaymentStatus.CONFIRMED for one in states(ledger, wanted))


def states(ledger: Ledger, wanted: dict[TaskRunId, list[PaymentState]]) -> list[PaymentState]:
    return [ledger.state.payments[f"payment/{run}/{one.payment}"] for run, of_run in wanted.items() for one in of_run]


async def settle_by_looking(
    log: MemoryLog, payer: Payer, epoch: int, wanted: dict[TaskRunId, list[PaymentState]]
) -> None:
    """Decide as a person who reads the site's pages, about what has stayed in doubt."""
    async with open_ledger(log, payer, 1000 + epoch) as (ledger, ids):
        reviewer = Reviewer(ledger, ids)
        for one in states(ledger, wanted):
            if one.status is PaymentStatus.IN_DOUBT:
                others = [other for other in states(ledger, wanted) if other.agent == one.agent]
                known = sum(
                    other.amount_cents
                    for other in others
                    if other.purpose == one.purpose and other.status in {PaymentStatus.CONFIRMED, PaymentStatus.SENT}
                )
                is_paid = payer.paid_cents(one.agent, one.purpose) > known
                await reviewer.settle_payment(one.payment, is_paid=is_paid, reason="read on the site")


async def pay_all(
    name: str, seed: int, *, wrong: Settlement | None = None
) -> tuple[list[PaymentState], dict[tuple[AgentId, str], int], Payer]:
    """Pay until everything is confirmed; the payments and, by agent and purpose, what the site's books say."""
    log = MemoryLog()
    log.commit(HISTORY)
    wanted = owed(log, FakeClock(trio.current_time))
    agents = sorted({one.agent for of_run in wanted.values() for one in of_run})
    async with SITES[name](seed, agents) as payer:
        payer.settlement = wrong
        random = Random(seed)
        for epoch in range(1, ROUNDS):
            if await pay_round(log, payer, epoch, wanted):
                break
            payer.clock.advance(random.choice([60, 600, 3600, 26 * 3600]))
            if epoch % 10 == 0:
                await settle_by_looking(log, payer, epoch, wanted)
        async with open_ledger(log, payer, 999) as (ledger, _):
            paid = {
                (one.agent, one.purpose): payer.paid_cents(one.agent, one.purpose) for one in states(ledger, wanted)
            }
            return states(ledger, wanted), paid, payer


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_everybody_is_paid_once(name: str, seed: int, autojump_clock: MockClock) -> None:
    payments, paid, _ = await pay_all(name, seed)
    assert {one.status for one in payments} == {PaymentStatus.CONFIRMED}
    for (agent, purpose), cents in paid.items():
        due = [one.amount_cents for one in payments if (one.agent, one.purpose) == (agent, purpose)]
        # The reward is the study's, whatever this log's units are worth.
        assert cents == (sum(due) if purpose == BONUS else 150)


@pytest.mark.parametrize("name", SITES)
async def test_a_rule_that_repeats_blindly_pays_twice(name: str, autojump_clock: MockClock) -> None:
    """Paying as if tokens were kept for ever: the log says that all is well, and the money is gone."""
    for seed in range(SEEDS_UNTIL_SEEN):
        payments, paid, _ = await pay_all(name, seed, wrong=BySendingAgain())
        due = sum(one.amount_cents for one in payments if one.purpose == BONUS)
        if sum(cents for (_, purpose), cents in paid.items() if purpose == BONUS) > due:
            return
    raise AssertionError("nobody was paid twice")
