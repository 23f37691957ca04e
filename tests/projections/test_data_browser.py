"""Collected work, as scripts written for Mephisto get it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentMetadataReceived
from mephisto_es.events.base import FileRef
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.worker import WorkerErased
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.queries.data_browser import DataBrowser

from ..history_search import find_history, has_work_of_every_kind
from .views import PROJECTION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, [PROJECTION]) as log:
        log.commit(find_history(1500, has_work_of_every_kind))
    return path


def append(path: Path, *requests: AppendRequest) -> None:
    with SqliteLog.create_or_open(path, [PROJECTION]) as log:
        log.commit(requests)


def browser(path: Path) -> DataBrowser:
    return DataBrowser(MephistoDB(path))


def test_units_by_task_and_by_run(path: Path) -> None:
    data = browser(path)
    completed = {"completed", "accepted", "rejected", "soft_rejected"}
    every = data.db.find_units()
    names = data.get_task_name_list()
    assert names == [task.task_name for task in data.db.find_tasks()]
    by_task = [unit for name in names for unit in data.get_units_for_task_name(name)]
    assert {unit.unit_id for unit in by_task} == {unit.unit_id for unit in every if unit.status in completed}
    ended = [unit for name in names for unit in data.get_all_units_for_task_name(name)]
    assert {unit.unit_id for unit in ended} == {
        unit.unit_id for unit in every if unit.status in completed | {"expired"}
    }
    by_run = [unit for run in data.db.find_task_runs() for unit in data.get_units_for_run_id(str(run.task_run_id))]
    assert {unit.unit_id for unit in by_run} == {unit.unit_id for unit in by_task}
    with pytest.raises(UnknownEntityError, match=r"there is no task 'untold' in .*, whose tasks are '\w"):
        data.get_units_for_task_name("untold")
    with pytest.raises(UnknownEntityError, match="there is no run-999; the nearest is run-"):
        data.get_units_for_run_id(999)


def test_the_data_of_a_unit_has_mephistos_keys(path: Path) -> None:
    data = browser(path)
    accepted = [(unit, data.get_data_from_unit(unit)) for unit in data.db.find_units(status="accepted")]
    unit, found = next((unit, found) for unit, found in accepted if found["worker_name"])
    assert set(found) == {
        *("assignment_id", "data", "metadata", "status", "task_start", "task_end", "unit_id", "worker_id"),
        *("worker_name", "tips", "feedback"),
    }
    assert (found["unit_id"], found["assignment_id"], found["status"]) == (unit.unit_id, unit.assignment_id, "approved")
    assert found["worker_name"] == f"Zoë {found['worker_id']}"
    assert found["data"]["inputs"] == {"text": "All happy families"}
    outputs = found["data"]["outputs"]
    assert isinstance(outputs, dict)
    assert outputs["rating"] in range(1, 6)


def test_names_of_uploaded_files_stand_in_the_outputs(path: Path) -> None:
    data = browser(path)
    units = [unit for name in data.get_task_name_list() for unit in data.get_units_for_task_name(name)]
    outputs = [data.get_data_from_unit(unit)["data"]["outputs"] for unit in units]
    files = [one["files"] for one in outputs if isinstance(one, dict) and "files" in one]
    assert files
    assert all(isinstance(names, list) and str(names[0]).endswith(".png") for names in files)
    assert any(isinstance(one, dict) and "files" not in one for one in outputs)


def test_what_the_worker_left_beside_the_work(path: Path) -> None:
    unit = browser(path).db.find_units(status="completed")[0]
    assert unit.agent_id is not None
    stream = streams.agent(unit.task_run_id, unit.agent_id)
    file = FileRef(filename="f" * 32, size=4, sha256="0" * 64)
    details = b'[{"filename": "%s", "fieldname": "proof", "originalname": "me.png", "size": 4}]' % (b"f" * 32)
    proof = seal(details, bytes(16), unit.worker_id)
    for number, (said, files) in enumerate(
        (
            ({"tips": {"type": "tips", "header": "hello", "text": "be kind"}}, ()),
            ({"feedback": {"data": [{"question": "How was it?", "text": "short"}]}}, ()),
            ({"worker_opinion": {"questions": [{"question": "Why?", "text": "because"}]}}, (file,)),
            ({"worker_opinion": {"questions": [{"question": "And?", "text": "well"}]}}, ()),
            ({"tips": {"header": "again", "text": "be kinder"}}, ()),
            ({"mood": "good"}, ()),
        )
    ):
        left = seal(msgspec.json.encode({"metadata": said}), bytes([number] * 16), unit.worker_id)
        received = AgentMetadataReceived(metadata=left.ref, files=files, file_details=proof.ref if files else None)
        payloads = (left, proof) if files else (left,)
        event = NewEvent(stream, received)
        append(path, AppendRequest(command=f"m{number}", actor="worker/1", at=0, events=(event,), payloads=payloads))
    data = browser(path).get_data_from_unit(unit)
    metadata = data["metadata"]
    assert [(tip["header"], tip["text"], tip["accepted"]) for tip in metadata["tips"]] == [
        ("hello", "be kind", False),
        ("again", "be kinder", False),
    ]
    [feedback] = metadata["feedback"]
    assert (feedback["question"], feedback["text"], feedback["reviewed"]) == ("How was it?", "short", False)
    opinion = metadata["worker_opinion"]
    assert [(one["question"], one["answer"]) for one in opinion["questions"]] == [("Why?", "because"), ("And?", "well")]
    assert [one["originalname"] for one in opinion["attachments"]] == ["me.png"]
    assert list(opinion["attachments_by_fields"]) == ["proof"]
    assert metadata["default"] == {"mood": "good"}
    assert metadata["task_end"] is not None
    assert (data["tips"], data["feedback"]) == (metadata["tips"], metadata["feedback"])
    name = browser(path).db.get_task(unit.task_id).task_name
    assert browser(path).get_metadata_property_from_task_name(name, "tips") == metadata["tips"]
    with pytest.raises(UnknownEntityError, match="there is no property 'mood'"):
        browser(path).get_metadata_property_from_task_name(name, "mood")


def test_a_unit_that_nobody_has(path: Path) -> None:
    data = browser(path)
    unit = next(unit for unit in data.db.find_units() if unit.agent_id is None)
    with pytest.raises(UnknownEntityError, match=f"there is no agent of unit-{unit.unit_id}: it is {unit.status}"):
        data.get_data_from_unit(unit)
    found = data.get_data_from_unit(unit, raise_exception=False)
    assert (found["data"], found["metadata"], found["status"], found["worker_id"]) == ({}, {}, None, None)


def test_a_forgotten_worker_leaves_the_unit_without_its_work(path: Path) -> None:
    unit = browser(path).db.find_units(status="accepted")[0]
    assert unit.worker_id is not None
    event = NewEvent(streams.worker(WorkerId(unit.worker_id)), WorkerErased(reason="asked for it"))
    append(path, AppendRequest(command="forget", actor="operator", at=0, events=(event,)))
    found = browser(path).get_data_from_unit(unit)
    assert found["worker_name"] is None
    assert found["data"] == {"inputs": {"text": "All happy families"}, "outputs": None}


def test_workers_with_a_qualification(path: Path) -> None:
    data = browser(path)
    for qualification in data.db.find_qualifications():
        granted = data.db.find_granted_qualifications(qualification_id=qualification.qualification_id)
        found = data.get_workers_with_qualification(qualification.qualification_name)
        assert [worker.worker_id for worker in found] == [one.worker_id for one in granted if one.value == 1]
    with pytest.raises(UnknownEntityError, match="there is no qualification 'reads Latin'"):
        data.get_workers_with_qualification("reads Latin")
