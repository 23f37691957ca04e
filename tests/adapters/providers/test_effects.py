"""Orders at simulated sites, through the clients, with lost answers, throttling, lags and a driver that dies.

The sites run in the same process under a clock that jumps, so a seed takes milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from random import Random
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.books import FakeAssignment
from mephisto_es.adapters.fakes.connect.site import DEFAULT_KEY, FakeConnect
from mephisto_es.adapters.fakes.faults import FaultPlan
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.books import FakeSubmission
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from mephisto_es.adapters.fakes.sona.app import sona_app
from mephisto_es.adapters.fakes.sona.site import FakeSignUp, FakeSona
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.connect.answers import ConnectProjectStatus
from mephisto_es.adapters.providers.connect.assignments import BonusGrant, ReviewLine
from mephisto_es.adapters.providers.connect.client import ConnectClient
from mephisto_es.adapters.providers.connect.effects import (
    AssignmentBonus,
    AssignmentVerdict,
    ParticipantMessage,
    ProjectCreation,
)
from mephisto_es.adapters.providers.effects import CalledEffect, SiteCalls
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.studies import StudyAction
from mephisto_es.adapters.providers.prolific.api.submissions import BonusLine, RejectionCategory
from mephisto_es.adapters.providers.prolific.effects import StudyCreation, SubmissionBonus, SubmissionVerdict
from mephisto_es.adapters.providers.sona.client import SonaClient
from mephisto_es.adapters.providers.sona.effects import CreditGrant
from mephisto_es.adapters.providers.sona.study import SonaStudy
from mephisto_es.core.abstractions.crowd.effects import take_step
from mephisto_es.core.decisions.settlement import (
    FINAL_STEPS,
    SENDING_STEPS,
    Attempts,
    NextStep,
    before_step,
    next_step,
)
from mephisto_es.events.payment import Answer

from .fake_sites import DONE, project_request, study_request

#: `SITE_SEEDS=1000` tries as many.
SEEDS = int(os.environ.get("SITE_SEEDS", "40"))
LIMITS = TransportLimits(patience_seconds=2)
PEOPLE = ("anna", "bert", "cleo")
REASON = "All ten sentences got the same rating within four seconds, and the two attention checks were both missed. "


class Order(NamedTuple):
    """An effect that is wanted once, and a way to count it in the site's own books."""

    effect: SiteCalls
    happened: Callable[[], int]


class Driver:
    """Drives an order to its end; dies now and then between a request and the record of its answer."""

    def __init__(self, random: Random, advance: Callable[[float], None], now: Callable[[], float]) -> None:
        self.random = random
        self.advance = advance
        self.now = now
        self.tokens = 0
        self.trusts_old_tokens = False
        self.repeats_blindly = False
        self.last_token = ""

    async def drive(self, order: Order) -> NextStep:
        attempts = Attempts()
        for _ in range(100):
            step = self.choose(order, attempts)
            if step in FINAL_STEPS:
                return step
            if step is not NextStep.SEND_SAME_TOKEN:
                self.tokens += step in SENDING_STEPS
                self.last_token = f"token-{self.tokens}"
            recorded = before_step(step, attempts, self.now())
            known = await take_step(CalledEffect(order.effect), step, attempts, self.last_token, self.now())
            attempts = recorded if self.random.random() < 0.1 else known
            self.advance(self.random.choice([1, 60, 600, 3600]))
            if self.random.random() < 0.05:
                self.advance(3 * 24 * 3600)  # the operator is away
        assert self.repeats_blindly or self.trusts_old_tokens, "it never ends"
        return NextStep.WAIT

    def choose(self, order: Order, attempts: Attempts) -> NextStep:
        step = next_step(order.effect.settlement, attempts, self.now())
        if self.repeats_blindly and attempts.answer in {Answer.UNKNOWN, Answer.THROTTLED}:
            return NextStep.SEND
        if self.trusts_old_tokens and step is NextStep.LOOK:
            return NextStep.SEND_SAME_TOKEN
        return step


def payments_of(site: FakeProlific, setup: str) -> int:
    return site.ledger.setups[setup].payments


def rewards_of(work: FakeSubmission) -> int:
    return work.reward_paid // 150


def bonuses_of(work: FakeAssignment) -> int:
    return work.bonus_cents // 25


def approvals_of(work: FakeAssignment) -> int:
    return work.paid_cents // 150


def credits_of(sign_up: FakeSignUp) -> int:
    return int(sign_up.status == "Granted")


def plan(seed: int) -> FaultPlan:
    return FaultPlan(
        lost_before=0.05, lost_after=0.05, throttled=0.07, throttled_after=0.03, list_lag_seconds=60, seed=seed
    )


