"""The verb `projects`: tasks are put in projects, and projects are listed with what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command.main, list(map(str, arguments)))


def test_a_task_is_put_in_a_project_which_is_shown_with_it(database: Path) -> None:
    assert run("projects", database).stdout == f"{database} has no projects yet.\n"
    put = ("projects", database, "--put", "sentence rating", "speech")
    assert run(*put).stdout == "'sentence rating' is in the project 'speech'\n"
    assert run(*put).stdout == "'sentence rating' was already in the project 'speech'\n"
    [project] = json.loads(run("projects", database, "--json").stdout)["projects"]
    assert (project["name"], project["tasks"]) == ("speech", ["sentence rating"])
    assert project["units"] > 0
    shown = run("projects", database).stdout.splitlines()[1].split()
    assert shown[1:5] == ["speech", "sentence", "rating", str(project["runs"])]
    assert shown[-1] == f"{project['pay_cents'] / 100:.2f}"
    assert "project" in run("status", database).stdout
    assert json.loads(run("status", database, "--json").stdout)["progress"]["project"] == "speech"


def test_a_task_that_is_not_there_and_a_name_that_is_none(database: Path) -> None:
    unknown = run("projects", database, "--put", "sentence ratings", "speech")
    assert unknown.exit_code == 2
    assert "there is no task 'sentence ratings'; tasks: 'sentence rating'" in unknown.stderr
    refused = run("projects", database, "--put", "sentence rating", "NO_PROJECT")
    assert refused.exit_code == 1
    assert "a project cannot be named 'NO_PROJECT'" in refused.stderr
