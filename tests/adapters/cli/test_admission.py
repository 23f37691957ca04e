"""A run whose admission is paused says so wherever it is shown, and is asked again by `retry`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events.ids import AgentId
from mephisto_es.events.task_run import CallbackFailed
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, failing_history, sample_history

SENTENCE = (
    "admission is paused because worker_can_do_unit failed 3 times in a row: fix it and resume the run, "
    f"or ask it again with `mephisto-es retry {RUN}`"
)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(failing_history())
    return path


def ask(*words: str | Path | int) -> Result:
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 0, result.output
    return result


def in_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("words", [("status",), ("blockers",), ("top", "--speed", "100000")])
def test_it_is_said_with_the_remedy(database: Path, words: tuple[str, ...]) -> None:
    sentence = SENTENCE.replace(f"retry {RUN}", f"retry {database} {RUN}")
    said = ask(words[0], database, RUN, *words[1:]).stdout
    assert "".join(sentence.split()) in "".join(said.split()), "a narrow screen may break the path"


@pytest.mark.parametrize("verb", ["timeline", "explain"])
def test_a_failure_is_in_the_history_of_the_worker_it_was_about(database: Path, verb: str) -> None:
    said = in_one_line(ask(verb, database, "worker-1").stdout)
    assert said.count("worker_can_do_unit failed at run_task.py:31: raised KeyError") == 1


@pytest.mark.parametrize("subject", ["agent-1", "unit-1", "worker-4", "assignment-1"])
def test_a_failure_is_in_the_history_of_the_agents_it_was_about(database: Path, subject: str) -> None:
    log = SqliteLog.create_or_open(database, PROJECTIONS)
    failed = CallbackFailed(
        function="check_submission", error="raised KeyError", location="run_task.py:9", agents=(AgentId(1),)
    )
    with log:
        at = failing_history()[-1].at
        event = NewEvent("task_run/1", failed)
        log.commit([AppendRequest(command="failed", actor="operator", at=at, events=(event,))])
    is_theirs = subject != "worker-4"
    assert ("check_submission failed" in ask("timeline", database, subject).stdout) == is_theirs
    if subject.startswith(("agent", "worker")):
        assert ("check_submission failed" in ask("explain", database, subject).stdout) == is_theirs


def test_programs_get_the_sentence_too(database: Path) -> None:
    assert json.loads(ask("status", database, RUN, "--json").stdout)["progress"]["admission_problem"] == SENTENCE
    blockers = json.loads(ask("blockers", database, RUN, "--json").stdout)["blockers"]
    assert [blocker["since"] for blocker in blockers if blocker["reason"] == SENTENCE] != [None]


def test_it_is_not_said_of_a_run_that_admits_workers(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    assert "admission" not in ask("status", path, RUN).stdout
    assert "admission" not in ask("blockers", path, RUN).stdout


def test_the_failures_are_in_the_timeline_without_their_messages(database: Path) -> None:
    lines = ask("timeline", database, f"run-{RUN}").stdout
    assert lines.count("worker_can_do_unit failed at run_task.py:31: raised KeyError") == 3
    assert "newcomers get no work: worker_can_do_unit failed 3 times in a row" in lines
    assert "Zoë" not in lines
