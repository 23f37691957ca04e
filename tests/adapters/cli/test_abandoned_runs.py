"""Runs that are live in the log, and whose operator died: every verb that shows them says so, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.top import live
from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.writer_lock import lock_path
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunAdmissionPaused, TaskRunDraining, TaskRunEvent, TaskRunPaused
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

PROBLEM = "no operator is running: "


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a log of a live run, which this process wrote."""
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(sample_history())
    return tmp_path / "mephisto.db"


@pytest.fixture
def abandoned(database: Path) -> Path:
    """Return a log of a live run whose writer has ended."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    lock_path(database).write_text(ended.stdout)
    return database


def ask(*words: object) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


@pytest.mark.parametrize("words", [("status",), ("runs",), ("blockers", 1)], ids=lambda words: str(words[0]))
def test_a_dead_operator_is_reported_with_the_remedy(words: tuple[object, ...], abandoned: Path) -> None:
    verb, *rest = words
    said = " ".join(ask(verb, abandoned, *rest).stdout.split())
    assert f"{PROBLEM}`mephisto-es resume {abandoned}` continues it" in said
    assert "units per hour" not in said
    assert PROBLEM in ask(verb, abandoned, *rest, "--json").stdout
    # The past had an operator, as far as anybody knows.
    assert PROBLEM not in ask(verb, abandoned, *rest, "--seq", 20).stdout


@pytest.mark.parametrize("words", [("status",), ("runs",), ("blockers", 1)], ids=lambda words: str(words[0]))
def test_nothing_is_said_of_an_operator_that_may_be_starting(words: tuple[object, ...], database: Path) -> None:
    verb, *rest = words
    assert PROBLEM not in ask(verb, database, *rest).stdout


async def test_those_who_watch_a_run_learn_that_its_operator_died(abandoned: Path) -> None:
    async with aclosing(live(abandoned, TaskRunId(1), SystemClock())) as statuses:
        status = await anext(statuses)
    assert status.progress.operator_problem == f"{PROBLEM}`mephisto-es resume` continues it"
    assert status.pace.seconds_to_finish is None


def test_an_abandoned_run_does_not_finish(abandoned: Path) -> None:
    assert json.loads(ask("status", abandoned, "--json").stdout)["pace"]["seconds_to_finish"] is None


@pytest.mark.parametrize(
    "event",
    [
        TaskRunAdmissionPaused(function="worker_can_do_unit", failures=3),
        TaskRunDraining(reason="lunch"),
        TaskRunPaused(reason="lunch"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_run_that_gives_no_work_to_newcomers_is_not_expected_to_finish(database: Path, event: TaskRunEvent) -> None:
    assert "done in" in ask("status", database).stdout
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        at = sample_history()[-1].at
        log.commit([AppendRequest(command="pause", actor="operator", at=at, events=(NewEvent("task_run/1", event),))])
    said = ask("status", database).stdout
    assert "units per hour" in said
    assert "done in" not in said


def test_pausing_an_abandoned_run_says_what_is_possible_instead(abandoned: Path) -> None:
    result = ask("pause", abandoned, 1)
    assert result.exit_code == 1
    assert "gives no work to newcomers" not in result.stderr
    remedy = f"`mephisto-es resume {abandoned}` continues it, `mephisto-es end {abandoned}` ends it"
    assert f"run 1 is not running: {remedy}" in result.stderr
