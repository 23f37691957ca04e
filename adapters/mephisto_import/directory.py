"""Converts projects, tasks, requesters, qualifications, workers and runs into facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...core.payloads import pseudonym
from ...events import streams
from ...events.ids import ProjectId, QualificationId, RequesterId, TaskId, TaskRunId, WorkerId
from ...events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from ...events.task_run import (
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataExhausted,
    TaskRunDeployed,
    TaskRunFailed,
    TaskRunPrepared,
    TaskRunStopping,
    TaskRunWentLive,
)
from ...events.worker import QualificationGranted, WorkerBlocked, WorkerRegistered
from ...projections.mephisto_db.new_rows import SANDBOX_PROVIDERS
from .facts import IMPORTED, Fact, Sealer, fact
from .source import (
    GrantRow,
    RunRow,
    Source,
    SourceQualification,
    SourceRequester,
    SourceTask,
    SourceWorker,
    microseconds,
)

#: The architect, and the address of the server, which are not known any more.
UNKNOWN = "unknown"
#: What Mephisto adds to the names of workers at providers without real workers.
SANDBOX_SUFFIX = "_sandbox"


def directory_facts(source: Source, sealer: Sealer, pseudonym_key: bytes) -> Iterator[Fact]:
    """Yield the facts that are not part of a run."""
    projects = source.projects()
    for project in projects:
        named = ProjectCreated(project=ProjectId(project.project_id), name=project.project_name)
        yield fact(microseconds(project.creation_date), streams.project(named.project), named)
    begun = {project.project_id: microseconds(project.creation_date) for project in projects}
    for task in source.rows(SourceTask):
        task_id = TaskId(task.task_id)
        registered = TaskRegistered(task=task_id, name=task.task_name, task_type=task.task_type)
        yield fact(microseconds(task.creation_date), streams.task(task_id), registered)
        if task.project_id in begun:
            put = TaskPutInProject(project=ProjectId(task.project_id))
            yield fact(max(begun[task.project_id], microseconds(task.creation_date)), streams.task(task_id), put)
    for requester in source.rows(SourceRequester):
        account = RequesterRegistered(
            requester=RequesterId(requester.requester_id),
            name=requester.requester_name,
            provider_type=requester.provider_type,
        )
        yield fact(microseconds(requester.creation_date), streams.requester(account.requester), account)
    for qualification in source.rows(SourceQualification):
        number = QualificationId(qualification.qualification_id)
        created = QualificationCreated(qualification=number, name=qualification.qualification_name)
        yield fact(microseconds(qualification.creation_date), streams.qualification(number), created)
    yield from _worker_facts(source, sealer, pseudonym_key)


def own_name(worker: SourceWorker, names: Collection[str]) -> str:
    """Return the name that a worker's page gives: Mephisto adds a suffix for providers without real workers.

    Args:
        worker: the worker.
        names: the names of all workers; one that is taken keeps its suffix.
    """
    name = worker.worker_name.removesuffix(SANDBOX_SUFFIX)
    is_free = name and name not in names
    return name if worker.provider_type in SANDBOX_PROVIDERS and is_free else worker.worker_name


def _worker_facts(source: Source, sealer: Sealer, pseudonym_key: bytes) -> Iterator[Fact]:
    workers, blocked = source.rows(SourceWorker), source.blocked_workers()
    names = {worker.worker_name for worker in workers}
    for worker in workers:
        person, known_as = WorkerId(worker.worker_id), own_name(worker, names)
        name = sealer.text(known_as, person)
        registered = WorkerRegistered(
            worker=person,
            provider_type=worker.provider_type,
            name=name.ref,
            identity=pseudonym(pseudonym_key, worker.provider_type, known_as),
        )
        yield fact(microseconds(worker.creation_date), streams.worker(person), registered, payloads=(name,))
    grants: dict[int, list[int]] = {}
    for grant in source.rows(GrantRow):
        grants.setdefault(grant.worker_id, []).append(microseconds(grant.creation_date))
        granted = QualificationGranted(qualification=QualificationId(grant.qualification_id), value=grant.value)
        yield fact(microseconds(grant.creation_date), streams.worker(WorkerId(grant.worker_id)), granted)
    # Last, because a blocked worker may have been granted qualifications before.
    for worker in workers:
        if worker.worker_id in blocked:
            at = max([microseconds(worker.creation_date), *grants.get(worker.worker_id, ())])
            yield fact(at, streams.worker(WorkerId(worker.worker_id)), WorkerBlocked(reason=IMPORTED))


def run_facts(row: RunRow, assignments: int, ended_at: int) -> list[Fact]:
    """Return the facts of a run. A run that Mephisto did not complete has failed: it cannot be resumed.

    Args:
        row: the run.
        assignments: the number of its assignments.
        ended_at: the time of its last known event, in microseconds.
    """
    run = TaskRunId(row.task_run_id)
    stream = streams.task_run(run)
    created = TaskRunCreated(
        task_run=run,
        task=TaskId(row.task_id),
        requester=RequesterId(row.requester_id),
        blueprint_type=row.task_type,
        architect_type=UNKNOWN,
        provider_type=row.provider_type,
        config=row.init_params,
    )
    exhausted = TaskRunDataExhausted(assignments=assignments)
    end = (
        (exhausted, TaskRunStopping(reason=IMPORTED), TaskRunCompleted())
        if row.is_completed
        else (exhausted, TaskRunFailed(step="live", reason="it was not completed in the imported database"))
    )
    return [
        fact(microseconds(row.creation_date), stream, created, TaskRunPrepared(), TaskRunDeployed(url=UNKNOWN)),
        fact(microseconds(row.creation_date), stream, TaskRunWentLive()),
        fact(ended_at, stream, *end),
    ]
