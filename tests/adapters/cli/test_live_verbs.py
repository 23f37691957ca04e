"""Every verb that decides something, against a live operator and without one: the same words, the same outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import DECIDING
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events.base import Event, kind_of
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...core.operations.operator_harness import HarnessTaskState, ask, config, items
from ...postgres import Cluster

UNITS = 8
#: The words of each command, what it says, and the kinds of events that it records. RUN is run 1, the only one.
DECISIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("review --approve agent-1 --bonus 0.50", "agent-1: approved, bonus 0.50", ("agent_approved", "unit_accepted")),
    ("review --soft-reject agent2", "agent-2: soft_rejected", ("agent_soft_rejected", "unit_soft_rejected")),
    ("review --reject 3", "agent-3: rejected", ("agent_rejected", "unit_rejected")),
    ("worker ann --bonus 0.25 --reason kind", "worker-1 (ann): done", ("agent_bonus_granted", "payment_owed")),
    ("worker ann --grant careful=2", "worker-1 (ann): done", ("qualification_granted",)),
    ("worker ann --revoke careful", "worker-1 (ann): done", ("qualification_revoked",)),
    ("worker bob --block unkind", "worker-2 (bob): done", ("worker_blocked",)),
    ("worker bob --unblock a-mistake", "worker-2 (bob): done", ("worker_unblocked",)),
    ("pay --settle payment-1 paid --reason seen", "payment-1 is recorded as paid", ("payment_settled_paid",)),
    ("pay --yes", "0.95 confirmed", ("payment_requested", "payment_sent")),
    ("register mock name=a-lab", "'a-lab' is registered", ("requester_registered",)),
    ("erase bob --reason asked", "worker-2 is erased", ("worker_erased",)),
    ("retry", "its code is asked again", ()),
    ("extend --units-per-assignment 2", "run-1: 2 units per assignment", ("task_run_units_raised",)),
    ("extend --budget 50", "run-1: budget 50.00", ("task_run_budget_changed",)),
    ("pause --now", "run-1 is paused", ("task_run_paused",)),
    ("end", "run-1 has ended", ("task_run_stopping", "task_run_completed")),
    ("reopen", "run-1 is open again", ("task_run_reopened", "unit_reopened")),
)
#: Decisions that only a live run takes.
LIVE_ONLY = {"retry": "run 1 is not live"}
#: What a paused run has already.
KNOWN_WHEN_PAUSED = {"pause --now"}


def mock_config(folder: Path) -> DictConfig:
    """Return a whole configuration, with a provider that pays."""
    cfg = OmegaConf.create({"mephisto": config()})
    cfg.mephisto.provider._provider_type = "mock"
    cfg.mephisto.database.data_dir = str(folder)
    assert isinstance(cfg, DictConfig)
    return cfg


async def some_work(operator: Operator, folder: Path) -> None:
    """Launch a run, let ann submit four units, and bob come and return one."""
    run = await operator.launch_task_run_or_die(mock_config(folder).mephisto, HarnessTaskState(data=items(UNITS)))
    router = MemoryArchitect.routers[operator.get_running_task_runs()[run].task_run]
    for visit in range(4):
        router.submit_task((await ask(router, "ann", visit))["agent_id"], {"answer": visit})
    details = await ask(router, "bob")
    assert details["agent_id"] is not None
    router.submit_task(details["agent_id"], {"answer": "bob"})
    index = operator.ledger.state.runs[operator.get_running_task_runs()[run].task_run]
    while index.live_agents:  # noqa: ASYNC110 - the router reports nothing
        await trio.sleep(0.01)


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


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "alone"])
@pytest.mark.usefixtures("kept_in")
async def test_every_deciding_verb(is_live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    settings = tmp_path / "config.yml"
    settings.write_text(f"core:\n  main_data_directory: {folder}\n")
    monkeypatch.setenv("MEPHISTO_CONFIG", str(settings))
    with trio.fail_after(120):
        async with prepared(folder, is_live=is_live):
            for words, said, kinds in DECISIONS:
                before = len(events_of(folder))
                author = [] if words.startswith("register") else ["--as", "ann"]
                given = " ".join([words, *author]) if author else f"{words} --as ann"
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
    assert {words.split()[0] for words, _, _ in DECISIONS} >= set(DECIDING)
