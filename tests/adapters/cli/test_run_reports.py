"""The verbs that report on runs: runs, status, timeline, explain, blockers, top."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.data_dir import LOCAL_DATA_DIR
from mephisto_es.adapters.log.sqlite import schema
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunFailed
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history, has_an_offer
from ...json_schema import assert_fits

HISTORY = find_history(400, has_an_offer)
#: Verbs that take a run, an agent, or nothing.
SUBJECTS = {
    "runs": [],
    "status": ["RUN"],
    "blockers": ["RUN"],
    "top": ["RUN"],
    "timeline": ["AGENT"],
    "explain": ["AGENT"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a data folder with a log."""
    folder = tmp_path_factory.mktemp("data")
    with SqliteLog.create_or_open(folder / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY)
        with_an_offer = (
            "SELECT task_run_id FROM task_runs JOIN units USING (task_run_id)"
            " WHERE task_runs.status = 'live' AND units.status = 'launched'"
        )
        run = TaskRunId(one(folder, with_an_offer))
        failed = TaskRunFailed(step="live", reason="the power went")
        at = HISTORY[-1].at + 1_000_000
        log.commit(
            [AppendRequest(command="end", actor="operator", at=at, events=(NewEvent(streams.task_run(run), failed),))]
        )
    return folder


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))


