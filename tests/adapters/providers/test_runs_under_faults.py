"""Whole runs on simulated sites that lose, delay and throttle answers, with an operator that dies again and again.

`SITE_SEEDS=1000` tries as many seeds; `make sites` does that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import chain, repeat
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import PageGoneError, UnknownPageError
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.faults import FaultPlan
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import CommandRefusedError, LaunchError, LogError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.payment import BONUS, PAY, UNPAID_STATUSES, PaymentStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.services.provider_places import place_of_agent
from mephisto_es.core.operations.services.resource_release import held_resources
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.events.ids import AgentId, TaskRunId

from .site_run import Participant, SiteRun, open_site_run, write_accounts

SEEDS = int(os.environ.get("SITE_SEEDS", "1"))
UNITS, PEOPLE = 4, 20
BONUS_CENTS = 30
#: Covers the units and their bonuses with each site's fee, and not one unit more.
BUDGET_CENTS = 1000
#: More seconds than a place may be held without work being submitted.
ABANDONED_AFTER_SECONDS = 3 * 3600
#: Seconds until Prolific shows a bonus that it pays.
BONUS_LAG_SECONDS = 600
#: More events than the first operator of a run records.
BOUNDARIES = 120
#: Settling rounds after which something never will be.
ROUNDS = 60


class PowerCutError(LogError):
    """The operator's process ends here."""


class CutLog(MemoryLog):
    """A log whose writer's process ends with a certain event, just before or just after it is durable."""

    def __init__(self, random: Random, *, cuts_before: bool | None) -> None:
        super().__init__()
        self._random = random
        #: False: the event is durable; None: either by chance.
        self._cuts_before = cuts_before
        self._cut_at: int | None = None
        self._is_off = False

    def open_again(self, cut_after: int | None) -> None:
        """Let another process write, which ends after so many further events; None: it lives on."""
        self._is_off = False
        self._cut_at = None if cut_after is None else self.head().seq + cut_after

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        events = sum(len(request.events) for request in batch)
        if self._is_off or (self._cut_at is not None and self.head().seq + events >= self._cut_at):
            is_durable = self._random.random() < 0.5 if self._cuts_before is None else not self._cuts_before
            if not self._is_off and is_durable:
                super().commit(batch)
            self._is_off = True
            raise PowerCutError("the power is cut")
        return super().commit(batch)


def plan(seed: int) -> FaultPlan:
    return FaultPlan(
        lost_before=0.04, lost_after=0.06, throttled=0.07, throttled_after=0.03, list_lag_seconds=60, seed=seed
    )


