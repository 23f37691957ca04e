"""Hourly pay in `status`, and the bonuses that `review` proposes up to a minimum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import NewEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.queries.money.pay_ledger import find_untraced
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

# Each piece of work of the sample takes a minute and is worth 0.25: 15.00 an hour.
MINIMUM = {"task": {"minimum_hourly_pay": "18.00"}}


def log_with(tmp_path: Path, config: str) -> Path:
    def changed(new: NewEvent) -> NewEvent:
        is_run = isinstance(new.event, TaskRunCreated)
        return new._replace(event=replace(new.event, config=config)) if is_run else new

    path = tmp_path / "mephisto.db"
    history = [replace(one, events=tuple(map(changed, one.events))) for one in sample_history()]
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(history)
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return log_with(tmp_path, json.dumps(MINIMUM))


def run(*words: str | Path | int) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def test_work_below_the_minimum_is_lifted_to_it(database: Path) -> None:
    assert (
        "15.00 (median), lowest tenth 15.00 or less; 30 of 30 below 18.00: review --top-up"
        in run("status", database).stdout
    )
    assert "  top up 0.05" in run("review", database, 1).stdout
    assert json.loads(run("review", database, 1, "--json").stdout)["top_ups"]["1"] == 5

    assert run("review", database, 1, "--approve", "agent-1", "--top-up").stdout == "agent-1: approved, bonus 0.05\n"
    more = run("review", database, 1, "--approve", "agent-2", "--bonus", "0.40", "--top-up")
    assert more.stdout == "agent-2: approved, bonus 0.40\n"
    run("review", database, 1, "--reject", "agent-3", "--note", "copied", "--top-up")
    assert "27 of 30 below 18.00" in run("status", database).stdout
    assert "top up" not in run("review", database, 1, "--approve-all", "--top-up").stdout
    assert "below 18.00" not in run("status", database).stdout
    with open_as_of(database) as moment:
        assert find_untraced(moment, TaskRunId(1)) == []


def test_without_a_minimum_nothing_is_proposed(tmp_path: Path) -> None:
    database = log_with(tmp_path, "{}")
    assert "15.00 (median), lowest tenth 15.00 or less" in run("status", database).stdout
    assert "top up" not in run("review", database, 1).stdout
    assert run("review", database, 1, "--approve", "agent-1", "--top-up").stdout == "agent-1: approved\n"
