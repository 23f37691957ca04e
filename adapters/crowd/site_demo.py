"""Runs a task on a simulated crowd site from launch to pay. All but the people, the site and the money is real."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import trio
import yaml

from ...core.commands.review import Verdict
from ...core.errors import ConfigError
from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.payment import PaymentStatus
from ...core.operations.config_handler import CONFIG_FILE_VARIABLE
from ...core.operations.control.requests import CompareBooksRequest, PayRequest, ReconcileRequest, VerdictRequest
from ...core.operations.run.live_task_run import LiveTaskRun
from ...events.ids import AgentId, PaymentId, TaskRunId
from ...projections.audit.report import ReplayReport
from ...projections.queries.money.pay_ledger import pay_ledger
from ...projections.registry import PROJECTIONS
from ..asgi_server import serve_asgi
from ..composition.data_dir import DATABASE_FILE
from ..composition.operator import open_operator
from ..control.client import open_control
from ..control.protocol import author_of
from ..fakes.connect.app import connect_app
from ..fakes.connect.site import DEFAULT_KEY, FakeConnect
from ..fakes.gateway import Gateway
from ..fakes.prolific.app import prolific_app
from ..fakes.prolific.site import DEFAULT_TOKEN, FakeProlific
from ..fakes.sona.app import next_week, sona_app
from ..fakes.sona.site import FakeSona
from ..log.audit.replay import replay
from ..log.sqlite.as_of import open_as_of
from ..providers.connect.provider import ConnectProvider
from ..providers.prolific.provider import ProlificProvider
from ..providers.sona.provider import SonaProvider
from ..providers.sona.study import SERVER_PATH
from .sentence_rating import configuration, sentences
from .site_visitor import SiteVisitor

SITES = {"prolific": ProlificProvider, "connect": ConnectProvider, "sona": SonaProvider}
#: Cents for a sentence, above what the sites demand for the estimated time, and for every fifth a bonus.
REWARD, BONUS_CENTS, BONUS_EVERY = "1.00", 25, 5
#: People who take part at a time.
PEOPLE_AT_ONCE = 20
#: Seconds that people have for what they do at the site once the task has their work.
LEAVE_SECONDS = 60.0
#: Rounds of paying, with a pause, until what the site pays in the background shows.
PAY_ROUNDS, PAY_PAUSE_SECONDS = 10, 1.0


class SiteDemo(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a demo on a simulated site."""

    #: The path of the log.
    database: str
    site: str
    #: The number of units by final status.
    units: dict[str, int]
    #: Cents that the log has as paid, and that the site's books have; at SONA, pieces of work that earned a credit, and
    #: credits that were granted.
    paid_cents: int
    site_paid_cents: int
    #: Calls to the site's API.
    calls: int
    #: Differences between log and site; empty if there are none.
    faults: tuple[str, ...]
    seconds: float
    replay: ReplayReport

    @property
    def is_success(self) -> bool:
        """True if both sides agree to the cent, all units are accepted and the log is legal."""
        is_paid = self.paid_cents == self.site_paid_cents > 0
        return is_paid and set(self.units) == {"accepted"} and not self.faults and self.replay.legal


class DemoPerson(NamedTuple):
    """One of the people who take part."""

    #: prolific, connect or sona.
    kind: str
    #: The site's address.
    site_url: str
    #: 0, 1, 2 ...
    number: int
    #: The completion code that the page shows at the end; used at Connect.
    code: str


#: Takes part as one person, and returns once the work is submitted.
TakePart = Callable[[DemoPerson], Awaitable[None]]


class _Stage(NamedTuple):
    """A simulated site that is served."""

    kind: str
    site: FakeProlific | FakeConnect | FakeSona
    gateway: Gateway
    url: str

    def paid_cents(self) -> int:
        """Return what people were paid by the site's books; at SONA, the credits."""
        if isinstance(self.site, FakeSona):
            return sum(one.status == "Granted" for one in self.site.sign_ups)
        if isinstance(self.site, FakeProlific):
            return sum(one.reward_paid + sum(one.bonuses) for one in self.site.ledger.submissions.values())
        return sum(one.paid_cents + one.bonus_cents for one in self.site.ledger.assignments.values())