class Job:
    """One job on a site: operators that live and die, people who come, and what is paid in the end.

    Attributes:
        SETTINGS: the run's settings.
        BUDGET_CENTS: the run's budget.
        RETURNED_AFTER_SECONDS: the longest time after which somebody returns the work.
    """

    SETTINGS: ClassVar[Mapping[str, object]] = {"max_num_concurrent_units": 3, "budget": "10.00"}
    BUDGET_CENTS: ClassVar[int] = BUDGET_CENTS
    RETURNED_AFTER_SECONDS: ClassVar[float] = 0

    def __init__(
        self, kind: str, seed: int, folder: Path, cuts: Iterator[int | None], *, cuts_before: bool | None = None
    ) -> None:
        self._kind = kind
        self._folder = folder
        self._cuts = cuts
        self.random = Random(seed)
        make = FakeProlific if kind == "prolific" else FakeConnect
        self.site: FakeProlific | FakeConnect = make(trio.current_time, plan=plan(seed), seed=seed)
        if isinstance(self.site, FakeProlific):
            self.site.bonuses.lag_seconds = BONUS_LAG_SECONDS
        self._balance = self.site.ledger.balance
        self.log = CutLog(self.random, cuts_before=cuts_before)
        self.lives = 0
        #: Agents whose bonus the site cannot pay, and a person has paid by other means.
        self.paid_elsewhere: set[AgentId] = set()
        self._is_over = trio.Event()

    async def do(self) -> None:
        """Run the job, review and pay it, and check what came of it."""
        MemoryArchitect.routers.clear()
        async with trio.open_nursery() as people:
            for number in range(PEOPLE):
                people.start_soon(self._person, number)
            await self._live_until_ended()
            self._is_over.set()
            people.cancel_scope.cancel()
        await self._settle()
        # Whoever had taken a place and found no work holds it, and its money, until the time is up.
        await trio.sleep(ABANDONED_AFTER_SECONDS)
        self.site.agenda.run_due()
        async with self._open(None) as run:
            self.site.faults.follow(FaultPlan())
            await self._release_the_rest(run)
            await self._check(run)

    def _open(self, cut_after: int | None) -> AbstractAsyncContextManager[SiteRun]:
        self.lives += 1
        self.log.open_again(cut_after)
        return open_site_run(self._kind, self._folder, self.site, self.log)

    async def _live_until_ended(self) -> None:
        """Live as many operators as it takes."""
        while True:
            try:
                async with self._open(next(self._cuts)) as run:
                    operator = run.harness.operator
                    runs = operator.ledger.state.task_runs.values()
                    if any(one.status is TaskRunStatus.COMPLETED for one in runs):
                        return  # the power was cut just after that was recorded
                    live = await run.launch(UNITS, resume_incomplete_run=True, **self.SETTINGS)
                    await operator.runs.wait_until_all_ended()
                    if operator.run_status(live.task_run) is TaskRunStatus.COMPLETED:
                        return
            except* (LogError, LaunchError):
                pass
            await trio.sleep(self.random.uniform(0, 120))

    async def _settle(self) -> None:
        """Approve everything and pay, with whatever dies meanwhile, until nothing is left to pay."""
        for number in range(ROUNDS):
            try:
                async with self._open(next(self._cuts) if number < 5 else None) as run:
                    await self.review(run)
                    with suppress(CommandRefusedError):
                        await run.settle(last_run(run))
                    payments = run.harness.operator.ledger.state.payments.values()
                    if payments and {one.status for one in payments} == {PaymentStatus.CONFIRMED}:
                        return
                    if number % 5 == 4:
                        # Not before the site shows everything: a person who looks too early pays twice.
                        await trio.sleep(BONUS_LAG_SECONDS)
                        await self.decide(run)
            except* LogError:
                pass
            await trio.sleep(self.random.choice([60, 600, 3600, 26 * 3600]))

    async def review(self, run: SiteRun) -> None:
        """Decide about all work that waits for a verdict."""
        operator = run.harness.operator
        for agent in list(operator.ledger.state.agents.values()):
            if agent.status is AgentStatus.COMPLETED:
                bonus = BONUS_CENTS if agent.agent % 2 else 0
                await operator.reviewer().approve_work(agent.agent, bonus_cents=bonus)

    async def decide(self, run: SiteRun) -> None:
        """Decide as a person who reads the site's pages about what stays in doubt."""
        self.site.agenda.run_due()
        operator, shown = run.harness.operator, {work.id: work for work in run.works()}
        for payment in list(operator.ledger.state.payments.values()):
            if payment.status is PaymentStatus.IN_DOUBT:
                work = shown[handle_of(run, payment.agent)]
                is_paid = work.bonus_cents > 0 if payment.purpose == BONUS else work.reward_cents > 0
                await operator.reviewer().settle_payment(payment.payment, is_paid=is_paid, reason="read on the site")

    async def _person(self, number: int) -> None:
        """Come to the site again and again until there was work for the person, or the job is over."""
        random = Random(f"{number} {self.random.random()}")
        # At Connect, somebody who gives a place back cannot take another one in the same project.
        await trio.sleep(random.uniform(0, 200 if self._kind == "prolific" else 4000))
        while not self._is_over.is_set():
            router = next(reversed(MemoryArchitect.routers.values()), None)  # that of the last launch
            if router is not None:
                with suppress(PageGoneError, UnknownPageError):
                    person = Participant(self.site, f"person{number}")
                    taken = await person.reserve()
                    if taken is not None:
                        details = await router.request_agent(await person.open(taken))
                        if details["agent_id"] is None or random.random() < 0.2:
                            await trio.sleep(random.uniform(0, self.RETURNED_AFTER_SECONDS))
                            await person.give_back(taken)
                        else:
                            await trio.sleep(random.uniform(30, 400))
                            router.submit_task(details["agent_id"], {"answer": number})
                            await person.enter_code(taken)
                            return
            await trio.sleep(random.uniform(20, 90))

    async def _release_the_rest(self, run: SiteRun) -> None:
        """Release what the operator could not within its time, as `mephisto-es resources release` does."""
        for held in held_resources(run.harness.operator.ledger.log.read()):
            if held.resource_type in run.provider_class.RESOURCE_TYPES:
                await run.provider_class.release(held.details)
                await run.provider(held.task_run_id).resources.released(held.number, "released on request")

    def check_verdicts(self, run: SiteRun) -> None:
        """Check what was decided about the units."""
        units = run.harness.operator.ledger.state.units.values()
        assert sum(one.status is UnitStatus.ACCEPTED for one in units) == UNITS

    async def _check(self, run: SiteRun) -> None:
        state, task_run = run.harness.operator.ledger.state, last_run(run)
        self.check_verdicts(run)
        shown = {work.id: work for work in run.works()}
        for agent in state.agents.values():
            owed = {
                purpose: sum(
                    one.amount_cents
                    for one in state.payments.values()
                    if one.agent == agent.agent and one.purpose == purpose and one.agent not in self.paid_elsewhere
                )
                for purpose in (PAY, BONUS)
            }
            work = shown.pop(handle_of(run, agent.agent))
            assert (work.reward_cents, work.bonus_cents) == (owed[PAY], owed[BONUS]), (agent.agent, agent.status, work)
        assert not any(work.reward_cents or work.bonus_cents for work in shown.values())
        assert not any(one.status in UNPAID_STATUSES for one in state.payments.values())
        # What the account has lost, with the fees of its site.
        assert 0 < self._balance - self.site.ledger.balance <= self.BUDGET_CENTS, run.works()
        books = await run.books(task_run)
        assert books.faults == ()
        assert {one.partition(":")[0] for one in books.settled} == {f"agent-{agent}" for agent in self.paid_elsewhere}
        at_site = [one for one in state.resources.values() if one.resource_type in run.provider_class.RESOURCE_TYPES]
        assert {one.status.value for one in at_site} == {"released"}
        assert not open_offers(self.site)


