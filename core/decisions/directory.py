"""Decides on what outlives runs: registers names, grants and revokes qualifications, blocks workers."""

from __future__ import annotations

from ...events import streams
from ...events.ids import ProjectId, TaskId
from ...events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from ...events.worker import QualificationRevoked, WorkerBlocked, WorkerRegistered, WorkerUnblocked
from ..commands.directory import (
    BlockWorker,
    CreateProject,
    CreateQualifications,
    GrantQualification,
    PutTaskInProject,
    RegisterRequester,
    RegisterTask,
    RegisterWorker,
    RevokeQualification,
    UnblockWorker,
)
from ..errors import CommandRefusedError
from ..lifecycles.worker import WorkerStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from .worker_events import grant_events

#: Names that stand for no project. Mephisto's folders of runs use one of them.
NO_PROJECT_NAMES = ("", "NO_PROJECT")


def decide_create_project(state: DecisionState, command: CreateProject) -> list[NewEvent]:
    """Create a project.

    Raises:
        CommandRefusedError: there is a project of that name, or it is no name for a project.
    """
    _refuse_if_known(f"the project {command.name!r}", state.projects_by_name.get(command.name))
    return [_created_project(command.project, command.name)]


def decide_put_task_in_project(state: DecisionState, command: PutTaskInProject) -> list[NewEvent]:
    """Put a task in a project, which is created if its name is new; nothing if the task is in it.

    Raises:
        UnknownEntityError: there is no such task.
        CommandRefusedError: it is no name for a project.
    """
    task = state.tasks[streams.task(command.task)]
    return put_in_project(state, task.task, command.project_name, command.new_project)


def put_in_project(state: DecisionState, task: TaskId, name: str, new: ProjectId) -> list[NewEvent]:
    """Return the events that put a task in a project.

    Args:
        state: the state.
        task: the task, which may be registered with the same command.
        name: name of the project.
        new: id of the project if its name is new.

    Raises:
        CommandRefusedError: it is no name for a project.
    """
    known = state.projects_by_name.get(name)
    stream = streams.task(task)
    if known is None:
        return [_created_project(new, name), NewEvent(stream, TaskPutInProject(project=new))]
    before = state.tasks.get(stream)
    is_in_it = before is not None and before.project == known
    return [] if is_in_it else [NewEvent(stream, TaskPutInProject(project=known))]


def _created_project(project: ProjectId, name: str) -> NewEvent:
    if name in NO_PROJECT_NAMES:
        raise CommandRefusedError(f"a project cannot be named {name!r}: it means that a task is in no project")
    return NewEvent(streams.project(project), ProjectCreated(project=project, name=name))


def decide_register_task(state: DecisionState, command: RegisterTask) -> list[NewEvent]:
    """Register a task.

    Raises:
        CommandRefusedError: there is a task of that name.
    """
    _refuse_if_known(f"the task {command.name!r}", state.tasks_by_name.get(command.name))
    registered = TaskRegistered(task=command.task, name=command.name, task_type=command.task_type)
    return [NewEvent(streams.task(command.task), registered)]


def decide_register_requester(state: DecisionState, command: RegisterRequester) -> list[NewEvent]:
    """Register an account at a provider; nothing if it is known and need not be new.

    Raises:
        CommandRefusedError: it is known and has to be new.
    """
    known = state.requesters_by_name.get((command.provider_type, command.name))
    if command.must_be_new:
        _refuse_if_known(f"the requester {command.name!r} of {command.provider_type}", known)
    if known is not None:
        return []
    registered = RequesterRegistered(
        requester=command.requester, name=command.name, provider_type=command.provider_type
    )
    return [NewEvent(streams.requester(command.requester), registered)]


def decide_register_worker(state: DecisionState, command: RegisterWorker) -> list[NewEvent]:
    """Register a worker; nothing if the worker is known and need not be new.

    Raises:
        CommandRefusedError: the worker is known and has to be new.
    """
    known = state.workers_by_identity.get(command.identity)
    if command.must_be_new:
        # The name itself is personal, and must not appear in an error.
        _refuse_if_known(f"the worker of that name at {command.provider_type}", known)
    if known is not None:
        return []
    registered = WorkerRegistered(
        worker=command.worker, provider_type=command.provider_type, name=command.name, identity=command.identity
    )
    return [NewEvent(streams.worker(command.worker), registered)]


def _refuse_if_known(entity: str, known: int | None) -> None:
    if known is not None:
        raise CommandRefusedError(f"{entity} is registered already, with the id {known}")


def decide_create_qualifications(state: DecisionState, command: CreateQualifications) -> list[NewEvent]:
    """Create the qualifications that do not exist yet."""
    return [
        NewEvent(streams.qualification(number), QualificationCreated(qualification=number, name=name))
        for name, number in command.qualifications.items()
        if name not in state.qualifications_by_name
    ]


def decide_grant_qualification(state: DecisionState, command: GrantQualification) -> list[NewEvent]:
    """Grant a worker a qualification, or change its value; creates a qualification whose name is new.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    name, new = command.qualification_name, command.new_qualification
    known = state.qualifications_by_name.get(name)
    if known is not None:
        return grant_events(state, command.worker, known, command.value)
    created = QualificationCreated(qualification=new, name=name)
    return [
        NewEvent(streams.qualification(new), created),
        *grant_events(state, command.worker, new, command.value),
    ]


def decide_revoke_qualification(state: DecisionState, command: RevokeQualification) -> list[NewEvent]:
    """Revoke a qualification that a worker has.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker does not have it.
    """
    stream = streams.worker(command.worker)
    number = state.qualifications_by_name.get(command.qualification_name)
    if number is None or number not in state.workers[stream].qualifications:
        raise CommandRefusedError(
            f"worker-{command.worker} does not have the qualification {command.qualification_name!r}"
        )
    return [NewEvent(stream, QualificationRevoked(qualification=number, reason=command.reason))]


def decide_block_worker(state: DecisionState, command: BlockWorker) -> list[NewEvent]:
    """Give a worker no more work; the worker may finish what is in progress. Nothing if the worker is blocked.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(command.worker)
    is_blocked = state.workers[stream].status is WorkerStatus.BLOCKED
    return [] if is_blocked else [NewEvent(stream, WorkerBlocked(reason=command.reason))]


def decide_unblock_worker(state: DecisionState, command: UnblockWorker) -> list[NewEvent]:
    """Allow a blocked worker to work again. Nothing if the worker is not blocked.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(command.worker)
    is_free = state.workers[stream].status is WorkerStatus.REGISTERED
    return [] if is_free else [NewEvent(stream, WorkerUnblocked(reason=command.reason))]
