"""Reading the view under Mephisto's names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import UnknownEntityError, UnusableLogError
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.events.codec import KIND_OF
from mephisto_es.projections import queries
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.mephisto_db.data_model import AgentView, UnitView
from mephisto_es.projections.mephisto_db.rows import Row
from mephisto_es.projections.mephisto_db.tables import TABLES

from ..histories import history
from ..history_search import find_history, has_work_of_every_kind
from .views import PROJECTION, empty, lived


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log on disk with a long history in it."""
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, [PROJECTION]) as log:
        log.commit(find_history(600, has_work_of_every_kind))
    return path


@pytest.fixture
def db(path: Path) -> Iterator[MephistoDB]:
    with MephistoDB(path) as db:
        yield db


def test_rows_are_typed(db: MephistoDB) -> None:
    unit = db.find_units(status="completed")[0]
    assert isinstance(unit, UnitView)
    assert unit.sandbox in (True, False)
    assert isinstance(unit.sandbox, bool)
    assert unit.agent_id is not None
    agent = db.get_agent(unit.agent_id)
    assert isinstance(agent, AgentView)
    assert (agent.unit_id, agent.assignment_id, agent.status) == (unit.unit_id, unit.assignment_id, "completed")
    assert agent.task_start is not None
    assert agent.task_end is not None
    assert agent.task_start <= agent.task_end
    worker = next(worker for worker in db.find_workers() if worker.status != "erased")
    assert worker.worker_name == f"Zoë {worker.worker_id}"
    assert db.find_workers(worker_name=worker.worker_name) == [worker]


def test_everything_found_can_be_got_again_by_its_id(db: MephistoDB) -> None:
    found: list[tuple[list[Row], str]] = [
        ([*db.find_tasks()], "get_task"),
        ([*db.find_requesters()], "get_requester"),
        ([*db.find_task_runs()], "get_task_run"),
        ([*db.find_assignments()], "get_assignment"),
        ([*db.find_units()], "get_unit"),
        ([*db.find_workers()], "get_worker"),
        ([*db.find_agents()], "get_agent"),
        ([*db.find_onboarding_agents()], "get_onboarding_agent"),
        ([*db.find_qualifications()], "get_qualification"),
    ]
    for rows, name in found:
        assert rows, name
        assert [row.db_id for row in rows] == sorted(row.db_id for row in rows)
        assert getattr(db, name)(rows[-1].db_id) == rows[-1]
        assert getattr(db, name)(str(rows[-1].db_id)) == rows[-1]
    assert [project.project_name for project in db.find_projects()]


def test_criteria_narrow_what_is_found(db: MephistoDB) -> None:
    units = db.find_units()
    run = db.find_task_runs()[0]
    assert db.find_units(task_run_id=run.task_run_id) == [one for one in units if one.task_run_id == run.task_run_id]
    assert db.find_units(status="expired") == [one for one in units if one.status == "expired"]
    assert db.find_units(status="expired", unit_index=1) == [
        one for one in units if one.status == "expired" and one.unit_index == 1
    ]
    assert db.find_units(status=None) == units
    assert db.find_units(status="no such status") == []
    assert db.find_task_runs(is_completed=False) == [one for one in db.find_task_runs() if not one.is_completed]
    granted = db.find_granted_qualifications()
    assert db.check_granted_qualifications(worker_id=granted[0].worker_id) == [
        one for one in granted if one.worker_id == granted[0].worker_id
    ]
    assert db.get_granted_qualification(granted[0].qualification_id, granted[0].worker_id) == granted[0]
    reviews = db.find_unit_reviews(status="approved")
    assert reviews
    assert {review.status for review in reviews} == {"approved"}


def test_a_column_that_is_none_is_refused(db: MephistoDB) -> None:
    with pytest.raises(TypeError, match="units cannot be found by colour"):
        db.find_units(colour="blue")  # type: ignore[call-arg]  # what a script without a type checker may do


