"""Controls: payers that break a rule of their site pay twice, and the books show it."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.core.abstractions.crowd.effects import SendResult
from mephisto_es.core.abstractions.crowd.payments import PaymentEffect, PaymentOrder
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.decisions.settlement import BySendingAgain
from mephisto_es.core.lifecycles.payment import BONUS
from mephisto_es.events.payment import Sighting

from .site_run import NearConnect, NearProlific, SiteRun, open_site_run, write_accounts

BONUS_CENTS = 30


class Careless:
    """A payment that is sent again without a look, under a token that a test chooses."""

    settlement = BySendingAgain()

    def __init__(self, effect: PaymentEffect, token: str) -> None:
        self._effect = effect
        self._token = token

    async def set_up(self) -> str | None:
        return await self._effect.set_up()

    async def send(self, _: str) -> SendResult:
        return await self._effect.send(self._token)

    async def look(self) -> Sighting | None:
        return None


class CarelessProlific(NearProlific):
    """Repeats the request that pays a set-up."""

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        effect = super().payment_effect(order)
        return Careless(effect, "") if order.purpose == BONUS else effect


class TokenlessConnect(NearConnect):
    """Leaves the token out."""

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        effect = super().payment_effect(order)
        return Careless(effect, "") if order.purpose == BONUS else effect


class TrustfulConnect(NearConnect):
    """Relies on a token, however old it is."""

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        effect = super().payment_effect(order)
        return Careless(effect, order.token) if order.purpose == BONUS else effect


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


async def bonus_after_a_lost_answer(run: SiteRun, wait_seconds: float) -> int:
    """Pay a bonus whose first answer is lost, and again after some time; the cents that were paid."""
    live = await run.launch(1)
    await run.person("anna").take_part(run.harness.router(live))
    operator = run.harness.operator
    await operator.runs.wait_until_all_ended()
    (agent,) = operator.ledger.state.agents.values()
    await operator.reviewer().approve_work(agent.agent, bonus_cents=BONUS_CENTS)
    only = "/pay/" if run.kind == "prolific" else "/bonus"
    run.site.faults.follow(FaultPlan(script=(Fault.LOST_AFTER,), only=only))
    for seconds in (wait_seconds, 3600, 60):
        await run.settle(live.task_run)
        await trio.sleep(seconds)
    (work,) = run.works()
    is_equal = await run.faults(live.task_run) == ()
    assert is_equal == (work.bonus_cents == BONUS_CENTS)
    return work.bonus_cents


@pytest.mark.parametrize(
    ("kind", "payer", "wait_seconds"),
    [
        ("prolific", CarelessProlific, 3600),
        ("connect", TokenlessConnect, 3600),
        ("connect", TrustfulConnect, 25 * 3600),
    ],
    ids=["pay is repeated", "the token is left out", "the token is a day old"],
)
async def test_a_careless_payer_pays_twice(
    kind: str, payer: type[CrowdProvider], wait_seconds: float, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        run.payer = payer
        assert await bonus_after_a_lost_answer(run, wait_seconds) > BONUS_CENTS


@pytest.mark.parametrize("kind", ["prolific", "connect"])
@pytest.mark.parametrize("wait_seconds", [3600, 25 * 3600])
async def test_ours_pays_once(kind: str, wait_seconds: float, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run(kind, tmp_path) as run:
        assert await bonus_after_a_lost_answer(run, wait_seconds) == BONUS_CENTS