def last_run(run: SiteRun) -> TaskRunId:
    return max(one.task_run for one in run.harness.operator.ledger.state.task_runs.values())


def open_offers(site: FakeProlific | FakeConnect) -> list[str]:
    """Return what the site would still give to somebody."""
    if isinstance(site, FakeProlific):
        return [one.id for one in site.ledger.studies.values() if one.status in {"ACTIVE", "PUBLISHING"}]
    return [one.id for one in site.ledger.projects.values() if one.status == "Live"]


def handle_of(run: SiteRun, agent: AgentId) -> str:
    place = place_of_agent(run.harness.operator.ledger, last_run(run), agent)
    assert place is not None
    return place.handle


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


@pytest.mark.parametrize("kind", ["prolific", "connect"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_each_worker_is_paid_once_whatever_happens(
    kind: str, seed: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    # One seed lets one operator after the other die.
    await Job(kind, seed, tmp_path, chain(range(2, 60, 2), repeat(None)) if seed == 0 else cuts(seed)).do()


@pytest.mark.parametrize("kind", ["prolific", "connect"])
@pytest.mark.parametrize("boundary", range(1, BOUNDARIES + 1) if SEEDS > 1 else [BOUNDARIES // 4])
async def test_an_operator_may_die_at_each_event_of_a_run(
    kind: str, boundary: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The same run again and again, in which the operator dies just before or after one event more each time."""
    await Job(kind, 0, tmp_path, chain([boundary], repeat(None)), cuts_before=boundary % 2 == 0).do()


def cuts(seed: int) -> Iterator[int | None]:
    """Yield after how many events of its own each operator dies."""
    random = Random(f"cuts {seed}")
    # A run has about a hundred events: most operators die in the middle, and the last ones may live.
    some = [random.randint(1, 90) for _ in range(random.randint(0, 4))]
    return chain(some, repeat(None))
