"""Everything that Mephisto keeps comes over: chats, requests, onboardings, blocks, metadata, files; or it is named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es import MephistoDB
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.projections.registry import PROJECTIONS

from ...json_schema import assert_fits
from .database import make

MESSAGES = [
    {"id": "Speaker 1", "text": "Hello, how are you?", "update_id": "a", "timestamp": 1_709_290_820.25},
    {"id": "Speaker 2", "text": "Fine, thanks", "update_id": "b", "task_data": {}, "timestamp": 1_709_290_830.5},
]
REQUESTS = [
    {"uuid": "r1", "target": "add", "args_json": "[1]", "response_json": None, "timestamp": 1_709_290_821.0},
    {"uuid": "r2", "target": "r1", "args_json": None, "response_json": "2", "timestamp": 1_709_290_822.0},
]
PHOTO = b"\x89PNG" * 100
#: An agent of the sample database that submitted.
FORM = 3


def write(folder: Path, name: str, value: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database with data of a static task; agents 3, 4 and 5 did units 2, 3 and 4."""
    (tmp_path / "old").mkdir()
    path = make(tmp_path / "old" / "database.db")
    run = tmp_path / "old" / "data" / "runs" / "NO_PROJECT" / "1"
    form = run / "2" / str(FORM)
    by_fields = {
        "photo": [{"originalname": "me.png", "mimetype": "image/png", "filename": "1-photo-me.png", "size": 400}]
    }
    submitted = {"rating": 4, "files": ["1-photo-me.png"], "filesByFields": by_fields}
    write(form, "agent_data.json", {"inputs": {}, "outputs": submitted})
    (form / "1-photo-me.png").write_bytes(PHOTO)
    feedback = [{"id": "x", "question": "How was it?", "text": "short", "reviewed": False, "toxicity": None}]
    tips = [{"id": "y", "header": "hello", "text": "be kind", "accepted": False}]
    opinion = {"attachments": [], "attachments_by_fields": {}, "questions": [{"question": "Why?", "answer": "because"}]}
    times = {"task_start": 1_709_290_810.0, "task_end": 1_709_290_870.5}
    write(form, "agent_meta.json", {**times, "tips": tips, "feedback": feedback, "worker_opinion": opinion})
    write(run / "onboarding" / "onboarding_1", "agent_data.json", {"inputs": {}, "outputs": {"success": True}})
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE workers SET worker_name = 'WA_sandbox' WHERE worker_id = 2")
        db.commit()
    datastore = tmp_path / "old" / "mock"
    datastore.mkdir()
    with closing(sqlite3.connect(datastore / "mock.db")) as db:
        db.execute("CREATE TABLE workers (worker_id TEXT PRIMARY KEY UNIQUE, is_blocked BOOLEAN)")
        db.execute("INSERT INTO workers VALUES ('1', 0), ('3', 1)")
        db.commit()
    return path


