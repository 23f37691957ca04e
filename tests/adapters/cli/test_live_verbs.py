"""Every verb that decides something, against a live operator and without one: the same words, the same outcome."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from click.testing import CliRunner, Result
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import DECIDING, VERBS
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.abstractions.agent import Unit, Worker
from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.operations.control.requests import (
    AcceptLateRequest,
    BlockRequest,
    BonusRequest,
    DismissAppealRequest,
    EndRequest,
    EraseRequest,
    ExtendRequest,
    GrantRequest,
    LabelRequest,
    OpinionRequest,
    PauseRequest,
    PayRequest,
    PutInProjectRequest,
    ReconcileRequest,
    RegisterRequest,
    ReopenRequest,
    Request,
    RetryRequest,
    RevokeRequest,
    RevokeVerdictsRequest,
    SettleRequest,
    SiteMessageRequest,
    UnblockRequest,
    VerdictRequest,
    WithdrawConsentRequest,
    WithdrawVerdictRequest,
)
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events import streams
from mephisto_es.events.base import Event, kind_of
from mephisto_es.events.ids import AgentId
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...core.operations.operator_harness import HarnessTaskState, config, items, page_of
from ...postgres import Cluster

UNITS = 12


class Decision(NamedTuple):
    """A command that decides something. RUN is run 1, the only one."""

    words: str
    #: What it says, or a part of it.
    said: str
    #: Kinds of events that it records in the name of its author.
    kinds: tuple[str, ...]
    #: What it asks the operator for.
    request: type[Request]


DECISIONS = (
    Decision(
        "review --approve agent-1 --bonus 0.50",
        "agent-1: approved, bonus 0.50",
        ("agent_approved", "unit_accepted"),
        VerdictRequest,
    ),
    Decision(
        "review --soft-reject agent2",
        "agent-2: soft_rejected",
        ("agent_soft_rejected", "unit_soft_rejected"),
        VerdictRequest,
    ),
    Decision(
        "review --reject 3 --note copied",
        "agent-3: rejected",
        ("agent_rejected", "unit_rejected"),
        VerdictRequest,
    ),
    Decision(
        "review --undo 3 --note a-mistake",
        "agent-3: verdict taken back",
        ("agent_verdict_withdrawn", "unit_verdict_withdrawn"),
        WithdrawVerdictRequest,
    ),
    Decision(
        "review --second-opinion --approve 3",
        "agent-3: opinion recorded, waits for a second reviewer",
        ("agent_opinion_given",),
        OpinionRequest,
    ),
    Decision(
        "adjudicate 1 assignment-1 --label answer=0 --note seen",
        "assignment-1: answer is 0",
        ("assignment_labelled",),
        LabelRequest,
    ),
    Decision("review --accept-late 5", "agent-5: late work accepted", ("agent_late_accepted",), AcceptLateRequest),
    Decision("review --accept-appeal 6", "agent-6: approved", ("agent_approved",), VerdictRequest),
    Decision(
        "review --dismiss-appeal 7 --note it-stands", "agent-7", ("agent_appeal_dismissed",), DismissAppealRequest
    ),
    Decision(
        "worker ann --bonus 0.25 --reason kind",
        "worker-1 (ann): bonus of 0.25 for unit-",
        ("agent_bonus_granted", "payment_owed"),
        BonusRequest,
    ),
    Decision(
        "worker ann --grant careful=2",
        "worker-1 (ann): has the qualification careful with value 2",
        ("qualification_granted",),
        GrantRequest,
    ),
    Decision(
        "worker ann --revoke careful",
        "worker-1 (ann): has the qualification careful no more",
        ("qualification_revoked",),
        RevokeRequest,
    ),
    Decision("worker bob --block unkind", "worker-2 (bob): blocked: unkind", ("worker_blocked",), BlockRequest),
    Decision(
        "worker bob --unblock a-mistake", "worker-2 (bob): unblocked: a-mistake", ("worker_unblocked",), UnblockRequest
    ),
    Decision(
        "worker bob --withdraw-consent 1",
        "worker-2 (bob): consent to run-1 withdrawn",
        ("consent_withdrawn",),
        WithdrawConsentRequest,
    ),
    Decision("projects --put harness spring", "is in the project 'spring'", ("project_created",), PutInProjectRequest),
    Decision(
        "pay --settle payment-{payment} paid --reason seen",
        " is recorded as paid",
        ("payment_settled_paid",),
        SettleRequest,
    ),
    Decision("pay --yes", " confirmed", ("payment_requested", "payment_sent"), PayRequest),
    Decision("reconcile", "run-1 has its workers from a provider without a site", (), ReconcileRequest),
    Decision("register mock name=a-lab", "'a-lab' is registered", ("requester_registered",), RegisterRequest),
    Decision("erase bob --reason asked", "worker-2 is erased", ("worker_erased",), EraseRequest),
    Decision("retry", "nothing has failed, so there is nothing to ask again", (), RetryRequest),
    Decision(
        "retry --revoke worker_can_do_unit", "worker_can_do_unit said against 0 workers", (), RevokeVerdictsRequest
    ),
    Decision(
        "extend --units-per-assignment 2", "run-1: 2 units per assignment", ("task_run_units_raised",), ExtendRequest
    ),
    Decision("extend --data {more}", "run-1: 1 items added", ("task_run_data_added",), ExtendRequest),
    Decision("extend --budget 50", "run-1: budget 50.00", ("task_run_budget_changed",), ExtendRequest),
    Decision(
        "pause --now",
        "run-1 is paused; start its launch script again with mephisto.task.resume_incomplete_run=true to continue it",
        ("task_run_paused",),
        PauseRequest,
    ),
    Decision("end", "run-1 has ended", ("task_run_stopping", "task_run_completed"), EndRequest),
    Decision(
        "reopen",
        "run-1 is open again; start its launch script",
        ("task_run_reopened", "unit_reopened"),
        ReopenRequest,
    ),
)
#: Verbs of the command line beside `DECIDING` that ask an operator for something.
ALSO_ASKING = {"reconcile", "register"}
#: What only some crowd sites can do, tried in `test_site_messages.py` and `test_message.py`.
ONLY_AT_SITES: dict[str, type[Request]] = {"message": SiteMessageRequest}
#: Decisions that only a live run takes.
LIVE_ONLY = {"retry": "run 1 is not live"}
#: What a paused run has already.
KNOWN_WHEN_PAUSED = {"pause --now"}


def mock_config(folder: Path) -> DictConfig:
    """Return a whole configuration, with a provider that pays."""
    cfg = OmegaConf.create({"mephisto": config(consent="Your words are kept.", consent_version="1")})
    cfg.mephisto.provider._provider_type = "mock"
    cfg.mephisto.database.data_dir = str(folder)
    assert isinstance(cfg, DictConfig)
    return cfg


async def come(router: MemoryRouter, worker: str, visit: int = 0) -> str:
    """Come with consent; return the token of the agent."""
    consent = {"version": "1", "given": True}
    token: str = (await router.request_agent({**page_of(worker, visit), "consent": consent}))["agent_id"]
    return token


async def until(operator: Operator, holds: Callable[[], bool]) -> None:
    """Wait until something holds, looked at after each commit."""
    news = trio.Event()
    stop = operator.ledger.subscribe(lambda _: news.set())
    while not holds():
        news = trio.Event()
        await news.wait()
    stop()


async def some_work(operator: Operator, folder: Path) -> None:
    """Launch a run with four units of ann and one of bob, with late work of cem, and with objections of dan and eve."""
    shared = HarnessTaskState(data=items(UNITS), worker_can_do_unit=everybody_can)
    run = await operator.launch_task_run_or_die(mock_config(folder).mephisto, shared)
    number = operator.get_running_task_runs()[run].task_run
    router, state = MemoryArchitect.routers[number], operator.ledger.state

    def record(agent: int) -> AgentRecord:
        return state.agents[streams.agent(number, AgentId(agent))]

    for visit in range(3):
        router.submit_task(await come(router, "ann", visit), {"answer": visit})
    router.submit_task(await come(router, "bob"), {"answer": "bob"})
    late = await come(router, "cem")
    router.return_task(late)
    await until(operator, lambda: record(5).status is AgentStatus.RETURNED)
    router.submit_task(late, {"answer": "late"})
    for agent, worker in ((6, "dan"), (7, "eve")):
        token = await come(router, worker)
        router.submit_task(token, {"answer": worker})
        await until(operator, lambda agent=agent: record(agent).status is AgentStatus.COMPLETED)  # type: ignore[misc]
        await operator.reviewer().reject_work(AgentId(agent), "not what was asked")
        router.submit_appeal(token, "It was.")
    await until(operator, lambda: all(record(agent).appeal is not None for agent in (6, 7)))
    await until(operator, lambda: record(5).submission is not None and not state.runs[number].live_agents)


async def everybody_can(worker: Worker, unit: Unit) -> bool:
    await trio.lowlevel.checkpoint()
    return True


@asynccontextmanager
async def prepared(folder: Path, *, is_live: bool) -> AsyncIterator[Path]:
    """Prepare a data folder: with its operator, or left by it in the middle of the run."""
    async with open_operator(folder) as operator:
        await some_work(operator, folder)
        if is_live:
            yield folder
        else:
            await operator.pause("the machine is needed")
    if not is_live:
        yield folder


def run_verb(words: str, folder: Path) -> Result:
    """Run a command as a person would, with the database left to the configuration."""
    return CliRunner().invoke(command.main, words.split())


def events_of(folder: Path) -> list[tuple[str, str, Event]]:
    """Return author, kind and event of all that is recorded."""
    with LogReader(folder / DATABASE_FILE) as log:
        return [(one.envelope.actor, kind_of(type(one.envelope.event)), one.envelope.event) for one in log.read()]


@pytest.fixture(params=["file", "server"])
def kept_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Keep the log in the data folder alone, or on a PostgreSQL server."""
    if request.param == "server":
        cluster: Cluster = request.getfixturevalue("cluster")
        monkeypatch.setenv("MEPHISTO_ES_LOG", cluster.new_database())
    return str(request.param)