async def run_site_demo(
    kind: str,
    units: int,
    data_dir: Path,
    seed: int,
    *,
    server_type: str | None = None,
    on_live: Callable[[LiveTaskRun], None],
    on_submitted: Callable[[], None],
    take_part: TakePart | None = None,
) -> SiteDemo:
    """Launch a run on a simulated site, let people take part, pay them, compare the books; sets `MEPHISTO_CONFIG`.

    Args:
        kind: prolific, connect or sona.
        units: sentences to rate.
        data_dir: the folder for the log and the settings.
        seed: of the site and of the people.
        server_type: the router, python or node.
        on_live: called when the run is open to workers.
        on_submitted: called after each submission.
        take_part: takes part as a person; by default a program does.

    Raises:
        ConfigError, LaunchError, LogError: as raised by the operator.
    """
    started_at, database = trio.current_time(), data_dir / DATABASE_FILE
    async with trio.open_nursery() as nursery:
        stage = await _open_site(kind, units, seed, nursery)
        _write_account(stage, data_dir)
        settings = [f"mephisto/provider={kind}", f"mephisto.task.task_reward='{'0' if kind == 'sona' else REWARD}'"]
        cfg = configuration(server_type, overrides=settings)
        async with open_operator(data_dir) as operator:
            run = await operator.launch_task_run_or_die(cfg.mephisto, sentences(units))
            live_run = operator.get_running_task_runs()[run]
            if isinstance(stage.site, FakeSona):
                _enter_address(stage.site, live_run.worker_url)
            on_live(live_run)
            persons = [DemoPerson(kind, stage.url, number, _code_of(live_run)) for number in range(units)]
            async with trio.open_nursery() as people:
                people.start_soon(_let_take_part, persons, take_part or partial(_visit, seed), on_submitted)
                await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
                # Everybody has submitted; some have yet to enter the code.
                people.cancel_scope.deadline = trio.current_time() + LEAVE_SECONDS
            agents = [one.agent for one in operator.ledger.state.agents.values() if one.status is AgentStatus.COMPLETED]
        faults = await _settle(database, live_run.task_run, agents, pays=kind != "sona")
        nursery.cancel_scope.cancel()
    seconds = round(trio.current_time() - started_at, 2)
    return _outcome(stage, database, live_run.task_run, faults, earned=len(agents), seconds=seconds)


def _outcome(
    stage: _Stage, database: Path, run: TaskRunId, faults: tuple[str, ...], *, earned: int, seconds: float
) -> SiteDemo:
    with open_as_of(database) as moment:
        paid = pay_ledger(moment, run).cents
        counted = Counter(unit.status for unit in moment.db.find_units(task_run_id=run))
    cents = sum(paid.get(status.value, 0) for status in (PaymentStatus.SENT, PaymentStatus.CONFIRMED))
    return SiteDemo(
        database=str(database),
        site=stage.kind,
        units=dict(counted),
        paid_cents=earned if isinstance(stage.site, FakeSona) else cents,
        site_paid_cents=stage.paid_cents(),
        calls=sum(stage.gateway.calls.values()),
        faults=faults,
        seconds=seconds,
        replay=replay(database, PROJECTIONS),
    )


