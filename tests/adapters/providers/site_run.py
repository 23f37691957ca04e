"""Whole runs on a simulated crowd site: an operator and a router in memory, the provider, and people who take part."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import trio
import yaml

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.fakes.connect.app import connect_app
from mephisto_es.adapters.fakes.connect.site import DEFAULT_KEY, FakeConnect
from mephisto_es.adapters.fakes.gateway import FakeCarrier, Gateway
from mephisto_es.adapters.fakes.prolific.app import prolific_app
from mephisto_es.adapters.fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.providers.accounts import RegisteredAccount
from mephisto_es.adapters.providers.api.transport import TransportLimits
from mephisto_es.adapters.providers.connect.client import ConnectClient
from mephisto_es.adapters.providers.connect.provider import ConnectProvider
from mephisto_es.adapters.providers.prolific.api.client import ProlificClient
from mephisto_es.adapters.providers.prolific.api.study_request import arrival_url
from mephisto_es.adapters.providers.prolific.provider import ProlificProvider
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.operations.control.executor import RequestExecutor
from mephisto_es.core.operations.control.requests import (
    AnyRequest,
    CompareBooksRequest,
    ErasureReport,
    PayRequest,
    ReconcileRequest,
    Reply,
)
from mephisto_es.core.operations.control.round_report import BooksReport, RoundReport
from mephisto_es.core.operations.launching.owners import RunOwners, SoleOperator
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.run.driven_runs import DrivenRuns
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.ids import TaskRunId, WorkerId

from ...core.operations.operator_harness import HarnessTaskState, OperatorHarness, config, items, open_harness

URL = "http://localhost:1"
PAGE = "https://tasks.example/"
LIMITS = TransportLimits(patience_seconds=20)
#: Numbers of processes; those of operators are lower.
EPOCHS = count(1_000_000)
#: A provider's site, in this process.
CARRIERS: dict[str, httpx.AsyncBaseTransport] = {}
GATEWAYS: dict[str, Gateway] = {}


async def no_erasure(worker: WorkerId, reason: str, author: str) -> ErasureReport:
    """Refuse: there are no files here."""
    raise CommandRefusedError(f"worker-{worker} is not erased for {author}: {reason}")


@register_mephisto_abstraction()
class NearProlific(ProlificProvider):
    """Prolific, whose requests go to a simulated site in this process."""

    PROVIDER_TYPE: ClassVar[str] = "near_prolific"

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> ProlificClient:
        key, url = account.values["api_key"], account.values["base_url"]
        return ProlificClient(key, Random(0).random, base_url=url, limits=LIMITS, carrier=CARRIERS["prolific"])


@register_mephisto_abstraction()
class NearConnect(ConnectProvider):
    """Connect, whose requests go to a simulated site in this process."""

    PROVIDER_TYPE: ClassVar[str] = "near_connect"

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> ConnectClient:
        key, url = account.values["api_key"], account.values["base_url"]
        return ConnectClient(key, Random(0).random, base_url=url, limits=LIMITS, carrier=CARRIERS["connect"])


def calls_to(kind: str) -> int:
    """Return the calls that the API of a simulated site in this process has got."""
    return sum(GATEWAYS[kind].calls.values())


def write_accounts(folder: Path) -> Path:
    """Write a configuration file with an account of each site, and return its path."""
    path = folder / "config.yml"
    keys = {"prolific": DEFAULT_TOKEN, "connect": DEFAULT_KEY}
    path.write_text(yaml.safe_dump({site: {"lab": {"api_key": key, "base_url": URL}} for site, key in keys.items()}))
    return path


class ShownWork(NamedTuple):
    """One piece of work in a simulated site's books."""

    id: str
    status: str
    reward_cents: int
    bonus_cents: int


