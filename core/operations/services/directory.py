"""Registers what outlives runs: projects, tasks, requesters, workers and qualifications, each once by its name."""

from __future__ import annotations

from collections.abc import Iterable

from ....events.ids import ProjectId, QualificationId, RequesterId, TaskId, WorkerId
from ...command_issuer import OPERATOR, CommandIssuer
from ...commands.directory import (
    CreateProject,
    CreateQualifications,
    PutTaskInProject,
    RegisterRequester,
    RegisterTask,
    RegisterWorker,
)
from ...ledger import Ledger
from ...payloads import pseudonym, seal
from ...ports import Ids, Payload
from ..registry import get_blueprint_from_type, get_crowd_provider_from_type


class Directory:
    """Registers names, each with a command of its own.

    `new_...` refuses a name that is registered already; `find_or_create_...` returns the one there is. Every method
    returns when its command is durable, unless it says otherwise. A cancelled call does not withdraw the command.

    Raises (all methods):
        LogError: nothing was written, or it is not known whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, actor: str = OPERATOR) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            actor: author of the commands, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids, actor)

    async def new_project(self, project_name: str) -> ProjectId:
        """Create a project, which groups tasks.

        Raises:
            CommandRefusedError: there is a project of that name, or it is no name for a project.
        """
        new = ProjectId(self._ids.next_id("project"))
        await self._issuer.issue(CreateProject(project=new, name=project_name))
        return new

    async def put_in_project(self, task: TaskId, project_name: str) -> bool:
        """Put a task in a project, which is created if its name is new; return False if it was in it.

        Raises:
            UnknownEntityError: there is no such task.
            CommandRefusedError: it is no name for a project.
        """
        new = ProjectId(self._ids.next_id("project"))
        command = PutTaskInProject(task=task, project_name=project_name, new_project=new)
        return bool((await self._issuer.issue(command)).events)

    async def new_task(self, task_name: str, task_type: str) -> TaskId:
        """Register a task before its first run, which would do so otherwise.

        Args:
            task_name: its name.
            task_type: the name of its blueprint.

        Raises:
            ConfigError: there is no such blueprint.
            CommandRefusedError: there is a task of that name.
        """
        get_blueprint_from_type(task_type)
        new = TaskId(self._ids.next_id("task"))
        await self._issuer.issue(RegisterTask(task=new, name=task_name, task_type=task_type))
        return new

    async def new_requester(self, requester_name: str, provider_type: str) -> RequesterId:
        """Register an account at a provider before its first run, which would do so otherwise.

        Raises:
            ConfigError: there is no such provider.
            CommandRefusedError: there is an account of that name.
        """
        get_crowd_provider_from_type(provider_type)
        new = RequesterId(self._ids.next_id("requester"))
        await self._issuer.issue(
            RegisterRequester(requester=new, name=requester_name, provider_type=provider_type, must_be_new=True)
        )
        return new

    async def find_or_create_requester(self, requester_name: str, provider_type: str) -> bool:
        """Register an account at a provider unless it is known; return True if it is new."""
        new = RequesterId(self._ids.next_id("requester"))
        command = RegisterRequester(requester=new, name=requester_name, provider_type=provider_type)
        return bool((await self._issuer.issue(command)).events)

    async def new_worker(self, worker_name: str, provider_type: str) -> WorkerId:
        """Register a worker before the first visit, which would do so otherwise: to block, or to grant a qualification.

        Args:
            worker_name: the name at the provider.
            provider_type: the provider.

        Raises:
            ConfigError: there is no such provider.
            CommandRefusedError: there is a worker of that name.
        """
        get_crowd_provider_from_type(provider_type)
        command, name = self._registration(worker_name, provider_type, must_be_new=True)
        await self._issuer.issue(command, name)
        return command.worker

    async def find_or_create_worker(self, worker_name: str, provider_type: str) -> WorkerId:
        """Return the worker behind a name at a provider; a worker who is seen for the first time is registered.

        Returns when that is decided; it is durable at the latest with what is decided next.
        """
        state, identity = self._ledger.state, self._identity(worker_name, provider_type)
        if identity not in state.workers_by_identity:
            command, name = self._registration(worker_name, provider_type)
            await self._issuer.issue_decided(command, name)
        return state.workers_by_identity[identity]

    def find_worker(self, worker_name: str, provider_type: str) -> WorkerId | None:
        """Return the worker behind a name at a provider, or None if nobody of that name is registered."""
        return self._ledger.state.workers_by_identity.get(self._identity(worker_name, provider_type))

    async def find_or_create_qualification(self, qualification_name: str) -> QualificationId:
        """Return the qualification of a name; create it if there is none."""
        await self.find_or_create_qualifications([qualification_name])
        return self._ledger.state.qualifications_by_name[qualification_name]

    async def find_or_create_qualifications(self, names: Iterable[str]) -> None:
        """Create missing qualifications; `DecisionState.qualifications_by_name` has them afterwards."""
        wanted = {name: QualificationId(self._ids.next_id("qualification")) for name in sorted(names)}
        await self._issuer.issue(CreateQualifications(qualifications=wanted))

    def _identity(self, worker_name: str, provider_type: str) -> str:
        return pseudonym(self._ledger.log.pseudonym_key, provider_type, worker_name)

    def _registration(
        self, worker_name: str, provider_type: str, *, must_be_new: bool = False
    ) -> tuple[RegisterWorker, Payload]:
        new = WorkerId(self._ids.next_id("worker"))
        name = seal(worker_name.encode(), self._ids.salt(), new)
        identity = self._identity(worker_name, provider_type)
        command = RegisterWorker(
            worker=new, provider_type=provider_type, identity=identity, name=name.ref, must_be_new=must_be_new
        )
        return command, name
