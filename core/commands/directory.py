"""Commands about what outlives runs: tasks, requesters, workers and their qualifications."""

from __future__ import annotations

from collections.abc import Mapping

from ...events.base import PayloadRef
from ...events.ids import ProjectId, QualificationId, RequesterId, TaskId, WorkerId
from .base import DirectoryCommand


class CreateProject(DirectoryCommand, frozen=True, kw_only=True, tag="create_project"):
    """Create a project; refused if there is one of that name."""

    project: ProjectId
    name: str


class PutTaskInProject(DirectoryCommand, frozen=True, kw_only=True, tag="put_task_in_project"):
    """Put a task in a project, which is created if its name is new; does nothing if the task is in it."""

    task: TaskId
    project_name: str
    #: Id of the project if its name is new.
    new_project: ProjectId


class RegisterTask(DirectoryCommand, frozen=True, kw_only=True, tag="register_task"):
    """Register a task; refused if there is a task of that name."""

    task: TaskId
    name: str
    #: Name of the blueprint.
    task_type: str


class RegisterRequester(DirectoryCommand, frozen=True, kw_only=True, tag="register_requester"):
    """Register an account at a crowd provider; does nothing if it is known, unless it has to be new."""

    requester: RequesterId
    name: str
    provider_type: str
    #: True to refuse a name that is registered already.
    must_be_new: bool = False


class RegisterWorker(DirectoryCommand, frozen=True, kw_only=True, tag="register_worker"):
    """Register a worker; does nothing if the worker is known, unless it has to be new."""

    worker: WorkerId
    provider_type: str
    #: Pseudonym of provider and name.
    identity: str
    #: The name at the provider.
    name: PayloadRef
    #: True to refuse a worker that is registered already.
    must_be_new: bool = False


class CreateQualifications(DirectoryCommand, frozen=True, kw_only=True, tag="create_qualifications"):
    """Create the qualifications that do not exist yet."""

    #: Names, each with the id that it gets if it is new.
    qualifications: Mapping[str, QualificationId]


class GrantQualification(DirectoryCommand, frozen=True, kw_only=True, tag="grant_qualification"):
    """Grant a worker a qualification, or change its value; creates a qualification whose name is new."""

    worker: WorkerId
    qualification_name: str
    value: int
    #: Id of the qualification if its name is new.
    new_qualification: QualificationId


class RevokeQualification(DirectoryCommand, frozen=True, kw_only=True, tag="revoke_qualification"):
    """Revoke a qualification that a worker has."""

    worker: WorkerId
    qualification_name: str
    reason: str


class BlockWorker(DirectoryCommand, frozen=True, kw_only=True, tag="block_worker"):
    """Give a worker no more work in any run; the worker may finish what is in progress."""

    worker: WorkerId
    reason: str


class UnblockWorker(DirectoryCommand, frozen=True, kw_only=True, tag="unblock_worker"):
    """Allow a blocked worker to work again."""

    worker: WorkerId
    reason: str


class EraseWorker(DirectoryCommand, frozen=True, kw_only=True, tag="erase_worker"):
    """Delete a worker's personal data: name, submissions, live updates, reviewers' notes.

    Refused while the worker is at work in any run. The decision reads all runs, and writes to the directory only.
    """

    worker: WorkerId
    reason: str


AnyDirectoryCommand = (
    CreateProject
    | PutTaskInProject
    | RegisterTask
    | RegisterRequester
    | RegisterWorker
    | CreateQualifications
    | GrantQualification
    | RevokeQualification
    | BlockWorker
    | UnblockWorker
    | EraseWorker
)