class Participant:
    """Somebody who takes part, through the site's pages and the page of the run."""

    def __init__(self, site: FakeProlific | FakeConnect, name: str) -> None:
        self.name = name
        self._site = site
        self._kind = "prolific" if isinstance(site, FakeProlific) else "connect"
        self._pages = httpx.AsyncClient(
            base_url=URL,
            transport=CARRIERS[self._kind],
            headers={"accept": "application/json"},
            cookies={"fake_person": name},
        )

    async def reserve(self) -> dict[str, Any] | None:
        """Take a place where there is one; None: there is none."""
        home = (await self._pages.get("/")).json()
        offers = home["studies"] if self._kind == "prolific" else home["projects"]
        if not offers:
            return None
        path = "studies/{}/reserve" if self._kind == "prolific" else "projects/{}/accept"
        answer = await self._pages.post(f"/{path.format(offers[0]['id'])}")
        if answer.status_code == 409:
            return None
        assert answer.status_code == 200, answer.text
        taken: dict[str, Any] = answer.json()
        return taken

    async def open(self, taken: dict[str, Any]) -> dict[str, str | None]:
        """Open the page; what its script would send."""
        if self._kind == "prolific":
            taken = (await self._pages.post(f"/submissions/{taken['id']}/open")).json()
        return registration_of(self._kind, taken["address"])

    async def give_back(self, taken: dict[str, Any]) -> None:
        """Return the work at the site."""
        path = "submissions" if self._kind == "prolific" else "assignments"
        await self._pages.post(f"/{path}/{taken['id']}/return")

    async def enter_code(self, taken: dict[str, Any]) -> None:
        """Enter the code that the page shows; at Prolific the server completes the work."""
        if isinstance(self._site, FakeConnect):
            completion = self._site.ledger.assignments[taken["id"]].project.body.completion_settings
            assert completion is not None
            await self._pages.post(f"/assignments/{taken['id']}/code", data={"code": completion.value})

    async def take_part(self, router: MemoryRouter, minutes: float = 5) -> str | None:
        """Take a place, do the work and submit it; the work's id, None: there was no place or no work."""
        taken = await self.reserve()
        if taken is None:
            return None
        details = await router.request_agent(await self.open(taken))
        if details["agent_id"] is None:
            await self.give_back(taken)
            return None
        await trio.sleep(60 * minutes)
        router.submit_task(details["agent_id"], {"answer": self.name})
        await self.enter_code(taken)
        found: str = taken["id"]
        return found


_NAMES = {
    "prolific": ("PROLIFIC_PID", "SESSION_ID", "STUDY_ID"),
    "connect": ("participantId", "assignmentId", "projectId"),
}