def test_an_unknown_id_is_told_with_the_nearest_one(db: MephistoDB) -> None:
    last = db.find_units()[-1].unit_id
    with pytest.raises(UnknownEntityError, match=f"there is no unit-{last + 50}; the nearest is unit-{last}$"):
        db.get_unit(last + 50)
    with pytest.raises(UnknownEntityError, match=r"there is no agent-soon$"):
        db.get_agent("soon")
    with pytest.raises(UnknownEntityError, match="there is no qualification-1 of worker-1"):
        db.get_granted_qualification(1, 1)
    with pytest.raises(UnknownEntityError, match=r"there is no unit-1$"):
        MephistoDB(empty()).get_unit(1)


def test_what_rows_refer_to_is_read_from_the_same_file(db: MephistoDB) -> None:
    data = db.get_assignment_data(db.find_assignments()[0].assignment_id)
    assert data is not None
    assert data.shared == {"text": "All happy families"}
    sent = db.find_agent_payloads(kind=KIND_OF[AgentSubmitted])
    assert sent
    outputs = db.read_json(sent[0].ref)
    assert isinstance(outputs, dict)
    assert set(outputs) == {"rating"}


def test_rows_are_json_for_programs(db: MephistoDB) -> None:
    unit = db.find_units()[0]
    assert msgspec.json.decode(msgspec.json.encode(unit), type=UnitView) == unit


def test_it_reads_while_the_log_is_written_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    requests = history(Random(6), 100)
    with SqliteLog.create_or_open(path, [PROJECTION]) as log, MephistoDB(path) as db:
        assert db.find_units() == []
        log.commit(requests)
        assert db.find_units() != []
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db._db.execute("DELETE FROM units")


def test_a_connection_stays_the_callers() -> None:
    view, store = lived(history(Random(7), 50))
    view.row_factory = sqlite3.Row
    with MephistoDB(view, store.read) as db:
        assert db.get_assignment_data(db.find_assignments()[0].assignment_id) is not None
    assert view.execute("SELECT count(*) AS n FROM units").fetchone()["n"] > 0


def test_files_without_a_view_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match=r"there is no database at .*nothing\.db; check the path"):
        MephistoDB(tmp_path / "nothing.db")
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, but long enough to have a header of its own, one would think\n" * 20)
    with pytest.raises(UnusableLogError, match=r"notes\.txt cannot be .*not a database"):
        MephistoDB(text)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE things(a)")
    connection.close()
    with pytest.raises(UnusableLogError, match=r"other\.db has no MephistoDB view: the table projects is missing"):
        MephistoDB(other)


def test_tables_and_columns_are_mephistos() -> None:
    columns = {table.name: table.columns for table in TABLES}
    assert columns["units"][:14] == (
        *("unit_id", "assignment_id", "unit_index", "pay_amount", "provider_type", "status", "agent_id", "worker_id"),
        *("task_type", "task_id", "task_run_id", "sandbox", "requester_id", "creation_date"),
    )
    assert columns["agents"][:10] == (
        *("agent_id", "worker_id", "unit_id", "task_id", "task_run_id", "assignment_id", "task_type"),
        *("provider_type", "status", "creation_date"),
    )
    assert set(columns) >= {
        *("projects", "tasks", "requesters", "task_runs", "assignments", "units", "workers", "agents"),
        *("onboarding_agents", "qualifications", "granted_qualifications", "unit_review"),
    }
    stored = empty().execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in stored} == set(columns)


def test_a_unit_on_offer_is_found_in_an_index() -> None:
    plan = empty().execute("EXPLAIN QUERY PLAN SELECT * FROM units WHERE task_run_id = 1 AND status = 'launched'")
    assert "USING INDEX idx_units_task_run_id_status" in plan.fetchone()[3]


def test_queries_read_the_view_through_the_reader_alone() -> None:
    for module in Path(str(queries.__file__)).parent.rglob("*.py"):
        assert "sqlite3" not in module.read_text("utf-8"), module