def ask(*words: str | Path | int) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def answer(*words: str | Path | int) -> str:
    result = ask(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer_of_any(*words: str | Path | int) -> str:
    """Return what a verb says, without spaces, and without the database in the commands that it advises."""
    said = "".join(answer(*words).split())
    databases = ["".join(shlex.quote(str(word)).split()) for word in words if isinstance(word, Path)]
    return said.replace(databases[0], "") if databases else said


def structured(*words: str | Path | int) -> Any:
    return json.loads(answer(*words, "--json"))


def one(data: Path, query: str) -> int:
    with closing(sqlite3.connect(data / "mephisto.db")) as db:
        return int(db.execute(query).fetchone()[0])


def an_ended_run(data: Path) -> int:
    """Return the run that failed at the end, with units on offer."""
    return one(data, "SELECT substr(stream, 10) FROM events ORDER BY seq DESC LIMIT 1")


def subjects(verb: str, data: Path) -> list[str]:
    known = {"RUN": str(an_ended_run(data)), "AGENT": f"agent-{one(data, 'SELECT max(agent_id) FROM agents')}"}
    return [known[wanted] for wanted in SUBJECTS[verb]]


@pytest.mark.parametrize("verb", sorted(SUBJECTS))
def test_a_copied_file_says_what_the_folder_says(verb: str, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copied elsewhere.db"
    shutil.copy(data / "mephisto.db", copy)
    subject = subjects(verb, data)
    said = answer_of_any(verb, data, *subject)
    assert said
    assert answer_of_any(verb, copy, *subject) == said == answer_of_any(verb, data / "mephisto.db", *subject)


@pytest.mark.parametrize("verb", sorted(SUBJECTS))
def test_the_database_may_be_left_out(verb: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data, tmp_path / LOCAL_DATA_DIR)
    subject = subjects(verb, data)
    assert answer_of_any(verb, *subject) == answer_of_any(verb, data, *subject)
    (tmp_path / "config.yml").write_text(f"core:\n  main_data_directory: {data}\n")
    shutil.rmtree(tmp_path / LOCAL_DATA_DIR)
    assert answer(verb, *subject, "--json") == answer(verb, data, *subject, "--json")


@pytest.mark.parametrize("verb", sorted(SUBJECTS))
def test_a_newer_log_is_told_from_a_broken_one(verb: str, data: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    shutil.copy(data / "mephisto.db", newer)
    with closing(sqlite3.connect(newer)) as db:
        db.execute(f"PRAGMA user_version={schema.FORMAT + 1}")
    result = ask(verb, newer, *subjects(verb, data))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "update mephisto-es" in result.stderr


def test_a_log_of_a_development_version_is_refused_with_what_to_do(data: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    shutil.copy(data / "mephisto.db", older)
    with closing(sqlite3.connect(older)) as db:
        db.execute(f"PRAGMA user_version={schema.OLDEST_FORMAT - 1}")
    verb = min(SUBJECTS)
    result = ask(verb, older, *subjects(verb, data))
    assert result.exit_code == 2
    assert "start with another data folder" in result.stderr


@pytest.mark.parametrize("verb", sorted(SUBJECTS))
def test_a_wrong_file_ends_in_a_sentence(verb: str, data: Path, tmp_path: Path) -> None:
    subject = subjects(verb, data)
    for path in (tmp_path, tmp_path / "nothing.db", Path(__file__)):
        result = ask(verb, path, *subject)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"mephisto-es {verb}: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", sorted(SUBJECTS))
def test_help_shows_an_example(verb: str) -> None:
    said = answer(verb, "--help")
    assert "Example" in said
    assert f"mephisto-es {verb} {LOCAL_DATA_DIR}" in said


@pytest.mark.parametrize("verb", ["status", "blockers", "top"])
def test_an_unknown_run(verb: str, data: Path) -> None:
    result = ask(verb, data, "9999")
    assert result.exit_code == 1
    highest = one(data, "SELECT max(task_run_id) FROM task_runs")
    assert result.stderr == f"mephisto-es {verb}: there is no run-9999; the nearest is run-{highest}\n"


@pytest.mark.parametrize("verb", ["timeline", "explain"])
def test_an_unknown_worker(verb: str, data: Path) -> None:
    result = ask(verb, data, "worker-9999")
    assert result.exit_code == 1
    highest = one(data, "SELECT max(worker_id) FROM workers")
    assert result.stderr == f"mephisto-es {verb}: there is no worker-9999; the nearest is worker-{highest}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["explain", "unit-1"],
            "'unit-1' is not an id that fits here; write for instance agent-1, worker-1, assignment-1.",
        ),
        (["explain", "md", "unit-1"], "`mephisto-es timeline md unit-1` names the agents of the unit."),
        (["status", ".", "first"], "'first' is not the id of a run; write 1 or run-1."),
        (["status", ".", "1", "--at", "noon"], "'noon' is not a time; write for instance '2026-01-31 14:05:00'."),
        (["status", ".", "1", "--at", "2026-01-01", "--seq", "3"], "--at and --seq exclude each other"),
        (["timeline", "."], "Missing argument 'ID'"),
    ],
)
def test_what_cannot_be_meant(words: list[str], said: str) -> None:
    result = ask(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_runs_and_status_agree(data: Path) -> None:
    runs = structured("runs", data)["runs"]
    assert len(runs) == one(data, "SELECT count(*) FROM task_runs")
    for run in runs:
        number = run["task_run_id"]
        assert structured("status", data, number)["progress"] == run
        assert structured("status", data, f"run-{number}")["progress"] == run
        assert f"run-{number}" in answer("runs", data)
    assert structured("status", data)["progress"] == runs[-1]


def test_a_log_without_runs(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS):
        pass
    assert "has no runs yet" in answer("runs", tmp_path)
    assert ask("status", tmp_path).stderr == "mephisto-es status: there is no run in this log yet\n"


def test_status_as_of_a_position_and_of_its_time(data: Path) -> None:
    run = one(data, "SELECT min(task_run_id) FROM task_runs")
    then = structured("status", data, run, "--seq", 60)
    assert then["seq"] == 60
    by_then = structured("status", data, run, "--at", "2026-01-01 02:00:30+02:00")["seq"]
    assert by_then == one(data, f"SELECT count(*) FROM events WHERE at <= {1_767_225_630 * 1_000_000}")
    now = structured("status", data, run)
    assert sum(then["progress"]["units"].values()) < sum(now["progress"]["units"].values())


def test_a_timeline_can_be_pasted(data: Path) -> None:
    unit = one(data, "SELECT unit_id FROM agents GROUP BY unit_id ORDER BY count(*) DESC")
    told = structured("timeline", data, f"unit-{unit}")
    lines = answer("timeline", data, f"unit-{unit}").splitlines()
    assert [line.split("  ")[1] for line in lines] == [line["stream"] for line in told["lines"]]
    assert lines[0].endswith("-> created")
    assert not any("Zoë" in line for line in lines)


def test_an_explanation_marks_what_held(data: Path) -> None:
    agent = one(data, "SELECT agent_id FROM agents")
    said = answer("explain", data, f"agent-{agent}")
    assert "✓ run_is_live: run live" in said
    worker = one(data, "SELECT worker_id FROM agents")
    assert structured("explain", data, f"worker-{worker}")["entity"] == f"worker-{worker}"


def test_why_a_run_is_open(data: Path) -> None:
    before_the_failure = one(data, "SELECT max(seq) - 1 FROM events")
    run = an_ended_run(data)
    said = answer("blockers", data, run, "--seq", before_the_failure)
    assert "units offered that no worker has taken: " in said
    assert structured("blockers", data, run)["run"] == f"run-{run}"


def test_top_replays_a_run(data: Path) -> None:
    run = one(data, "SELECT min(task_run_id) FROM task_runs")
    printed = answer("top", data, run, "--speed", 100_000, "--json")
    assert_fits("top", printed)
    looks = [json.loads(line) for line in printed.splitlines()]
    assert looks[0]["progress"]["status"] in ("created", "prepared")
    assert looks[0]["progress"]["units"] == {}
    final = structured("status", data, run)["progress"]
    assert looks[-1]["progress"] == final


def test_top_shows_an_ended_run_once(data: Path) -> None:
    run = an_ended_run(data)
    (look,) = answer("top", data, run, "--json").splitlines()
    assert json.loads(look)["progress"] == structured("status", data, run)["progress"]
