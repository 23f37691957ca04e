"""Extending a run by a file: read with the settings of its launch, checked, and added once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.abstractions.work_data import InitializationData
from mephisto_es.events.task_run import TaskRunBudgetChanged, TaskRunDataAdded, TaskRunUnitsRaised
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(sample_history())
    return tmp_path / "mephisto.db"


def ask(*words: object) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def added(database: Path) -> list[list[InitializationData]]:
    """Return the items of each addition."""
    with LogReader(database) as log:
        events = [one.envelope.event for one in log.read()]
        bodies = [log.payload(event.data) for event in events if isinstance(event, TaskRunDataAdded)]
    return [msgspec.json.decode(body or b"", type=list[InitializationData]) for body in bodies]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("more.csv", "id,sentence\n41,New\n42,Newer\n"),
        ("more.jsonl", '{"id": "41", "sentence": "New"}\n{"id": "42", "sentence": "Newer"}\n'),
        ("more.json", '[{"id": "41", "sentence": "New"}, {"id": "42", "sentence": "Newer"}]'),
    ],
)
def test_a_file_is_added_once(name: str, text: str, database: Path, tmp_path: Path) -> None:
    file = written(tmp_path, name, text)
    assert ask("extend", database, "--data", file).stdout == "run-1: 2 items added\n"
    assert ask("extend", database, "--data", file).stdout == "run-1: 2 items added  (recorded before)\n"
    by_ann = ask("extend", database, "--data", file, "--as", "ann", "--reason", "again")
    assert by_ann.stdout.startswith("run-1: 2 items added  (recorded before, by ")
    assert [[item.shared for item in items] for items in added(database)] == [
        [{"id": "41", "sentence": "New"}, {"id": "42", "sentence": "Newer"}]
    ]
    with MephistoDB(database) as db:
        assert db.get_task_run(1).assignment_count is None
    assert "2 more items of data" in ask("timeline", database, "run-1").stdout
    assert replay(database, PROJECTIONS).legal


def test_a_large_file_is_added_in_parts(database: Path, tmp_path: Path) -> None:
    rows = "".join(f"{number},{'long ' * 20_000}\n" for number in range(41, 65))
    said = ask("extend", database, "--data", written(tmp_path, "more.csv", f"id,sentence\n{rows}")).stdout
    assert said == "run-1: 20 items added\nrun-1: 4 items added\n"
    assert [len(items) for items in added(database)] == [20, 4]


def test_units_and_budget(database: Path) -> None:
    said = ask("extend", database, "--units-per-assignment", 3, "--budget", "50.00", "--as", "ann").stdout
    assert said == "run-1: 3 units per assignment\nrun-1: budget 50.00\n"
    assert "budget: 39.75 of 50.00 left, 0.00 owed or paid, 10.25 reserved" not in said
    assert "budget: 40.00 of 50.00 left, 0.00 owed or paid, 10.00 reserved" in ask("ledger", database).stdout
    assert ask("extend", database, "--budget", "none").stdout == "run-1: budget none\n"
    assert "budget:" not in ask("ledger", database).stdout
    assert "budget removed: nothing limits the cost (by " in ask("timeline", database, "run-1").stdout
    with LogReader(database) as log:
        changes = [one.envelope for one in log.read() if isinstance(one.envelope.event, TaskRunUnitsRaised)]
        budgets = [one.envelope.event for one in log.read() if isinstance(one.envelope.event, TaskRunBudgetChanged)]
    assert [one.actor for one in changes] == ["user/ann"]
    assert [one.budget_cents for one in budgets] == [5000, None]
    assert ask("ledger", database, "verify").exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "Nothing to do: give --data, --units-per-assignment or --budget."),
        (["--units-per-assignment", "1"], 1, "run 1 has 1 units per assignment already"),
        (["--budget", "1"], 1, "a budget of 100 cents does not cover run 1: 0 cents are owed, and 1000 are reserved"),
        (["--budget", "much"], 2, "--budget is 'much', which"),
        (["--data", "empty.csv"], 2, "holds no data"),
        (["--data", "wrong.json"], 2, "not JSON"),
    ],
)
def test_what_cannot_be_added(options: list[str], code: int, said: str, database: Path, tmp_path: Path) -> None:
    written(tmp_path, "empty.csv", "id,sentence\n")
    written(tmp_path, "wrong.json", "[")
    words = [str(tmp_path / one) if "." in one and not one[0].isdecimal() else one for one in options]
    result = ask("extend", database, *words)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output
    assert added(database) == []
