"""Provides the database of Mephisto's notebooks and review scripts: reads, and decisions with the same objects."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import Self

from ...core.operations.control.requests import (
    AnyRequest,
    CreateProjectRequest,
    CreateQualificationRequest,
    GrantRequest,
    PutInProjectRequest,
    RegisterRequest,
    RegisterTaskRequest,
    RegisterWorkerRequest,
    Reply,
    RevokeRequest,
)
from ...core.operations.logger_core import get_logger
from ...events.ids import ProjectId, QualificationId, RequesterId, TaskId, WorkerId
from ...projections.mephisto_db.criteria import EntityId
from ...projections.mephisto_db.reader import MephistoDB
from ..composition.data_dir import DATABASE_FILE, data_dir
from ..composition.ledger import make_log
from ..control.client import new_key, open_control
from ..control.holder import LogHolder
from ..control.protocol import author_of
from .calls import run_apart

logger = get_logger(__name__)


class LocalMephistoDB(MephistoDB):
    """A log as Mephisto's scripts see a database: what is read can be decided about.

    `unit.get_assigned_agent().approve_work()`, `worker.grant_qualification("name", 1)`, `worker.bonus_worker(0.5,
    "reason")` and the like are sent to the operator of the log, or executed here if there is none. They return when
    they are durable, and what is read afterwards shows them. They block, so they are for plain functions.
    """

    def __init__(self, database_path: str | Path | None = None, author: str | None = None) -> None:
        """Open a log.

        Args:
            database_path: its file, or the folder it is in; the data folder of config.yml, or `mephisto_data`, if not
                given. There, an empty log is made if there is none: scripts open it before their first run.
            author: the name under which decisions are recorded; the login name if not given.

        Raises:
            UnusableLogError: there is no log.
            ConfigError: the author's name cannot be recorded.
        """
        path = data_dir(database_path)
        self._path = path / DATABASE_FILE if path.is_dir() or not path.suffix else path
        self._author = author_of(author)
        if database_path is None and make_log(self._path):
            logger.warning(f"an empty log was made at {self._path.absolute()}, where there was none")
        super().__init__(self._path)
        self._holder = LogHolder(self._path)
        self._close_log = weakref.finalize(self, self._holder.close)

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Close the file, and the log if it was opened for a decision. May be called twice."""
        super().close()
        if finalize := getattr(self, "_close_log", None):
            finalize()

    def decide(self, request: AnyRequest) -> Reply:
        """Send a request to the log's operator, or execute it here if there is none; returns when it is durable.

        Raises:
            CommandRefusedError: it is not legal now; the message says why.
            ConfigError: called on the event loop, or a plugin that it needs is missing.
            LogError: nothing was written, or it is not known whether it was.
        """
        send = partial(_send, self._path, self._author, request)
        return run_apart(self._holder.ensure_writer, send, type(request).__name__)

    # Names of Mephisto's database -----------------------------------------------------------------------------------

    def new_project(self, project_name: str) -> ProjectId:
        """Create a project, which groups tasks, and return its id.

        Raises:
            CommandRefusedError: there is a project of that name, or it is no name for a project.
        """
        self.decide(CreateProjectRequest(project=project_name))
        return self.find_projects(project_name)[0].project_id

    def new_task(self, task_name: str, task_type: str, project_id: EntityId | None = None) -> TaskId:
        """Register a task before its first run, and return its id.

        Args:
            task_name: its name.
            task_type: the name of its blueprint.
            project_id: the project that it is put in; None for none.

        Raises:
            ConfigError: there is no such blueprint.
            CommandRefusedError: there is a task of that name.
            UnknownEntityError: there is no such project.
        """
        project = None if project_id is None else self.get_project(project_id)
        self.decide(RegisterTaskRequest(task_name=task_name, task_type=task_type))
        task = self.find_tasks(task_name=task_name)[0].task_id
        if project is not None:
            self.decide(PutInProjectRequest(task=task, project=project.project_name))
        return task

    def update_task(self, task_id: EntityId, project_id: EntityId) -> None:
        """Put a task in a project; it leaves the one that it was in. The name of a task never changes.

        Raises:
            UnknownEntityError: there is no such task or project.
        """
        project, task = self.get_project(project_id), self.get_task(task_id)
        self.decide(PutInProjectRequest(task=task.task_id, project=project.project_name))

    def new_worker(self, worker_name: str, provider_type: str) -> WorkerId:
        """Register a worker before the first visit, and return its id.

        Raises:
            CommandRefusedError: there is a worker of that name.
        """
        self.decide(RegisterWorkerRequest(worker_name=worker_name, provider_type=provider_type))
        return self.find_workers(worker_name=worker_name, provider_type=provider_type)[-1].worker_id

    def new_requester(self, requester_name: str, provider_type: str) -> RequesterId:
        """Register an account at a provider unless it is known, and return its id."""
        self.decide(RegisterRequest(requester=requester_name, provider_type=provider_type))
        return self.find_requesters(requester_name=requester_name, provider_type=provider_type)[-1].requester_id

    def make_qualification(self, qualification_name: str) -> QualificationId:
        """Create a qualification unless there is one of that name, and return its id."""
        self.decide(CreateQualificationRequest(qualification=qualification_name))
        return self.find_qualifications(qualification_name)[0].qualification_id

    def grant_qualification(self, qualification_id: EntityId, worker_id: EntityId, value: int = 1) -> None:
        """Grant a worker a qualification, or change its value.

        Raises:
            UnknownEntityError: there is no such qualification.
        """
        name = self.get_qualification(qualification_id).qualification_name
        self.decide(GrantRequest(worker=WorkerId(int(worker_id)), qualification=name, value=value))

    def revoke_qualification(self, qualification_id: EntityId, worker_id: EntityId) -> None:
        """Revoke a worker's qualification.

        Raises:
            UnknownEntityError: there is no such qualification.
            CommandRefusedError: the worker does not have it.
        """
        name = self.get_qualification(qualification_id).qualification_name
        worker = WorkerId(int(worker_id))
        self.decide(RevokeRequest(worker=worker, qualification=name, reason="revoked by a script"))


async def _send(database: Path, author: str, request: AnyRequest) -> Reply:
    async with open_control(database, author) as control:
        return await control.execute(request, new_key())


def connect(path: str | Path | None = None, author: str | None = None) -> LocalMephistoDB:
    """Open a log for a notebook or a review script: to read it, and to decide about work and workers.

    Close the result, or use it as `with connect(path) as db:`. It works while an operator runs, and without one.

    Args:
        path: the log's file, or the folder it is in; the data folder of config.yml, or `mephisto_data`, if not given.
        author: the name under which decisions are recorded; the login name if not given.

    Raises:
        UnusableLogError: there is no log.
        ConfigError: the author's name cannot be recorded.
    """
    return LocalMephistoDB(path, author)
