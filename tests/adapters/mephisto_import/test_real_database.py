"""A database that Mephisto 1.1.1 has written: every datum, by its own reading API and by ours."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mephisto_es import MephistoDB
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.projections.registry import PROJECTIONS

#: Written by `make_fixture.py` with the newest Mephisto on PyPI.
FIXTURE = Path(__file__).parent / "fixtures" / "mephisto-1.1.1.tar.gz"
#: Seconds to which a log has times.
PRECISION = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mephisto")
    with tarfile.open(FIXTURE) as packed:
        packed.extractall(folder / "old", filter="data")
    options = ["import-mephisto", str(folder / "old" / "database.db"), "-o", str(folder / "imported"), "--json"]
    result = CliRunner().invoke(command.main, options)
    assert result.exit_code == 0, result.output
    (folder / "report.json").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def dump(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "old" / "dump.json").read_text())
    return found


@pytest.fixture(scope="module")
def db(folder: Path) -> Iterator[MephistoDB]:
    with MephistoDB(folder / "imported" / "mephisto.db") as db:
        yield db


def test_only_what_the_report_names_is_left_out(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert [figure for figure in report["figures"] if figure["source"] != figure["log"]] == []
    assert report["left_out"] == []


def test_the_log_is_legal(folder: Path) -> None:
    report = replay(folder / "imported" / "mephisto.db", PROJECTIONS)
    assert report.legal, report.findings


def rounded(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages or requests without their times, which are compared apart, and without who sent them."""
    return [{key: value for key, value in one.items() if key not in {"timestamp", "sent_by"}} for one in sent]


def test_the_work_of_agents(db: MephistoDB, dump: dict[str, Any]) -> None:
    assert len(dump["agents"]) == 12
    for number, there in dump["agents"].items():
        agent = db.get_agent(number)
        here, data = agent.state.get_data(), there["data"]
        assert agent.status == there["status"]
        assert agent.state.get_task_start() == pytest.approx(there["start"], abs=PRECISION)
        left_at = agent.state.get_task_end()
        assert left_at == (there["end"] and pytest.approx(there["end"], abs=PRECISION))
        feedback = [(one["question"], one["text"]) for one in there["feedback"] or ()]
        assert [(one["question"], one["text"]) for one in agent.state.get_feedback() or ()] == feedback
        tips = [(tip["header"], tip["text"]) for tip in there["tips"] or ()]
        assert [(tip["header"], tip["text"]) for tip in agent.state.get_tips() or ()] == tips
        if "requests" in data:  # as remote procedures were kept before 1.2
            assert rounded(here["outputs"]["requests"]) == rounded(data["requests"])
            assert here["outputs"]["final_submission"] == data["final_submission"]
            assert here["inputs"] == data["init_data"]
        elif agent.task_type == "parlai_chat":
            there_said, here_said = data["outputs"]["messages"], here["outputs"]["messages"]
            assert rounded(here_said) == rounded(there_said)
            times = [one["timestamp"] for one in there_said]
            assert [one["timestamp"] for one in here_said] == pytest.approx(times, abs=PRECISION)
            assert here["outputs"]["final_submission"] == data["outputs"]["final_submission"]
            assert here["inputs"] == data["inputs"]
        else:
            outputs = here["outputs"]
            if isinstance(outputs, dict) and "files" in outputs:
                [name] = outputs["files"]
                assert Path(agent.get_data_dir(), name).read_bytes() == b"PNG" * 30
                del outputs["filesByFields"]  # not in that version
            assert here == data


def test_everything_else(db: MephistoDB, dump: dict[str, Any]) -> None:
    assert [project.project_name for project in db.find_projects()] == dump["projects"]
    for number, (name, project) in dump["tasks"].items():
        task, found = db.get_task(number), db.get_task(number).get_project()
        assert (task.task_name, found and found.project_name) == (name, project)
    units = {str(unit.unit_id): [unit.status, unit.agent_id, unit.pay_amount] for unit in db.find_units()}
    assert units == {
        number: [status, agent and int(agent), pay] for number, (status, agent, pay) in dump["units"].items()
    }
    workers = {str(one.worker_id): [f"{one.worker_name}_sandbox", one.is_blocked()] for one in db.find_workers()}
    assert workers == dump["workers"]
    for number, (status, data) in dump["onboardings"].items():
        onboarding = db.get_onboarding_agent(number)
        assert (onboarding.status, onboarding.state.get_data()) == (status, data)
    granted = sorted(
        [str(one.worker_id), db.get_qualification(one.qualification_id).qualification_name, one.value]
        for one in db.find_granted_qualifications()
    )
    assert granted == sorted(dump["qualifications"])
    runs = {
        str(run.task_run_id): [run.is_completed, run.get_task().task_name, run.task_type] for run in db.find_task_runs()
    }
    assert runs == dump["runs"]