def run(source: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(command.main, ["import-mephisto", str(source), "-o", str(output), *options])


@pytest.fixture
def db(source: Path, tmp_path: Path) -> Iterator[MephistoDB]:
    result = run(source, tmp_path / "imported")
    assert result.exit_code == 0, result.output
    with MephistoDB(tmp_path / "imported" / "mephisto.db") as db:
        yield db


def test_a_form_with_its_file_and_what_was_said_about_it(db: MephistoDB, tmp_path: Path) -> None:
    agent = db.get_agent(FORM)
    outputs = agent.state.get_data()["outputs"]
    assert (outputs["rating"], outputs["files"]) == (4, ["1-photo-me.png"])
    [details] = outputs["filesByFields"]["photo"]
    assert (details["originalname"], details["mimetype"], details["size"]) == ("me.png", "image/png", len(PHOTO))
    assert Path(agent.get_data_dir(), "1-photo-me.png").read_bytes() == PHOTO
    metadata = agent.state.get_metadata()
    assert (metadata["task_start"], metadata["task_end"]) == (1_709_290_810.0, 1_709_290_870.5)
    assert [(tip["header"], tip["text"]) for tip in metadata["tips"]] == [("hello", "be kind")]
    assert [one["text"] for one in metadata["feedback"]] == ["short"]
    assert [one["answer"] for one in metadata["worker_opinion"]["questions"]] == ["because"]


def test_onboarding_answers_blocks_and_names(db: MephistoDB) -> None:
    assert db.get_onboarding_agent(1).state.get_data()["outputs"] == {"success": True}
    assert [db.get_worker(worker).is_blocked() for worker in (1, 2, 3)] == [False, False, True]
    assert db.get_worker(2).worker_name == "WA"


@pytest.mark.parametrize(
    ("task_type", "kinds"),
    [
        ("parlai_chat", ["agent_observed", "agent_observed", "agent_submitted"]),
        ("remote_procedure", ["agent_update_received", "agent_observed", "agent_submitted"]),
    ],
)
def test_messages_and_requests_are_those_of_mephisto(
    source: Path, tmp_path: Path, task_type: str, kinds: list[str]
) -> None:
    folder = source.parent / "data" / "runs" / "NO_PROJECT" / "1" / "3" / "4"
    final = {"rating": 5}
    what = {"messages": MESSAGES} if task_type == "parlai_chat" else {"requests": REQUESTS}
    write(folder, "state.json", {"inputs": {}, "outputs": {**what, "final_submission": final}, "start_time": 1.7e9})
    with closing(sqlite3.connect(source)) as old:
        old.execute("UPDATE agents SET status = 'disconnect' WHERE agent_id NOT IN (4)")
        old.execute("UPDATE units SET status = 'expired' WHERE unit_id != 3")
        old.execute("UPDATE task_runs SET task_type = ?", (task_type,))
        old.commit()
    run(source, tmp_path / "imported")
    with MephistoDB(tmp_path / "imported" / "mephisto.db") as db:
        assert [row.kind for row in db.find_agent_payloads(agent_id=4)] == kinds
        data: dict[str, Any] = db.get_agent(4).state.get_data()["outputs"]
    assert data["final_submission"] == final
    if task_type == "parlai_chat":
        said = [{key: value for key, value in one.items() if key != "sent_by"} for one in data["messages"]]
        assert said == MESSAGES
    else:
        assert data["requests"] == REQUESTS


def test_the_log_is_legal(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "imported")
    report = replay(tmp_path / "imported" / "mephisto.db", PROJECTIONS)
    assert report.legal, report.findings


def test_contents_are_compared(source: Path, tmp_path: Path) -> None:
    report = assert_fits("import-mephisto", run(source, tmp_path / "imported", "--json").stdout)
    figures = {figure["what"]: (figure["source"], figure["log"]) for figure in report["figures"]}
    assert figures["names of workers"] == (3, 3)
    assert figures["blocked workers"] == (1, 1)
    assert figures["uploaded files"] == (1, 1)
    assert figures["agents with tips, feedback or opinions"] == (1, 1)
    assert figures["answers in onboardings"] == (3, 3)
    assert report["left_out"] == []


def test_a_database_of_the_only_version_on_pypi_has_no_reviews(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as old:
        old.execute("DROP TABLE unit_review")
        old.commit()
    result = run(source, tmp_path / "imported")
    assert result.exit_code == 0, result.output
    with MephistoDB(tmp_path / "imported" / "mephisto.db") as db:
        assert {unit.status for unit in db.find_units()} >= {"accepted", "rejected", "soft_rejected"}


def test_projects_and_their_tasks_are_there(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as old:
        old.execute(
            "INSERT INTO projects VALUES (7, 'speech', '2024-03-02 09:00:00'), (8, 'empty', '2024-03-02 09:00:00')"
        )
        old.execute("UPDATE tasks SET project_id = 7")
        old.commit()
    result = run(source, tmp_path / "imported", "--json")
    assert result.exit_code == 0, result.output
    assert {"what": "projects of tasks", "source": 1, "log": 1} in json.loads(result.stdout)["figures"]
    with MephistoDB(tmp_path / "imported" / "mephisto.db") as db:
        [task] = db.find_tasks(project_id=7)
        project = task.get_project()
        assert project == db.get_project(7)
        assert project is not None
        assert (project.project_name, project.creation_date) == ("speech", "2024-03-02 09:00:00.000")
        assert project.get_total_spend() == task.get_total_spend() > 0
        assert db.find_projects("empty")[0].get_tasks() == []


def test_what_is_left_out_is_named_and_fails(source: Path, tmp_path: Path) -> None:
    run_dir = source.parent / "data" / "runs" / "NO_PROJECT" / "1"
    (run_dir / "2" / str(FORM) / "1-photo-me.png").unlink()
    (run_dir / "4" / "5").mkdir(parents=True)
    (run_dir / "4" / "5" / "state.json").write_text('{"inputs": {}, "outp')
    with closing(sqlite3.connect(source)) as old:
        old.execute("UPDATE tasks SET parent_task_id = 1")
        old.execute("UPDATE agents SET status = 'none' WHERE agent_id = 13")
        old.commit()
    result = run(source, tmp_path / "imported", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["left_out"] == [
        "the parent tasks of 1 tasks",
        f"file '1-photo-me.png' of agent-{FORM}: it is not beside the database",
        "the status `none` of 1 agents, which became `accepted`",
        "data/runs/NO_PROJECT/1/4/5/state.json: it is not complete, as a killed process leaves it",
    ]


def test_a_failed_import_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as old:
        old.execute("UPDATE units SET pay_amount = 'a lot' WHERE unit_id = 1")
        old.commit()
    output = tmp_path / "imported"
    result = run(source, output)
    assert result.exit_code == 2
    assert "the table units of" in result.stderr
    assert list(output.iterdir()) == []
    with closing(sqlite3.connect(source)) as old:
        old.execute("UPDATE units SET pay_amount = 0.3 WHERE unit_id = 1")
        old.commit()
    assert run(source, output).exit_code == 0
    assert {"mephisto.db", "runs"} <= {path.name for path in output.iterdir()}


def test_the_last_verdict_on_a_unit_counts_and_the_others_are_named(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source)) as old:
        old.execute(
            "INSERT INTO unit_review(unit_id, worker_id, task_id, status, review_note, bonus, updated_qualification_id,"
            " updated_qualification_value, created_at) VALUES"
            " (3, 1, 1, 'rejected', 'no', 0, 1, 0, '2024-03-06 08:00:00'),"
            " (3, 1, 1, 'rejected', 'still no', 0, NULL, NULL, '2024-03-07 08:00:00')"
        )
        old.commit()
    result = run(source, tmp_path / "imported", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["left_out"] == [
        "1 verdicts that later ones replaced",
        "that qualifications changed with 1 verdicts; the qualifications are there",
    ]
    [verdicts] = [figure for figure in report["figures"] if figure["what"] == "notes and bonuses of verdicts"]
    assert verdicts["source"] == verdicts["log"] == 2
    with MephistoDB(tmp_path / "imported" / "mephisto.db") as db:
        assert [review.review_note for review in db.find_unit_reviews(unit_id=3)] == ["still no"]
