"""Every provider passes the contract of its kind, also on a site that loses and throttles answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import trio
import yaml
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.faults import FaultPlan
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.providers.contract import CrowdProviderContract, CrowdSiteContract, ProviderStage
from mephisto_es.adapters.providers.link.provider import LinkProvider
from mephisto_es.adapters.providers.mock import MockProvider
from mephisto_es.adapters.providers.sona.provider import SonaProvider
from mephisto_es.adapters.providers.sona.study import SERVER_PATH
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.abstractions.resources import Resources

from ...core.operations.operator_harness import config
from .fake_sites import open_sona
from .site_run import CARRIERS, NearConnect, NearProlific, Participant, write_accounts

DISTURBED = FaultPlan(lost_before=0.1, lost_after=0.1, throttled=0.1, throttled_after=0.05, list_lag_seconds=20, seed=3)


class SiteStage(ProviderStage):
    """A simulated site in this process."""

    def __init__(self, site: FakeProlific | FakeConnect) -> None:
        self.site = site
        self._taken: dict[str, tuple[Participant, dict[str, Any]]] = {}

    def make(self, resources: Resources) -> CrowdProvider:
        provider: type[CrowdProvider] = NearProlific if isinstance(self.site, FakeProlific) else NearConnect
        cfg = config(task_reward="1.50")
        cfg.provider = provider.ArgsClass
        cfg.provider._provider_type = provider.PROVIDER_TYPE
        if isinstance(self.site, FakeProlific):
            cfg.provider.prolific_qualification_groups = {"careful": "Careful"}
        return provider(cfg, SharedTaskState(), resources)

    async def take_place(self, name: str) -> str | None:
        person = Participant(self.site, name)
        taken = await person.reserve()
        if taken is None:
            return None
        await person.open(taken)
        self._taken[taken["id"]] = (person, taken)
        return str(taken["id"])

    async def give_back(self, handle: str) -> None:
        person, taken = self._taken[handle]
        await person.give_back(taken)

    async def finish(self, handle: str, provider: CrowdProvider) -> None:
        person, taken = self._taken[handle]
        await person.enter_code(taken)

    def pass_time(self, seconds: float) -> None:
        self.site.clock.advance(seconds)

    def paid_cents(self, handle: str) -> tuple[int, int]:
        if isinstance(self.site, FakeProlific):
            submission = self.site.ledger.submissions[handle]
            setups = self.site.ledger.setups.values()
            return submission.reward_paid, sum(
                cents * setup.payments for setup in setups for work, cents in setup.lines if work is submission
            )
        assignment = self.site.ledger.assignments[handle]
        return assignment.paid_cents, assignment.bonus_cents


class OnSimulatedSite(CrowdSiteContract):
    kind: ClassVar[str]
    plan: ClassVar[FaultPlan] = FaultPlan()
    limit_seconds: ClassVar[float] = 3600

    @pytest.fixture(autouse=True)
    def account(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[ProviderStage]:
        make = FakeProlific if self.kind == "prolific" else FakeConnect
        site: FakeProlific | FakeConnect = make(trio.current_time, plan=self.plan)
        carrier: httpx.AsyncBaseTransport = FakeCarrier(
            prolific_app(site) if isinstance(site, FakeProlific) else connect_app(site)
        )
        CARRIERS[self.kind] = carrier
        yield SiteStage(site)


class TestProlific(OnSimulatedSite):
    kind = "prolific"


class TestConnect(OnSimulatedSite):
    kind = "connect"


class PlainStage(ProviderStage):
    """A provider whose people only need an address."""

    def __init__(self, provider: type[CrowdProvider]) -> None:
        self._provider = provider

    def make(self, resources: Resources) -> CrowdProvider:
        cfg = config(task_reward="0")
        cfg.provider = self._provider.ArgsClass
        cfg.provider._provider_type = self._provider.PROVIDER_TYPE
        return self._provider(cfg, SharedTaskState(), resources)


class WithoutOffer(CrowdProviderContract):
    provider: ClassVar[type[CrowdProvider]]

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[ProviderStage]:
        yield PlainStage(self.provider)


class TestMock(WithoutOffer):
    provider = MockProvider


class TestLink(WithoutOffer):
    provider = LinkProvider


class TestSona(WithoutOffer):
    provider = SonaProvider

    @pytest.fixture(autouse=True)
    def account(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = tmp_path / "config.yml"
        monkeypatch.setenv("MEPHISTO_CONFIG", str(self.settings))

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[ProviderStage]:
        async with open_sona() as sona:
            study = sona.study
            query = f"experiment_id={study.experiment_id}&credit_token={study.credit_token}&survey_code=XXXX"
            account = {"completion_url": f"{sona.url}{SERVER_PATH}?{query}"}
            self.settings.write_text(yaml.safe_dump({"sona": {"study": account}}))
            yield PlainStage(self.provider)


class DisturbedProlific(TestProlific):
    __test__ = False
    plan = DISTURBED


class DisturbedConnect(TestConnect):
    __test__ = False
    plan = DISTURBED


@pytest.mark.parametrize("suite", [DisturbedProlific, DisturbedConnect])
@pytest.mark.parametrize("name", [name for name in vars(CrowdSiteContract) if name.startswith("test_")])
async def test_a_site_that_loses_and_throttles_answers(
    suite: type[CrowdSiteContract],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    """The same tests in virtual time, because a disturbed site takes long."""
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))
    await getattr(suite(), name)()
