"""Mephisto's utilities for examine and review scripts, at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mephisto_es import LocalMephistoDB, connect, print_results, run_examine_or_review
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.facade.examine import format_worker_stats, get_worker_stats, run_examine_by_worker
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.queries.data_browser import UnitData
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture
def db(tmp_path: Path) -> LocalMephistoDB:
    with SqliteLog.create_or_open(tmp_path / DATABASE_FILE, PROJECTIONS) as log:
        log.commit(sample_history())
    return connect(tmp_path, author="ann")


def shown(data: UnitData) -> str:
    return f"unit {data['unit_id']}"


def at_terminal(script: Callable[[], None], typed: str) -> str:
    """Run a script with lines typed at its prompts; returns what it printed."""
    result = CliRunner().invoke(click.Command("script", callback=script), input=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_results_are_printed_newest_first(db: LocalMephistoDB, capsys: pytest.CaptureFixture[str]) -> None:
    [name] = {task.task_name for task in db.find_tasks()}
    submitted = [f"unit {unit.unit_id}" for unit in db.find_units() if unit.agent_id is not None]
    print_results(db, name, shown)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 2
    assert set(printed) <= set(submitted)
    assert printed == sorted(printed, key=lambda line: -int(line.split()[1]))
    print_results(db, name, shown, start=1, end=2)
    assert capsys.readouterr().out.splitlines() == printed[1:2]
    assert at_terminal(lambda: run_examine_or_review(db, shown), f"e 1 2\n{name}\n").splitlines()[-1] == printed[1]


def test_work_is_reviewed_worker_by_worker(db: LocalMephistoDB) -> None:
    [name] = {task.task_name for task in db.find_tasks()}
    left = db.find_units(status="completed")
    workers = list(dict.fromkeys(unit.worker_id for unit in left))
    typed = "".join("A\ny\n" if number == 0 else "P\ny\n" for number, _ in enumerate(workers))
    output = at_terminal(lambda: run_examine_by_worker(db, shown, name, "barred", "good"), typed)
    assert all(f"unit {unit.unit_id}" in output for unit in left)
    assert db.find_units(status="completed") == []
    of_first = [unit for unit in left if unit.worker_id == workers[0]]
    assert {db.get_unit(unit.unit_id).status for unit in of_first} == {"accepted"}
    assert db.get_worker(int(workers[0] or 0)).is_qualified("good")
    if len(workers) > 1:
        assert db.get_worker(int(workers[1] or 0)).is_qualified("barred")
    stats = get_worker_stats(db.find_units())
    assert format_worker_stats(None, {}) == "(First time worker!)"
    accepted = len(stats[workers[0]]["accepted"])
    assert format_worker_stats(workers[0], stats).startswith(f"({accepted} | ")
