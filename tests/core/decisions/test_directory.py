"""Names are registered once; qualifications are granted and revoked; workers are blocked and erased."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.base import DirectoryCommand
from mephisto_es.core.commands.directory import (
    BlockWorker,
    CreateProject,
    CreateQualifications,
    EraseWorker,
    GrantQualification,
    PutTaskInProject,
    RegisterRequester,
    RegisterTask,
    RegisterWorker,
    RevokeQualification,
    UnblockWorker,
)
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError, UnknownEntityError
from mephisto_es.events import ids
from mephisto_es.events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from mephisto_es.events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerBlocked,
    WorkerErased,
    WorkerRegistered,
    WorkerUnblocked,
)

from .conftest import DATA, SmallRun

WORKER, NOBODY = ids.WorkerId(1), ids.WorkerId(9)
NEW = ids.QualificationId(5)


def grant(value: int, new: int = 5) -> GrantQualification:
    return GrantQualification(
        worker=WORKER, qualification_name="careful", value=value, new_qualification=ids.QualificationId(new)
    )


def test_a_task_is_registered_once(run: SmallRun) -> None:
    command = RegisterTask(task=ids.TaskId(7), name="chatting", task_type="chat")
    assert run.execute(command) == [TaskRegistered(task=ids.TaskId(7), name="chatting", task_type="chat")]
    with pytest.raises(CommandRefusedError, match="the task 'chatting' is registered already, with the id 7"):
        run.execute(command)


def test_a_project_is_created_once_and_has_a_name(run: SmallRun) -> None:
    command = CreateProject(project=ids.ProjectId(3), name="speech")
    assert run.execute(command) == [ProjectCreated(project=ids.ProjectId(3), name="speech")]
    with pytest.raises(CommandRefusedError, match="the project 'speech' is registered already, with the id 3"):
        run.execute(command)
    for name in ("", "NO_PROJECT"):
        with pytest.raises(CommandRefusedError, match=f"a project cannot be named {name!r}: it means"):
            run.execute(CreateProject(project=ids.ProjectId(4), name=name))


def put(name: str, new: int, task: int = 1) -> PutTaskInProject:
    return PutTaskInProject(task=ids.TaskId(task), project_name=name, new_project=ids.ProjectId(new))


def test_a_task_is_put_in_a_project_once_and_moved_to_another(run: SmallRun) -> None:
    speech = TaskPutInProject(project=ids.ProjectId(3))
    assert run.execute(put("speech", 3)) == [ProjectCreated(project=ids.ProjectId(3), name="speech"), speech]
    assert run.execute(put("speech", 4)) == []
    run.execute(put("vision", 5))
    assert run.execute(put("speech", 6)) == [speech]
    assert run.state.tasks["task/1"].project == 3
    with pytest.raises(UnknownEntityError):
        run.execute(put("speech", 7, task=9))
    with pytest.raises(CommandRefusedError, match="a project cannot be named"):
        run.execute(put("", 7))


@pytest.mark.parametrize("must_be_new", [True, False])
def test_a_requester_is_registered_once(run: SmallRun, must_be_new: bool) -> None:
    command = RegisterRequester(requester=ids.RequesterId(7), name="us", provider_type="mock", must_be_new=must_be_new)
    registered = RequesterRegistered(requester=ids.RequesterId(7), name="us", provider_type="mock")
    assert run.execute(command) == [registered]
    if must_be_new:
        with pytest.raises(CommandRefusedError, match="the requester 'us' of mock is registered already"):
            run.execute(command)
    else:
        assert run.execute(command) == []


@pytest.mark.parametrize("must_be_new", [True, False])
def test_a_worker_is_registered_once_and_no_error_names_it(run: SmallRun, must_be_new: bool) -> None:
    command = RegisterWorker(
        worker=ids.WorkerId(7), provider_type="mock", identity="pseudonym", name=DATA, must_be_new=must_be_new
    )
    (registered,) = run.execute(command)
    assert isinstance(registered, WorkerRegistered)
    if must_be_new:
        with pytest.raises(CommandRefusedError, match="the worker of that name at mock is registered already") as no:
            run.execute(command)
        assert "pseudonym" not in str(no.value)
    else:
        assert run.execute(command) == []


def test_missing_qualifications_are_created(run: SmallRun) -> None:
    run.qualification(3, "careful")
    command = CreateQualifications(qualifications={"careful": ids.QualificationId(4), "kind": NEW})
    assert run.execute(command) == [QualificationCreated(qualification=NEW, name="kind")]


def test_a_qualification_is_granted_changed_and_revoked(run: SmallRun) -> None:
    assert run.execute(grant(1)) == [
        QualificationCreated(qualification=NEW, name="careful"),
        QualificationGranted(qualification=NEW, value=1),
    ]
    assert run.execute(grant(1, new=6)) == []
    assert run.execute(grant(2, new=6)) == [QualificationChanged(qualification=NEW, value=2)]
    revoke = RevokeQualification(worker=WORKER, qualification_name="careful", reason="no more")
    assert run.execute(revoke) == [QualificationRevoked(qualification=NEW, reason="no more")]
    with pytest.raises(CommandRefusedError, match="worker-1 does not have the qualification 'careful'"):
        run.execute(revoke)


def test_a_qualification_that_nobody_has_heard_of_cannot_be_revoked(run: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="does not have the qualification 'kind'"):
        run.execute(RevokeQualification(worker=WORKER, qualification_name="kind", reason="why"))


def test_a_worker_is_blocked_and_unblocked_once(run: SmallRun) -> None:
    assert run.execute(UnblockWorker(worker=WORKER, reason="sorry")) == []
    assert run.execute(BlockWorker(worker=WORKER, reason="spam")) == [WorkerBlocked(reason="spam")]
    assert run.execute(BlockWorker(worker=WORKER, reason="spam")) == []
    assert run.execute(UnblockWorker(worker=WORKER, reason="sorry")) == [WorkerUnblocked(reason="sorry")]


@pytest.mark.parametrize(
    "command",
    [
        BlockWorker(worker=NOBODY, reason="why"),
        UnblockWorker(worker=NOBODY, reason="why"),
        EraseWorker(worker=NOBODY, reason="why"),
        GrantQualification(worker=NOBODY, qualification_name="careful", value=1, new_qualification=NEW),
    ],
    ids=lambda command: type(command).__name__,
)
def test_an_unknown_worker_is_refused(run: SmallRun, command: DirectoryCommand) -> None:
    with pytest.raises(UnknownEntityError, match="worker-9"):
        run.execute(command)


def test_a_worker_is_erased_once_and_its_identity_is_free(run: SmallRun) -> None:
    assert run.execute(EraseWorker(worker=WORKER, reason="asked to")) == [WorkerErased(reason="asked to")]
    assert "identity 1" not in run.state.workers_by_identity
    with pytest.raises(IllegalStepError, match="worker-1 is 'erased'"):
        run.execute(EraseWorker(worker=WORKER, reason="asked to"))


def test_a_worker_at_work_is_not_erased_before_the_work_is_submitted(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    with pytest.raises(CommandRefusedError, match="worker-1 is still at work: agent-1 is 'in task'"):
        run.execute(EraseWorker(worker=WORKER, reason="asked to"))
    run.submit(1)
    assert run.execute(EraseWorker(worker=WORKER, reason="asked to"))


def test_a_worker_in_the_onboarding_is_not_erased(run: SmallRun) -> None:
    run.start_onboarding(1, agent=1)
    with pytest.raises(CommandRefusedError, match="worker-1 is in the onboarding step"):
        run.execute(EraseWorker(worker=WORKER, reason="asked to"))
