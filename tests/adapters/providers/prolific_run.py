"""Whole runs on a simulated Prolific: an operator and a router in memory, the provider, and people who take part."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import trio
import yaml

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.fakes.gateway import FakeCarrier
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.books import FakeStudy, FakeSubmission
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.providers.accounts import RegisteredAccount
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.study_request import arrival_url
from mephisto_es.adapters.providers.prolific.provider import ProlificProvider
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.operations.control.executor import NoRuns, RequestExecutor
from mephisto_es.core.operations.control.requests import (
    AnyRequest,
    CompareBooksRequest,
    PayRequest,
    ReconcileRequest,
    Reply,
)
from mephisto_es.core.operations.control.round_report import RoundReport
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.ids import TaskRunId

from ...core.operations.operator_harness import HarnessTaskState, OperatorHarness, config, items, open_harness

URL = "http://localhost:1"
LIMITS = TransportLimits(patience_seconds=20)


@register_mephisto_abstraction()
class NearProlific(ProlificProvider):
    """The provider, whose requests go to a simulated site in this process."""

    PROVIDER_TYPE: ClassVar[str] = "near_prolific"
    carrier: ClassVar[httpx.AsyncBaseTransport]

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> ProlificClient:
        jitter = Random(0).random
        return ProlificClient(
            account.values["api_key"], jitter, base_url=account.values["base_url"], limits=LIMITS, carrier=cls.carrier
        )


def write_account(folder: Path, **values: str) -> Path:
    """Write a configuration file with one account of Prolific, and return its path."""
    path = folder / "config.yml"
    account = {"api_key": DEFAULT_TOKEN, "base_url": URL, **values}
    path.write_text(yaml.safe_dump({"prolific": {"lab": account}}))
    return path


class Participant:
    """Somebody who takes part, through the site's pages and the page of the run."""

    def __init__(self, site: FakeProlific, carrier: httpx.AsyncBaseTransport, name: str) -> None:
        self.name = name
        self._site = site
        self._pages = httpx.AsyncClient(
            base_url=URL, transport=carrier, headers={"accept": "application/json"}, cookies={"fake_person": name}
        )

    async def reserve(self) -> dict[str, Any] | None:
        """Reserve a place in the first study that offers one; None: none does."""
        home = (await self._pages.get("/")).json()
        if not home["studies"]:
            return None
        answer = await self._pages.post(f"/studies/{home['studies'][0]['id']}/reserve")
        assert answer.status_code == 200, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    async def open(self, taken: dict[str, Any]) -> dict[str, str]:
        """Open the page; what its script would send."""
        answer = await self._pages.post(f"/submissions/{taken['id']}/open")
        return registration_of(answer.json()["address"])

    async def give_back(self, taken: dict[str, Any]) -> None:
        """Return the submission."""
        assert (await self._pages.post(f"/submissions/{taken['id']}/return")).status_code == 200

    async def take_part(self, router: MemoryRouter, minutes: float = 5) -> str | None:
        """Reserve a place, do the work and submit it; the submission's id, None: there was no place or no work."""
        taken = await self.reserve()
        if taken is None:
            return None
        details = await router.request_agent(await self.open(taken))
        if details["agent_id"] is None:
            await self.give_back(taken)
            return None
        await trio.sleep(60 * minutes)
        router.submit_task(details["agent_id"], {"answer": self.name})
        found: str = taken["id"]
        return found


def registration_of(address: str) -> dict[str, str]:
    """Return what the page's script sends for an address, as `wrap_crowd_source.js` does."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    worker, work, study = query["PROLIFIC_PID"], query["SESSION_ID"], query["STUDY_ID"]
    return {
        "worker_name": worker,
        "agent_registration_id": f"{work}-{worker}",
        "assignment_id": work,
        "provider_type": "prolific",
        "provider_handle": work,
        "provider_study": study,
    }


@dataclass
class ProlificRun:
    """An operator whose runs are on a simulated Prolific."""

    site: FakeProlific
    harness: OperatorHarness
    carrier: httpx.AsyncBaseTransport
    _asked: int = 0

    async def launch(self, units: int, **settings: object) -> LiveTaskRun:
        """Launch a run with so many units."""
        cfg = self.config(**settings)
        run = await self.harness.operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(units)))
        return self.harness.operator.get_running_task_runs()[run]

    def config(self, **settings: object) -> Any:
        """Return a configuration; settings of the provider begin with `prolific_`."""
        provider = {name: value for name, value in settings.items() if name.startswith("prolific_")}
        task = {name: value for name, value in settings.items() if name not in provider}
        cfg = config(**{"task_reward": "1.50", "no_submission_patience": 10**9, **task})
        cfg.provider = NearProlific.ArgsClass
        cfg.provider._provider_type = "near_prolific"
        cfg.provider.prolific_workspace_name = "my workspace"
        cfg.provider.prolific_external_study_url = arrival_url("https://tasks.example/")
        for name, value in provider.items():
            cfg.provider[name] = value
        return cfg

    async def settle(self, task_run: TaskRunId) -> int:
        """Pay a run as the command line does; the number of orders taken."""
        owed = tuple(one.payment for one in self.harness.operator.ledger.state.payments.values())
        return (await self.ask(PayRequest(task_run=task_run, payments=owed))).paid

    async def reconcile(self, task_run: TaskRunId) -> RoundReport:
        """Compare a run with its site, as the command line does."""
        found = (await self.ask(ReconcileRequest(task_run=task_run))).round
        assert found is not None
        return found

    async def faults(self, task_run: TaskRunId) -> tuple[str, ...]:
        """Compare the books, as the command line does."""
        found = (await self.ask(CompareBooksRequest(task_run=task_run))).books
        assert found is not None
        return found.faults

    async def ask(self, request: AnyRequest) -> Reply:
        """Execute a request as a process without the run's operator does."""
        ledger = self.harness.operator.ledger
        self._asked += 1
        ids = SystemIds(ledger.state.highest_ids(), epoch=1_000_000 + self._asked)

        @asynccontextmanager
        async def open_provider(run: TaskRunId) -> AsyncIterator[NearProlific]:
            async with NearProlific(self.config(), SharedTaskState(), Resources(ledger, ids, run)) as provider:
                yield provider

        return await RequestExecutor(ledger, ids, open_provider, NoRuns()).execute(request, "user/me", f"{self._asked}")

    def person(self, name: str) -> Participant:
        return Participant(self.site, self.carrier, name)

    @property
    def study(self) -> FakeStudy:
        """The last study."""
        return list(self.site.ledger.studies.values())[-1]

    def submissions(self) -> list[FakeSubmission]:
        """All submissions."""
        return list(self.site.ledger.submissions.values())


@asynccontextmanager
async def open_prolific_run(
    path: Path, site: FakeProlific | None = None, log: MemoryLog | None = None, **site_settings: Any
) -> AsyncIterator[ProlificRun]:
    """Open an operator and a simulated site; `MEPHISTO_CONFIG` names a file of `write_account`."""
    site = site or FakeProlific(trio.current_time, **site_settings)
    carrier = FakeCarrier(prolific_app(site))
    NearProlific.carrier = carrier
    async with open_harness(path, log) as harness:
        yield ProlificRun(site, harness, carrier)


async def until(holds: Callable[[], bool], seconds: float = 600) -> None:
    """Wait in virtual time until something holds."""
    with trio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110 - the site has no events
            await trio.sleep(0.5)
