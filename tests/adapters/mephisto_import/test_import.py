"""An existing Mephisto database becomes a log."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.queries.unit_records import unit_records
from mephisto_es.projections.registry import PROJECTIONS

from .database import MIGRATION, ONBOARDINGS, UNITS, make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make(tmp_path / "database.db")


@pytest.fixture
def imported(source: Path, tmp_path: Path) -> Path:
    result = run(source, tmp_path / "imported")
    assert result.exit_code == 0, result.output
    return tmp_path / "imported" / "mephisto.db"


def run(source: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(command.main, ["import-mephisto", str(source), "-o", str(output), *options])


def test_every_status_is_the_source_s(imported: Path) -> None:
    with open_as_of(imported) as moment:
        units = dict(moment.db.execute("SELECT unit_id, status FROM units").fetchall())
        agents = dict(moment.db.execute("SELECT agent_id, status FROM agents").fetchall())
        holders = dict(moment.db.execute("SELECT unit_id, agent_id FROM units").fetchall())
        onboardings = moment.db.execute("SELECT status FROM onboarding_agents ORDER BY 1").fetchall()
    assert units == {unit: status for unit, status, *_ in UNITS} | {15: "accepted"}
    assert holders == {unit: holder for unit, _, holder, _ in UNITS} | {15: 14}
    assert agents == {agent: status for *_, had in UNITS for agent, _, status in had} | {14: "approved"}
    assert [status for (status,) in onboardings] == sorted(ONBOARDINGS)


def test_the_log_is_legal_and_the_source_untouched(source: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(source.read_bytes()).digest()
    run(source, tmp_path / "imported")
    report = replay(tmp_path / "imported" / "mephisto.db", PROJECTIONS)
    assert report.legal, report.findings
    assert hashlib.sha256(source.read_bytes()).digest() == before


def test_whatever_is_told_afterwards_says_so(imported: Path) -> None:
    state = DecisionState()
    with open_as_of(imported) as moment:
        for recorded in moment.events():
            assert recorded.envelope.actor == "import"
            state.apply(recorded.envelope)
    assert state.qualifications_by_name == {"can-rate": 1}
    assert state.workers["worker/1"].qualifications == {1: 3}
    assert {engagement.worker for engagement in state.engagements.values()} == {1, 2, 3}
    assert state.engagements["engagement/1/3"].live == {7}
    assert state.engagements["engagement/1/2"].live == {11, 13}


def test_times_and_data_are_those_that_are_known(imported: Path) -> None:
    with open_as_of(imported) as moment:
        rows = {row.unit_id: row for row in unit_records(moment, TaskRunId(1))}
    first, reviewed = rows[1], rows[2]
    assert (first.inputs, first.outputs) == ({"text": "Hello"}, {"rating": 4})
    assert first.worker_name == "Zoë 1"
    assert str(first.created_at) == "2024-03-01 09:31:01+00:00"
    assert str(first.submitted_at) == "2024-03-01 11:01:10.500000+00:00"
    assert str(reviewed.reviewed_at) == "2024-03-05 08:00:00+00:00"
    assert (reviewed.review_note, reviewed.pay_cents, reviewed.bonus_cents, reviewed.owed_cents) == (
        "well done",
        30,
        200,
        230,
    )
    assert rows[3].inputs == {}


def test_runs_end_as_they_did(imported: Path) -> None:
    with open_as_of(imported) as moment:
        runs = moment.db.execute("SELECT task_run_id, status, is_completed FROM task_runs").fetchall()
    assert runs == [(1, "failed", 0), (2, "completed", 1)]


@pytest.mark.parametrize("words", [["runs"], ["status", "1"], ["timeline", "worker-1"], ["explain", "agent-3"]])
def test_every_verb_works_on_it(words: list[str], imported: Path) -> None:
    verb, *subject = words
    result = CliRunner().invoke(command.main, [verb, str(imported), *subject])
    assert result.exit_code == 0, result.output


def test_the_figures_of_both_are_shown(source: Path, tmp_path: Path) -> None:
    told = run(source, tmp_path / "told")
    assert "units, soft_rejected" in told.stdout
    assert "differs" not in told.stdout
    report = json.loads(run(source, tmp_path / "structured", "--json").stdout)
    assert all(figure["source"] == figure["log"] for figure in report["figures"])
    assert {"what": "units, accepted", "source": 2, "log": 2} in report["figures"]


def test_what_cannot_be_told_is_named(source: Path, tmp_path: Path) -> None:
    """A unit that somebody completed, though nobody ever had it, has no legal history."""
    with closing(sqlite3.connect(source)) as db:
        db.execute("UPDATE units SET status = 'completed' WHERE unit_id = 6")
        db.commit()
    result = run(source, tmp_path / "imported")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("units, completed")]
    assert line.split() == ["units,", "completed", "3", "2", "differs"]
    assert replay(tmp_path / "imported" / "mephisto.db", PROJECTIONS).legal


def test_a_migrated_database(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.executescript(MIGRATION)
    assert run(source, tmp_path / "imported").exit_code == 0
    with open_as_of(tmp_path / "imported" / "mephisto.db") as moment:
        assert moment.db.execute("SELECT review_note, bonus FROM unit_review WHERE unit_id = 2").fetchall() == [
            ("well done", 200)
        ]


def test_nothing_is_written_over(source: Path, imported: Path) -> None:
    result = run(source, imported)
    assert result.exit_code == 2
    assert result.stderr == (
        f"mephisto-es import-mephisto: {imported} exists; an import creates a new log, so name another file\n"
    )


def test_what_a_killed_import_left_is_no_log_and_the_next_one_removes_it(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "imported"
    folder.mkdir()
    complete = tmp_path / "complete"
    assert run(source, complete).exit_code == 0
    # An import writes here until it is complete.
    (folder / ".mephisto.db.importing").write_bytes((complete / "mephisto.db").read_bytes()[:-5000])
    (folder / ".mephisto.db.importing.anchor").write_text("torn")
    for verb in ("replay", "runs"):
        assert CliRunner().invoke(command.main, [verb, str(folder)]).exit_code == 2
    assert run(source, folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["mephisto.db", "mephisto.db.anchor"]
    assert replay(folder / "mephisto.db", PROJECTIONS).legal


def test_an_import_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute("UPDATE units SET pay_amount = 'a lot'")
        db.commit()
    folder = tmp_path / "imported"
    assert run(source, folder).exit_code != 0
    assert list(folder.iterdir()) == []


def test_what_is_no_mephisto_database(source: Path, imported: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("nothing of the kind " * 50)
    for path, why in (
        (tmp_path / "nothing.db", "there is no database at"),
        (tmp_path / "notes.db", "is not a Mephisto database: file is not a database"),
        (imported, "it is already a log of mephisto-es"),
    ):
        result = run(path, tmp_path / "elsewhere.db")
        assert result.exit_code == 2
        assert why in result.stderr
        assert not (tmp_path / "elsewhere.db").exists()


def test_a_folder_is_not_taken_for_the_database_in_it(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "mephisto" / "data").mkdir(parents=True)
    shutil.copy(source, tmp_path / "mephisto" / "data" / "database.db")
    for folder, remedy in (
        ("empty", "name the database.db of its data folder"),
        ("mephisto", f"name the database in it, {tmp_path / 'mephisto' / 'data' / 'database.db'}"),
    ):
        result = run(tmp_path / folder, tmp_path / "elsewhere")
        assert result.exit_code == 2
        assert not (tmp_path / "elsewhere").exists()
        assert f"{tmp_path / folder} is a folder, not the database of Mephisto; {remedy}" in result.stderr
