"""Review scripts and notebooks: Mephisto's objects and verbs on a log, without an operator and beside one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

import mephisto_es
from mephisto_es import (
    CommandRefusedError,
    ConfigError,
    DataBrowser,
    LocalMephistoDB,
    MephistoDB,
    Operator,
    ProjectView,
    UnknownEntityError,
    UnusableLogError,
    connect,
    open_operator,
)
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.operations.config_handler import add_config_arg
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    with SqliteLog.create_or_open(tmp_path / DATABASE_FILE, PROJECTIONS) as log:
        log.commit(sample_history())
    return tmp_path


@pytest.fixture
def db(data_dir: Path) -> Iterator[LocalMephistoDB]:
    with connect(data_dir, author="ann") as db:
        yield db


def review(db: LocalMephistoDB) -> None:
    """A review script as Mephisto's users write it."""
    for number, unit in enumerate(db.find_units(status="completed")[:4]):
        agent = unit.get_assigned_agent()
        assert agent is not None
        if number == 0:
            agent.approve_work(review_note="well done", bonus=0.05)
        elif number == 1:
            agent.soft_reject_work("too short")
        elif number == 2:
            agent.reject_work("not the task")
        else:
            agent.approve_work()
        worker = agent.get_worker()
        if not worker.is_qualified("reviewed"):
            worker.grant_qualification("reviewed", number + 1)
        assert worker.bonus_worker(0.5, "thank you", unit) == (True, "")


def test_a_review_script_without_an_operator(db: LocalMephistoDB, data_dir: Path) -> None:
    units = db.find_units(status="completed")[:4]
    review(db)
    assert [unit.get_db_status() for unit in units] == ["accepted", "soft_rejected", "rejected", "accepted"]
    worker = units[0].get_assigned_agent().get_worker()  # type: ignore[union-attr]  # it was assigned
    assert worker.get_granted_qualification("reviewed").value == 1  # type: ignore[union-attr]  # just granted
    assert worker.block_worker("answers at random") == (True, "")
    assert worker.is_blocked()
    assert worker.unblock_worker("a mistake") == (True, "")
    assert worker.revoke_qualification("reviewed")
    assert not worker.is_qualified("reviewed")
    assert {bonus.bonus_cents for bonus in db.find_agent_bonuses()} == {5, 50}
    assert len(DataBrowser(db).get_units_for_task_name(db.find_tasks()[0].task_name)) == 30
    db.close()
    report = replay(data_dir / DATABASE_FILE, PROJECTIONS)
    assert report.legal, report.findings


def test_names_are_registered_and_qualifications_made(db: LocalMephistoDB) -> None:
    worker = db.new_worker("known-from-elsewhere", "mock")
    assert db.get_worker(worker).worker_name == "known-from-elsewhere"
    assert db.get_requester(db.new_requester("the-lab", "mock")).requester_name == "the-lab"
    made = db.make_qualification("can-see")
    assert db.make_qualification("can-see") == made
    db.grant_qualification(made, str(worker), 3)
    assert db.get_worker(worker).get_qualifications() == {"can-see": 3}
    db.revoke_qualification(made, worker)
    assert db.get_worker(worker).get_qualifications() == {}
    with pytest.raises(CommandRefusedError, match="already"):
        db.new_worker("known-from-elsewhere", "mock")


def test_a_refusal_says_why(db: LocalMephistoDB) -> None:
    agent = db.find_units(status="completed")[0].get_assigned_agent()
    assert agent is not None
    with pytest.raises(ConfigError, match="not a whole number of cents"):
        agent.get_worker().bonus_worker(0.001, "nearly nothing")
    launched = db.find_agents(status="in task")[0]
    with pytest.raises(CommandRefusedError, match="agent"):
        launched.approve_work()


def test_a_database_that_only_reads_names_the_one_that_decides(data_dir: Path) -> None:
    with (
        MephistoDB(data_dir / DATABASE_FILE) as db,
        pytest.raises(CommandRefusedError, match=r"mephisto_es\.connect\(path\)"),
    ):
        db.find_workers()[0].grant_qualification("reviewed")


