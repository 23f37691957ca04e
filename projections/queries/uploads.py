"""Lists the files that workers uploaded in a run."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import msgspec

from ...core.errors import UnknownEntityError
from ...core.payloads import RUNS_FOLDER, agent_files_dir
from ...events.ids import AgentId, TaskRunId, UnitId, WorkerId
from ..mephisto_db.data_model import AgentView
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.work_reader import Upload, read_uploads

#: Folder of a local router's own files; uploads that were not fetched yet are in it.
_ROUTER_UPLOADS = Path("router_data", "uploads")


class UploadPlace(Enum):
    """The place of an uploaded file."""

    #: In the folder of the run.
    HERE = "here"
    #: Still at the server of the run, or lost with it.
    AWAY = "away"


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One uploaded file."""

    task_run_id: TaskRunId
    unit_id: UnitId
    agent_id: AgentId
    worker_id: WorkerId
    #: The kind of event it came with: `agent_submitted`, `agent_submitted_again`, `agent_submitted_late` or
    #: `agent_metadata_received`.
    sent_with: str
    #: Name under which it is stored.
    filename: str
    #: Bytes.
    size: int
    #: Hex SHA-256 of the content.
    sha256: str
    #: What the worker's browser said; None if the worker was erased.
    fieldname: str | None
    originalname: str | None
    mimetype: str | None
    place: UploadPlace
    #: Its path; None if it is not here.
    path: str | None


def uploads_of_run(db: MephistoDB, run: TaskRunId, database: Path) -> Iterator[UploadRecord]:
    """Yield the uploaded files of a run, by agent and in the order of the log.

    Args:
        db: the view.
        run: the run.
        database: the log's file; the folders of runs are beside it.

    Raises:
        UnknownEntityError: there is no such run.
    """
    folder = database.parent / RUNS_FOLDER / str(db.get_task_run(run).task_run_id)
    for agent in db.find_agents(task_run_id=run):
        for upload in read_uploads(db, agent):
            yield _record(agent, upload, folder)


def uploads_of_agent(db: MephistoDB, agent_id: AgentId, database: Path) -> list[UploadRecord]:
    """Return the uploaded files of an agent, in the order of the log.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    agent = db.get_agent(agent_id)
    folder = database.parent / RUNS_FOLDER / str(agent.task_run_id)
    return [_record(agent, upload, folder) for upload in read_uploads(db, agent)]


def find_upload(db: MephistoDB, run: TaskRunId, agent_id: AgentId, filename: str, database: Path) -> UploadRecord:
    """Return one uploaded file.

    Raises:
        UnknownEntityError: there is no such run, agent or file.
    """
    agent = db.get_agent(agent_id)
    if agent.task_run_id == run:
        for upload in read_uploads(db, agent):
            if upload.ref.filename == filename:
                return _record(agent, upload, database.parent / RUNS_FOLDER / str(run))
    raise UnknownEntityError(f"file {filename!r} of agent-{agent_id} in run-{run}")


def _record(agent: AgentView, upload: Upload, run_dir: Path) -> UploadRecord:
    ref, details = upload.ref, upload.details
    candidates = (agent_files_dir(run_dir, agent.agent_id) / ref.filename, run_dir / _ROUTER_UPLOADS / ref.filename)
    path = next((str(one) for one in candidates if one.is_file()), None)
    return UploadRecord(
        task_run_id=agent.task_run_id,
        unit_id=agent.unit_id,
        agent_id=agent.agent_id,
        worker_id=agent.worker_id,
        sent_with=upload.kind,
        filename=ref.filename,
        size=ref.size,
        sha256=ref.sha256,
        fieldname=details.fieldname if details else None,
        originalname=details.originalname if details else None,
        mimetype=details.mimetype if details else None,
        place=UploadPlace.AWAY if path is None else UploadPlace.HERE,
        path=path,
    )
