"""Names of streams: how they are made, parsed, and assigned to partitions.

A stream is the history of one entity. The stream of an entity that belongs to a run has the run's id in its name, so
that `partition_of` needs nothing but the name; everything that outlives runs belongs to the directory.
"""

from __future__ import annotations

from typing import NamedTuple

from .ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    PaymentId,
    ProjectId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)

#: The only partition of an SQLite log: its file.
MAIN_PARTITION = "main"
#: The partition of everything that outlives runs.
DIRECTORY = "directory"
_RUN_PREFIX = "run/"

_DIRECTORY_CATEGORIES = frozenset({"worker", "requester", "project", "task", "qualification"})
_RUN_CATEGORIES = frozenset(
    {"task_run", "assignment", "unit", "agent", "onboarding_agent", "engagement", "resource", "payment"}
)


def project(project_id: ProjectId) -> str:
    """Return the stream of a project."""
    return f"project/{project_id}"


def task(task_id: TaskId) -> str:
    """Return the stream of a task."""
    return f"task/{task_id}"


def requester(requester_id: RequesterId) -> str:
    """Return the stream of a requester."""
    return f"requester/{requester_id}"


def qualification(qualification_id: QualificationId) -> str:
    """Return the stream of a qualification."""
    return f"qualification/{qualification_id}"


def worker(worker_id: WorkerId) -> str:
    """Return the stream of who a worker is, over all runs."""
    return f"worker/{worker_id}"


def task_run(run: TaskRunId) -> str:
    """Return the stream of a task run."""
    return f"task_run/{run}"


def assignment(run: TaskRunId, assignment_id: AssignmentId) -> str:
    """Return the stream of an assignment."""
    return f"assignment/{run}/{assignment_id}"


def unit(run: TaskRunId, unit_id: UnitId) -> str:
    """Return the stream of a unit."""
    return f"unit/{run}/{unit_id}"


def agent(run: TaskRunId, agent_id: AgentId) -> str:
    """Return the stream of an agent."""
    return f"agent/{run}/{agent_id}"


def onboarding_agent(run: TaskRunId, agent_id: OnboardingAgentId) -> str:
    """Return the stream of an onboarding agent."""
    return f"onboarding_agent/{run}/{agent_id}"


def engagement(run: TaskRunId, worker_id: WorkerId) -> str:
    """Return the stream of what a worker does in one run."""
    return f"engagement/{run}/{worker_id}"


def payment(run: TaskRunId, payment_id: PaymentId) -> str:
    """Return the stream of a payment for work in a run."""
    return f"payment/{run}/{payment_id}"


def resource(run: TaskRunId, number: int) -> str:
    """Return the stream of an outside resource that a run acquired."""
    return f"resource/{run}/{number}"


class StreamName(NamedTuple):
    """The parts of a stream's name."""

    category: str
    #: The run that the entity belongs to; None if it belongs to the directory.
    run: TaskRunId | None
    #: The entity's id.
    number: int


def parse(stream: str) -> StreamName:
    """Split the name of a stream into its parts.

    Raises:
        ValueError: the name is not that of a stream.
    """
    category, *ids = stream.split("/")
    try:
        if category == "task_run":
            (run,) = map(int, ids)
            return StreamName(category, TaskRunId(run), run)
        if category in _RUN_CATEGORIES:
            run, number = map(int, ids)
            return StreamName(category, TaskRunId(run), number)
        if category in _DIRECTORY_CATEGORIES:
            (number,) = map(int, ids)
            return StreamName(category, None, number)
    except ValueError:
        pass
    raise ValueError(f"{stream!r} is not the name of a stream")


# What follows reads one part alone, and is called for every event of every replay: it costs less than `parse`, and
# expects the name of a stream.


def category_of(stream: str) -> str:
    """Return the kind of entity a stream is about: the part before the first slash."""
    return stream.partition("/")[0]


def run_of(stream: str) -> TaskRunId:
    """Return the run that the entity of a stream belongs to."""
    return TaskRunId(int(stream.split("/", 2)[1]))


def number_of(stream: str) -> int:
    """Return the id of the entity that a stream is about."""
    return int(stream.rpartition("/")[2])


def partition_of(stream: str) -> str:
    """Return the partition that a stream belongs to in a log that has several.

    Raises:
        ValueError: the name is not that of a stream.
    """
    category, _, rest = stream.partition("/")
    if category in _RUN_CATEGORIES and rest:
        return f"{_RUN_PREFIX}{rest.partition('/')[0]}"
    if category in _DIRECTORY_CATEGORIES and rest:
        return DIRECTORY
    raise ValueError(f"{stream!r} is not the name of a stream")


def partition_of_run(run: TaskRunId) -> str:
    """Return the partition of everything that belongs to a run."""
    return f"{_RUN_PREFIX}{run}"


def run_of_partition(partition: str) -> TaskRunId | None:
    """Return the run whose partition it is; None for the directory."""
    return TaskRunId(int(partition.removeprefix(_RUN_PREFIX))) if partition.startswith(_RUN_PREFIX) else None
