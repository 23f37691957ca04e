"""A run whose students come from SONA: a survey code is for one browser, and credit is granted exactly once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple

import httpx
import msgspec
import pytest
import trio
import trio.testing
import yaml

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.sona.app import next_week, sona_app
from mephisto_es.adapters.fakes.sona.site import FakeSona, FakeSonaStudy
from mephisto_es.adapters.providers.accounts import RegisteredAccount
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.sona.client import SonaClient
from mephisto_es.adapters.providers.sona.provider import SonaProvider
from mephisto_es.adapters.providers.sona.study import SERVER_PATH, read_completion_url
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.crowd.differences import SiteDifference
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import CommandRefusedError, ConfigError, LaunchError
from mephisto_es.core.operations.control.requests import AnyRequest, ReconcileRequest, Reply
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.codec import encode
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.events.ids import TaskRunId

from ....core.operations.operator_harness import HarnessTaskState, OperatorHarness, config, items, open_harness
from ..site_run import EPOCHS, ask

URL = "http://localhost:1"


@register_mephisto_abstraction()
class NearSona(SonaProvider):
    """The provider, whose requests go to a simulated site in this process."""

    PROVIDER_TYPE: ClassVar[str] = "near_sona"
    carrier: ClassVar[httpx.AsyncBaseTransport]

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> SonaClient:
        study = read_completion_url(account.values["completion_url"])
        return SonaClient(study, Random(0).random, limits=TransportLimits(patience_seconds=20), carrier=cls.carrier)


class SonaRun(NamedTuple):
    """An operator and a simulated SONA with one study."""

    harness: OperatorHarness
    site: FakeSona
    study: FakeSonaStudy

    def config(self, **task: object) -> Any:
        cfg = config(**{"task_reward": "0", **task})
        cfg.provider = NearSona.ArgsClass
        cfg.provider._provider_type = "near_sona"
        return cfg

    def provider(self, run: TaskRunId) -> NearSona:
        ledger = self.harness.operator.ledger
        ids = SystemIds(ledger.state.highest_ids(), next(EPOCHS))
        return NearSona(self.config(), SharedTaskState(), Resources(ledger, ids, run))

    async def ask(self, request: AnyRequest) -> Reply:
        return await ask(self.harness, self.provider, request)

    async def launch(self, units: int, **task: object) -> LiveTaskRun:
        cfg = self.config(**task)
        run = await self.harness.operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(units)))
        return self.harness.operator.get_running_task_runs()[run]

    def credit(self) -> dict[str, str]:
        return {one.student: one.status for one in self.site.sign_ups if one.student != "researcher"}

    async def wait_for_credit(self, **expected: str) -> None:
        """Wait in virtual time until the students have what is expected."""
        with trio.fail_after(3600):
            while self.credit() != expected:  # noqa: ASYNC110 - the site has no events
                await trio.sleep(1)


@asynccontextmanager
async def open_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None = None) -> AsyncIterator[SonaRun]:
    site = FakeSona(trio.current_time)
    study = site.add_study(
        "Rating", "https://tasks.example/?survey_code=%SURVEY_CODE%", 10, next_week(site.clock.now())
    )
    query = f"experiment_id={study.experiment_id}&credit_token={token or study.credit_token}&survey_code=XXXX"
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump({"sona": {"study 1": {"completion_url": f"{URL}{SERVER_PATH}?{query}"}}}))
    monkeypatch.setenv("MEPHISTO_CONFIG", str(path))
    NearSona.carrier = FakeCarrier(sona_app(site))
    async with open_harness(tmp_path) as harness:
        yield SonaRun(harness, site, study)


async def come(router: MemoryRouter, code: str, session: str | None = "her browser") -> dict[str, Any]:
    return await router.request_agent(
        {
            "worker_name": code,
            "agent_registration_id": f"{code}-{code}",
            "provider_handle": code,
            "provider_session": session,
        }
    )


async def test_credit_is_granted_once_for_each_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_run(tmp_path, monkeypatch) as run:
        anna, bert, cleo = (run.site.sign_up(run.study, name).code for name in ("anna", "bert", "cleo"))
        live = await run.launch(3)
        assert live.worker_url.endswith("/?survey_code=%SURVEY_CODE%")
        router = run.harness.router(live)
        assert (await come(router, cleo))["agent_id"]
        for code, faults in ((anna, (Fault.LOST_AFTER, Fault.THROTTLED)), (bert, (Fault.LOST_BEFORE,))):
            details = await come(router, code)
            run.site.faults.follow(FaultPlan(script=faults))
            router.submit_task(details["agent_id"], {"answer": 1})
            await trio.sleep(300)
        await run.wait_for_credit(anna="Granted", bert="Granted", cleo=run.credit()["cleo"])
        logged = b"".join(encode(recorded.envelope) for recorded in run.harness.log.read())
        assert run.study.credit_token.encode() not in logged
        # As a word: its few digits are part of some digest by chance.
        assert not re.search(rf"\b{anna}\b".encode(), logged)


async def test_a_rejection_comes_before_the_credit_or_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_run(tmp_path, monkeypatch) as run:
        anna, bert = (run.site.sign_up(run.study, name).code for name in ("anna", "bert"))
        router, operator = run.harness.router(await run.launch(3)), run.harness.operator
        for code, faults in ((anna, ()), (bert, (Fault.LOST_BEFORE,) * 1000)):
            run.site.faults.follow(FaultPlan(script=faults))
            details = await come(router, code)
            router.submit_task(details["agent_id"], {"answer": 1})
            await trio.sleep(10)
        assert run.credit() == {"anna": "Granted", "bert": "Awaiting"}
        for agent in list(operator.ledger.state.agents.values()):
            await operator.reviewer().reject_work(agent.agent, "copied")
        run.site.faults.follow(FaultPlan())
        await trio.sleep(600)
        assert run.credit() == {"anna": "Granted", "bert": "Awaiting"}
        shown = [place for each in operator.ledger.state.engagements.values() for place in each.places.values()]
        warnings = [NearSona.rejection_warning(None if place is None else place.status) for place in shown]
        assert warnings == [SonaProvider.PAID_STAYS, None]


async def test_a_guessed_code_is_of_no_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_run(tmp_path, monkeypatch) as run:
        router = run.harness.router(await run.launch(2))
        code = run.site.sign_up(run.study, "anna").code
        assert (await come(router, code))["agent_id"]
        used = await come(router, code, "another browser")
        assert used["failure_reason"] == refusal_text(RefusalReason.INVITATION_USED)
        for wrong, session in (("%SURVEY_CODE%", "b"), ("abc", "b"), ("0123", "b"), (code, None)):
            refused = await come(router, wrong, session)
            assert refused["failure_reason"] == refusal_text(RefusalReason.NOT_INVITED)
        assert len(run.harness.operator.ledger.state.workers) == 1


async def test_a_launch_that_could_not_grant_credit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_run(tmp_path, monkeypatch, token="0" * 28) as run:
        with pytest.raises(ConfigError, match="SONA gives credit and no money"):
            await run.launch(1, task_reward="0.10")
        with pytest.raises(LaunchError, match="SONA does not know this study: a cloned study has another id"):
            await run.launch(1)


async def test_students_who_took_part_without_our_server_are_taken_in_from_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """SONA shows its sign-ups on pages alone: a person brings the list, and who is in it gets a unit and credit."""
    async with open_run(tmp_path, monkeypatch) as run:
        anna, bert, cleo, dora = (run.site.sign_up(run.study, name).code for name in ("anna", "bert", "cleo", "dora"))
        live = await run.launch(4)
        router = run.harness.router(live)
        details = await come(router, anna)
        router.submit_task(details["agent_id"], {"answer": 1})
        assert (await come(router, bert))["agent_id"]
        request = ReconcileRequest(task_run=live.task_run, listed=(anna, bert, cleo))
        found = (await run.ask(request)).round
        assert found is not None
        assert found.observed is None
        assert sorted(one.difference.value for one in found.open) == sorted(
            one.value for one in (SiteDifference.NOT_SUBMITTED, SiteDifference.UNKNOWN_HERE)
        )
        assert {one.handle for one in found.open} == {None, cleo}
        taken = (await run.ask(msgspec.structs.replace(request, takes_in=True))).round
        assert taken is not None
        assert (taken.taken_in, taken.not_taken_in) == (2, ())
        await run.wait_for_credit(anna="Granted", bert="Granted", cleo="Granted", dora="Awaiting")
        again = (await run.ask(msgspec.structs.replace(request, takes_in=True))).round
        assert again is not None
        assert (again.taken_in, again.open) == (0, ())
        with pytest.raises(CommandRefusedError, match="1 of 2 listed ids are none of near_sona's"):
            await run.ask(ReconcileRequest(task_run=live.task_run, listed=(dora, "%SURVEY_CODE%")))