async def test_a_review_script_beside_an_operator(data_dir: Path) -> None:
    def script() -> None:
        with connect(data_dir) as db:
            review(db)

    with trio.fail_after(120):
        async with open_operator(data_dir) as operator:
            await trio.to_thread.run_sync(script)
            assert operator.ledger.state.qualifications_by_name.keys() == {"reviewed"}
            with connect(data_dir) as db, pytest.raises(ConfigError, match=r"operator\.reviewer\(\)"):
                db.make_qualification("on the loop")


def test_there_must_be_a_log(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match="check the path"):
        LocalMephistoDB(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("RunScriptConfig", "TaskConfig"), ("building_react_apps", "build_custom_bundle"), ("Packet", "plain dicts")],
)
def test_an_old_name_answers_with_what_to_write(name: str, remedy: str) -> None:
    with pytest.raises(ImportError, match=f"{name}.*{remedy}"):
        getattr(mephisto_es, name)


def test_an_operator_made_from_a_database_answers_with_what_to_write(db: LocalMephistoDB) -> None:
    with pytest.raises(ConfigError, match="open_operator"):
        partial(Operator)(db)  # type: ignore[call-arg, arg-type]  # Mephisto's way


async def test_the_old_name_of_a_launch_answers_with_what_to_write(tmp_path: Path) -> None:
    async with open_operator(tmp_path) as operator:
        with pytest.raises(ConfigError, match=r"await operator\.launch_task_run"):
            operator.validate_and_run_config({}, None)


def test_projects_group_tasks_as_in_mephisto(db: LocalMephistoDB) -> None:
    [task] = db.find_tasks()
    assert (task.get_project(), db.find_projects()) == (None, [])
    speech = db.new_project("speech")
    with pytest.raises(CommandRefusedError, match="the project 'speech' is registered already"):
        db.new_project("speech")
    db.update_task(task.task_id, project_id=speech)
    other = db.new_task("another", "static_task", project_id=str(speech))
    project = ProjectView.get(db, speech)
    assert [one.task_id for one in project.get_tasks()] == [task.task_id, other]
    assert task.get_project() == project == db.get_project(speech)
    assert [one.task_id for one in db.find_tasks(project_id=speech)] == [task.task_id, other]
    assert project.get_total_spend() == task.get_total_spend()
    with pytest.raises(UnknownEntityError):
        db.update_task(task.task_id, project_id=speech + 1)
    with pytest.raises(UnknownEntityError):
        db.new_task("in nothing", "static_task", project_id=speech + 1)
    assert db.find_tasks(task_name="in nothing") == []


def test_a_run_gives_its_settings_and_its_folder(db: LocalMephistoDB, data_dir: Path) -> None:
    run = db.find_task_runs()[0]
    assert run.get_task_args() == run.args
    assert run.get_run_dir() == str(data_dir / "runs" / str(run.task_run_id))
    worker = db.find_workers()[0]
    assert {unit.get_worker() for unit in worker.get_units() if unit.get_assigned_agent()} <= {worker}


def test_without_a_path_it_is_the_data_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(data_dir / "config.yml"))
    add_config_arg("core", "main_data_directory", str(data_dir))
    with LocalMephistoDB() as db, MephistoDB(data_dir / DATABASE_FILE) as same:
        assert db.find_task_runs() == same.find_task_runs()


def test_the_data_folder_gets_an_empty_log_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    add_config_arg("core", "main_data_directory", str(tmp_path / "data"))
    with LocalMephistoDB() as db:
        assert db.find_task_runs() == []
        with pytest.raises(UnknownEntityError, match=r"no task 'colors' in .*data.*, which has no task yet"):
            DataBrowser(db).get_units_for_task_name("colors")
    assert (tmp_path / "data" / DATABASE_FILE).exists()
    assert "an empty log was made at" in capsys.readouterr().err
    with pytest.raises(UnusableLogError):
        LocalMephistoDB(tmp_path / "elsewhere")
