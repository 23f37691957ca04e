"""A bug report that can be replayed elsewhere."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.diagnostics.bug_report import MANIFEST_FILE, disagreements, unpacked, write_bundle
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import UnknownEntityError, UnusableLogError
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId, UnitId
from mephisto_es.events.unit import UnitAccepted
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history, has_an_offer

HISTORY = find_history(800, has_an_offer)
#: What the histories' authors put where personal values and secrets go.
PERSONAL = ("Zo\u00eb", "thank you", "identity ", "token 1", "registration ", '"rating":', "All happy families")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(HISTORY)
    return path


def runs_of(database: Path) -> list[TaskRunId]:
    with open_as_of(database) as moment:
        return [TaskRunId(run) for (run,) in moment.db.execute("SELECT task_run_id FROM task_runs")]


def bundled(database: Path, run: TaskRunId) -> Path:
    output = database.with_name(f"run-{run}.zip")
    with open_as_of(database) as moment:
        write_bundle(moment, run, output)
    return output


def statuses(database: Path, run: TaskRunId) -> dict[str, list[tuple[object, ...]]]:
    """Return the outcome of a run, without texts written by people."""
    with open_as_of(database) as moment:
        return {
            table: moment.db.execute(f"SELECT {columns} FROM {table} WHERE task_run_id = ?", (run,)).fetchall()
            for table, columns in (
                ("task_runs", "status, server_url, assignment_count, event_count, last_event_date"),
                ("units", "unit_id, unit_index, status, agent_id, worker_id, pay_cents, creation_date"),
                ("agents", "agent_id, worker_id, unit_id, status, task_start, task_end"),
                ("onboarding_agents", "onboarding_agent_id, worker_id, status, creation_date"),
            )
        }


def test_the_run_is_all_there_and_its_replay_is_legal(database: Path) -> None:
    for run in runs_of(database):
        with unpacked(bundled(database, run)) as (copy, manifest):
            assert manifest.report.legal, manifest.report.findings
            assert statuses(copy, run) == statuses(database, run)
            assert runs_of(copy) == [run]
            assert disagreements(replay(copy, PROJECTIONS), manifest.report) == []


def test_nothing_personal_is_in_it(database: Path) -> None:
    content = database.read_bytes()
    assert all(text.encode() in content for text in PERSONAL)
    for run in runs_of(database):
        with zipfile.ZipFile(bundled(database, run)) as packed:
            for name in packed.namelist():
                found = packed.read(name)
                assert [text for text in PERSONAL if text.encode() in found] == []


def test_the_same_run_gives_the_same_log(database: Path) -> None:
    run = runs_of(database)[0]
    chains = []
    for _ in range(2):
        with unpacked(bundled(database, run)) as (_, manifest):
            chains.append(manifest.report.chain)
    assert chains[0] == chains[1]


def test_a_fault_can_be_seen_elsewhere(database: Path) -> None:
    """An illegal step in the source is one in the bundle, so that whoever gets it can look at it."""
    with open_as_of(database) as moment:
        query = "SELECT task_run_id, unit_id FROM units WHERE status = 'launched'"
        run, unit = moment.db.execute(query).fetchone()
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        stream = streams.unit(TaskRunId(run), UnitId(unit))
        wrong = NewEvent(stream, UnitAccepted())
        log.commit([AppendRequest(command="wrong", actor="reviewer", at=HISTORY[-1].at, events=(wrong,))])
    bundle = bundled(database, TaskRunId(run))
    with unpacked(bundle) as (_, manifest):
        assert not manifest.report.legal
        assert stream in manifest.report.findings[0].sentence
    result = CliRunner().invoke(command.main, ["replay", "--assert", str(bundle)])
    assert result.exit_code == 0
    assert "the same result as where the bundle was created" in result.stdout


def test_a_replay_that_says_something_else(database: Path) -> None:
    bundle = bundled(database, runs_of(database)[0])
    with zipfile.ZipFile(bundle) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(files[MANIFEST_FILE])
    manifest["report"]["events"] += 1
    with zipfile.ZipFile(bundle, "w") as packed:
        for name, content in (files | {MANIFEST_FILE: json.dumps(manifest).encode()}).items():
            packed.writestr(name, content)
    result = CliRunner().invoke(command.main, ["replay", "--assert", str(bundle)])
    assert result.exit_code == 1
    assert "where the bundle was created" in result.stdout.splitlines()[-1]
    assert "events is " in result.stdout


def test_the_verb(database: Path, tmp_path: Path) -> None:
    run = runs_of(database)[0]
    output = tmp_path / "report.zip"
    result = CliRunner().invoke(command.main, ["bundle", str(database), str(run), "-o", str(output), "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["source_seq"] == sum(len(request.events) for request in HISTORY)
    assert set(said["versions"]) == {"mephisto-es", "python", "sqlite", "system"}
    assert sorted(zipfile.ZipFile(output).namelist()) == [
        "bundle.json",
        "config.json",
        "mephisto.db",
        "mephisto.db.anchor",
    ]


def test_what_is_no_bundle(database: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match="is not a bundle"):
        unpacked(database).__enter__()
    with pytest.raises(UnusableLogError, match="is not a bundle"):
        unpacked(tmp_path / "nothing.zip").__enter__()


def test_an_unknown_run(database: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownEntityError), open_as_of(database) as moment:
        write_bundle(moment, TaskRunId(9999), tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