def first_payment(folder: Path) -> int:
    return next(event.payment for _, _, event in events_of(folder) if isinstance(event, PaymentOwed))


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "alone"])
@pytest.mark.usefixtures("kept_in")
async def test_every_deciding_verb(is_live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    settings, more = tmp_path / "config.yml", tmp_path / "more.jsonl"
    more.write_text('{"a": [{"b": [1]}]}\n')
    settings.write_text(f"core:\n  main_data_directory: {folder}\n")
    monkeypatch.setenv("MEPHISTO_CONFIG", str(settings))
    with trio.fail_after(120):
        async with prepared(folder, is_live=is_live):
            for words, said, kinds, _ in DECISIONS:
                before = len(events_of(folder))
                author = [] if words.startswith("register") else ["--as", "ann"]
                given = " ".join([words, *author]) if author else f"{words} --as ann"
                if "{payment}" in given:
                    given = given.format(payment=first_payment(folder))
                if "{more}" in given:
                    given = given.format(more=more)
                result = await trio.to_thread.run_sync(partial(run_verb, given, folder))
                if not is_live and words in LIVE_ONLY:
                    assert (result.exit_code, LIVE_ONLY[words] in result.stderr) == (1, True), result.output
                    continue
                assert result.exit_code == 0, f"{words}: {result.output}"
                assert said in result.stdout
                new = events_of(folder)[before:]
                recorded = {kind: actor for actor, kind, _ in new}
                if is_live or words not in KNOWN_WHEN_PAUSED:
                    assert set(kinds) <= recorded.keys(), words
                    assert {recorded[kind] for kind in kinds if kind != "task_run_completed"} <= {"user/ann"}, words
    with MephistoDB(folder / DATABASE_FILE) as db:
        assert db.get_task_run(1).status == "paused"
    assert replay(folder / DATABASE_FILE, PROJECTIONS).legal


def test_no_deciding_verb_is_left_out() -> None:
    tried = {decision.words.split()[0] for decision in DECISIONS}
    assert tried == set(DECIDING) | ALSO_ASKING
    assert tried | set(ONLY_AT_SITES) == {verb for verb, (target, _) in VERBS.items() if requests_of(target)}


def test_no_request_of_a_verb_is_left_out() -> None:
    asked = {kind for target, _ in VERBS.values() for kind in requests_of(target)}
    # `common` has what several verbs share.
    shared = {VerdictRequest}
    tried = {decision.request for decision in DECISIONS} | set(ONLY_AT_SITES.values())
    assert tried - shared == asked - shared


def requests_of(target: str) -> set[type[Request]]:
    """Return what the module of a verb may ask an operator for."""
    module = importlib.import_module(f"mephisto_es.adapters.cli.{target.partition(':')[0]}")
    kinds = (value for value in vars(module).values() if isinstance(value, type))
    return {kind for kind in kinds if issubclass(kind, Request)}