async def _open_site(kind: str, units: int, seed: int, nursery: trio.Nursery) -> _Stage:
    """Serve a simulated site on a free port of this machine."""
    site: FakeProlific | FakeConnect | FakeSona
    now = time.time()
    if kind == "prolific":
        site = FakeProlific(trio.current_time, seed=seed, start_seconds=now)
        gateway = prolific_app(site)
    elif kind == "connect":
        site = FakeConnect(trio.current_time, seed=seed, start_seconds=now)
        gateway = connect_app(site)
    elif kind == "sona":
        site = FakeSona(trio.current_time, seed=seed, start_seconds=now)
        # A researcher makes the study by hand; the address of the page follows once the run has one.
        site.add_study("Sentence rating", "https://page.invalid/", units, next_week(now))
        gateway = sona_app(site)
    else:
        raise ConfigError(f"there is no demo on {kind!r}", hint=f"Choose {' or '.join(SITES)}")
    port = await nursery.start(serve_asgi, gateway, "127.0.0.1", 0)
    return _Stage(kind, site, gateway, f"http://127.0.0.1:{port}")


def _write_account(stage: _Stage, data_dir: Path) -> None:
    """Register an account at the simulated site, in a settings file of its own."""
    data_dir.mkdir(parents=True, exist_ok=True)
    if isinstance(stage.site, FakeSona):
        (study,) = stage.site.studies.values()
        query = f"experiment_id={study.experiment_id}&credit_token={study.credit_token}&survey_code=XXXX"
        account = {"completion_url": f"{stage.url}{SERVER_PATH}?{query}"}
    else:
        key = DEFAULT_TOKEN if stage.kind == "prolific" else DEFAULT_KEY
        account = {"api_key": key, "base_url": stage.url}
    settings = data_dir / "config.yml"
    settings.write_text(yaml.safe_dump({stage.kind: {"demo": account}}))
    os.environ[CONFIG_FILE_VARIABLE] = str(settings)


def _enter_address(site: FakeSona, address: str) -> None:
    """Enter the address of the run's page into the study, as a researcher does."""
    for study in site.studies.values():
        study.url = address


def _code_of(live_run: LiveTaskRun) -> str:
    """Return the completion code that the page shows at the end; at Prolific the server completes the work."""
    end = msgspec.convert(live_run.provider.page_settings(), _PageEnd)
    return end.completion.code or ""


class _ShownEnd(msgspec.Struct):
    code: str | None = None


class _PageEnd(msgspec.Struct):
    completion: _ShownEnd


async def _let_take_part(persons: Sequence[DemoPerson], take_part: TakePart, on_submitted: Callable[[], None]) -> None:
    """Let people take part, a number of them at a time."""
    browsers = trio.CapacityLimiter(PEOPLE_AT_ONCE)

    async def visit(person: DemoPerson) -> None:
        async with browsers:
            await take_part(person)
        on_submitted()

    async with trio.open_nursery() as nursery:
        for person in persons:
            nursery.start_soon(visit, person)


async def _visit(seed: int, person: DemoPerson) -> None:
    kind, site_url, number, code = person
    await SiteVisitor(kind, site_url, f"person{number}", code, Random(f"{seed} {number}")).take_part()


async def _settle(database: Path, run: TaskRunId, agents: Sequence[AgentId], *, pays: bool) -> tuple[str, ...]:
    """Accept and pay everything, as the command line does; return how the site's books differ."""
    async with open_control(database, author_of()) as control:
        for agent in agents:
            bonus = BONUS_CENTS if pays and agent % BONUS_EVERY == 0 else 0
            await control.execute(VerdictRequest(agent=agent, verdict=Verdict.APPROVED, bonus_cents=bonus))
        if not pays:
            found = (await control.execute(ReconcileRequest(task_run=run))).round
            return ("nothing was compared",) if found is None else tuple(one.difference.value for one in found.open)
        for _ in range(PAY_ROUNDS):
            with open_as_of(database) as moment:
                owed = tuple(PaymentId(one.payment) for one in pay_ledger(moment, run).payments)
            await control.execute(PayRequest(task_run=run, payments=owed))
            books = (await control.execute(CompareBooksRequest(task_run=run))).books
            if books is not None and not books.faults:
                break
            await trio.sleep(PAY_PAUSE_SECONDS)
    return ("nothing was compared",) if books is None else books.faults