def registration_of(kind: str, address: str) -> dict[str, str | None]:
    """Return what the page's script sends for an address, as `wrap_crowd_source.js` does."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    worker, work, study = (query[name].lower() for name in _NAMES[kind])
    return {
        "worker_name": worker,
        "agent_registration_id": f"{work}-{worker}",
        "assignment_id": work,
        "provider_type": kind,
        "provider_handle": work,
        "provider_study": study,
    }


@dataclass
class SiteRun:
    """An operator whose runs are on a simulated site."""

    kind: str
    site: FakeProlific | FakeConnect
    harness: OperatorHarness
    #: The provider that pays, if it is another one.
    payer: type[CrowdProvider] | None = None
    #: The provider of the runs, if it is another one.
    near: type[CrowdProvider] | None = None

    @property
    def provider_class(self) -> type[CrowdProvider]:
        return self.near or (NearProlific if self.kind == "prolific" else NearConnect)

    @property
    def prolific(self) -> FakeProlific:
        assert isinstance(self.site, FakeProlific)
        return self.site

    @property
    def connect(self) -> FakeConnect:
        assert isinstance(self.site, FakeConnect)
        return self.site

    async def launch(self, units: int, **settings: object) -> LiveTaskRun:
        """Launch a run with so many units."""
        run = await self.harness.operator.launch_task_run_or_die(
            self.config(**settings), HarnessTaskState(data=items(units))
        )
        return self.harness.operator.get_running_task_runs()[run]

    def config(self, **settings: object) -> Any:
        """Return a configuration; settings of the provider begin with its name."""
        provider = {name: value for name, value in settings.items() if name.startswith(f"{self.kind}_")}
        task = {name: value for name, value in settings.items() if name not in provider}
        cfg = config(**{"task_reward": "1.50", "no_submission_patience": 10**9, **task})
        cfg.provider = self.provider_class.ArgsClass
        cfg.provider._provider_type = self.provider_class.PROVIDER_TYPE
        if self.kind == "prolific":
            cfg.provider.prolific_external_study_url = arrival_url(PAGE)
        else:
            cfg.provider.connect_project_url = PAGE
        for name, value in provider.items():
            cfg.provider[name] = value
        return cfg

    def person(self, name: str) -> Participant:
        return Participant(self.site, name)

    def works(self) -> list[ShownWork]:
        """All work in the site's books."""
        if isinstance(self.site, FakeProlific):
            return [
                ShownWork(one.id, one.status, one.reward_paid, sum(one.bonuses))
                for one in self.site.ledger.submissions.values()
            ]
        return [
            ShownWork(one.id, one.status, one.paid_cents, one.bonus_cents)
            for one in self.site.ledger.assignments.values()
        ]

    def statuses(self) -> list[str]:
        return [work.status for work in self.works()]

    def provider(self, run: TaskRunId = TaskRunId(1)) -> CrowdProvider:  # noqa: B008 - a number
        """Return a provider of its own for a run, as a process without the operator has."""
        ledger = self.harness.operator.ledger
        ids = SystemIds(ledger.state.highest_ids(), epoch=next(EPOCHS))
        return (self.payer or self.provider_class)(self.config(), SharedTaskState(), Resources(ledger, ids, run))

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
        """Return what is wrong with the books."""
        return (await self.books(task_run)).faults

    async def books(self, task_run: TaskRunId) -> BooksReport:
        """Compare the books, as the command line does."""
        found = (await self.ask(CompareBooksRequest(task_run=task_run))).books
        assert found is not None
        return found

    async def ask(self, request: AnyRequest) -> Reply:
        """Execute a request as a process without the run's operator does."""
        return await ask(self.harness, self.provider, request)


async def submit_without_code(run: SiteRun, live: LiveTaskRun) -> tuple[Participant, dict[str, Any]]:
    """Have somebody submit here, and leave without finishing at the site: return who, and the place."""
    person = run.person("anna")
    taken = await person.reserve()
    assert taken is not None
    router = run.harness.router(live)
    details = await router.request_agent(await person.open(taken))
    router.submit_task(details["agent_id"], {"answer": "yes"})
    agents = run.harness.operator.ledger.state.agents
    await until(lambda: [one.status for one in agents.values()] == [AgentStatus.COMPLETED])
    return person, taken


async def ask(harness: OperatorHarness, make: Callable[[TaskRunId], CrowdProvider], request: AnyRequest) -> Reply:
    """Execute a request as a process without the run's operator does, with providers that it makes itself."""

    @asynccontextmanager
    async def open_provider(run: TaskRunId) -> AsyncIterator[CrowdProvider]:
        async with make(run) as provider:
            yield provider

    ledger, epoch = harness.operator.ledger, next(EPOCHS)
    ids = SystemIds(ledger.state.highest_ids(), epoch)
    executor = RequestExecutor(ledger, ids, open_provider, no_erasure, DrivenRuns(RunOwners(SoleOperator())))
    return await executor.execute(request, "user/me", f"key {epoch}")


@asynccontextmanager
async def open_site_run(
    kind: str, path: Path, site: FakeProlific | FakeConnect | None = None, log: MemoryLog | None = None, **settings: Any
) -> AsyncIterator[SiteRun]:
    """Open an operator and a simulated site; `MEPHISTO_CONFIG` names a file of `write_accounts`."""
    if site is None:
        make = FakeProlific if kind == "prolific" else FakeConnect
        site = make(trio.current_time, **settings)
    GATEWAYS[kind] = prolific_app(site) if isinstance(site, FakeProlific) else connect_app(site)
    CARRIERS[kind] = FakeCarrier(GATEWAYS[kind])
    async with open_harness(path, log) as harness:
        yield SiteRun(kind, site, harness)


async def until(holds: Callable[[], bool], seconds: float = 600) -> None:
    """Wait in virtual time until something holds."""
    with trio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110 - the site has no events
            await trio.sleep(0.5)