@asynccontextmanager
async def prolific_orders(seed: int) -> AsyncIterator[tuple[list[Order], Driver]]:
    site = FakeProlific(trio.current_time, seed=seed)
    carrier = FakeCarrier(prolific_app(site))
    random = Random(seed)
    driver = Driver(random, site.clock.advance, site.clock.now)
    async with ProlificClient(
        DEFAULT_TOKEN, random.random, base_url="http://localhost", limits=LIMITS, carrier=carrier
    ) as client:
        study = await client.studies.create(study_request(9))
        await client.studies.transition(study.id, StudyAction.PUBLISH)
        fake = site.studies.get(study.id)
        works = []
        for person in PEOPLE:
            work = site.submissions.reserve(fake, person)
            site.submissions.start(work)
            site.submissions.enter_code(work, DONE)
            works.append(work)
        setups = [await client.submissions.set_up_bonuses(study.id, [BonusLine(one.id, 25)]) for one in works]
        site.bonuses.lag_seconds = 600
        site.faults.follow(plan(seed))
        new = study_request(internal_name="created")
        orders = [
            Order(
                StudyCreation(client, new),
                lambda: sum(one.internal_name == "created" for one in site.ledger.studies.values()),
            ),
            *(
                Order(
                    SubmissionBonus(client, work.id, setup.id, amount_cents=25, before_cents=0),
                    partial(payments_of, site, setup.id),
                )
                for work, setup in zip(works, setups, strict=True)
            ),
            *(Order(SubmissionVerdict(client, work.id), partial(rewards_of, work)) for work in works[:2]),
            Order(
                SubmissionVerdict(client, works[2].id, (RejectionCategory.LOW_EFFORT, REASON)),
                lambda: int(works[2].status == "REJECTED"),
            ),
        ]
        yield orders, driver


@asynccontextmanager
async def connect_orders(seed: int) -> AsyncIterator[tuple[list[Order], Driver]]:
    site = FakeConnect(trio.current_time, seed=seed)
    carrier = FakeCarrier(connect_app(site))
    random = Random(seed)
    driver = Driver(random, site.clock.advance, site.clock.now)
    async with ConnectClient(
        DEFAULT_KEY, random.random, base_url="http://localhost", limits=LIMITS, carrier=carrier
    ) as client:
        project = (await client.projects.create(project_request(9))).project_id
        await client.projects.move(project, ConnectProjectStatus.LIVE)
        works = [site.assignments.accept(site.ledger.projects[project], person) for person in PEOPLE]
        for work in works:
            site.assignments.complete(work, None)
        site.faults.follow(plan(seed))
        new = project_request(internal_name="created")
        yield (
            [
                Order(
                    ProjectCreation(client, new),
                    lambda: sum(one.body.internal_name == "created" for one in site.ledger.projects.values()),
                ),
                *(
                    Order(
                        AssignmentBonus(client, project, BonusGrant(work.id, 25), before_cents=0),
                        partial(bonuses_of, work),
                    )
                    for work in works
                ),
                *(
                    Order(
                        AssignmentVerdict(client, project, ReviewLine(work.id), is_approved=True),
                        partial(approvals_of, work),
                    )
                    for work in works[:2]
                ),
                Order(
                    AssignmentVerdict(client, project, ReviewLine(works[2].id, "no"), is_approved=False),
                    lambda: int(works[2].status == "Rejected"),
                ),
                Order(ParticipantMessage(client, project, "anna", "Hi", "Thanks"), lambda: len(site.ledger.messages)),
            ],
            driver,
        )


@asynccontextmanager
async def sona_orders(seed: int) -> AsyncIterator[tuple[list[Order], Driver]]:
    site = FakeSona(trio.current_time, seed=seed)
    study = site.add_study("Rate", "https://tasks.example/?id=%SURVEY_CODE%", 9, "2026-12-30 12:00")
    random = Random(seed)
    driver = Driver(random, site.clock.advance, site.clock.now)
    target = SonaStudy("http://localhost", study.experiment_id, study.credit_token)
    async with SonaClient(target, random.random, limits=LIMITS, carrier=FakeCarrier(sona_app(site))) as client:
        signed_up = [site.sign_up(study, person) for person in PEOPLE]
        site.faults.follow(plan(seed))
        yield (
            [
                Order(
                    CreditGrant(client, one.code, was_sent_before=False),
                    partial(credits_of, one),
                )
                for one in signed_up
            ],
            driver,
        )


Site = Callable[[int], AbstractAsyncContextManager[tuple[list[Order], Driver]]]
SITES: dict[str, Site] = {"prolific": prolific_orders, "connect": connect_orders, "sona": sona_orders}


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nothing_happens_twice_and_nothing_is_lost(name: str, seed: int, autojump_clock: MockClock) -> None:
    async with SITES[name](seed) as (orders, driver):
        for order in orders:
            end = await driver.drive(order)
            counted = order.happened()
            assert counted <= 1
            if end is NextStep.SETTLED:
                assert counted == 1
            elif end is NextStep.FAILED:
                assert counted == 0
            elif end is NextStep.LEAVE_IN_DOUBT:
                assert isinstance(order.effect, ParticipantMessage)


async def doubles(site: Site, change: str, seeds: Sequence[int]) -> int:
    """Count what happened twice with a driver that does one thing wrong."""
    found = 0
    for seed in seeds:
        async with site(seed) as (orders, driver):
            setattr(driver, change, True)
            for order in orders:
                await driver.drive(order)
                found += order.happened() > 1
    return found


async def test_controls_that_must_fail(autojump_clock: MockClock) -> None:
    """A blind repeat pays twice at both sites; an old token that is trusted does at the one that has tokens."""
    assert await doubles(prolific_orders, "repeats_blindly", range(10)) > 0
    assert await doubles(connect_orders, "repeats_blindly", range(10)) > 0
    assert await doubles(connect_orders, "trusts_old_tokens", range(30)) > 0
