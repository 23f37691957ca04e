"""Names of streams, and the partition each belongs to.

A stream is the history of one entity. What belongs to a run carries the run's id in its name, so that
`partition_of` needs nothing but the name; what outlives runs belongs to the directory.
"""

from .ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    PaymentId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)

#: The only partition of an SQLite log: its file.
MAIN_PARTITION = "main"
DIRECTORY = "directory"

_DIRECTORY_CATEGORIES = frozenset({"worker", "requester", "task", "qualification"})
_RUN_CATEGORIES = frozenset(
    {"task_run", "assignment", "unit", "agent", "onboarding_agent", "engagement", "server", "payment"}
)


def task(task_id: TaskId) -> str:
    """The stream of a task."""
    return f"task/{task_id}"


def requester(requester_id: RequesterId) -> str:
    """The stream of a requester."""
    return f"requester/{requester_id}"


def qualification(qualification_id: QualificationId) -> str:
    """The stream of a qualification."""
    return f"qualification/{qualification_id}"


def worker(worker_id: WorkerId) -> str:
    """The stream of who a worker is, over all runs."""
    return f"worker/{worker_id}"


def task_run(run: TaskRunId) -> str:
    """The stream of a task run."""
    return f"task_run/{run}"


def assignment(run: TaskRunId, assignment_id: AssignmentId) -> str:
    """The stream of an assignment."""
    return f"assignment/{run}/{assignment_id}"


def unit(run: TaskRunId, unit_id: UnitId) -> str:
    """The stream of a unit."""
    return f"unit/{run}/{unit_id}"


def agent(run: TaskRunId, agent_id: AgentId) -> str:
    """The stream of an agent."""
    return f"agent/{run}/{agent_id}"


def onboarding_agent(run: TaskRunId, agent_id: OnboardingAgentId) -> str:
    """The stream of an onboarding agent."""
    return f"onboarding_agent/{run}/{agent_id}"


def engagement(run: TaskRunId, worker_id: WorkerId) -> str:
    """The stream of what a worker does in one run."""
    return f"engagement/{run}/{worker_id}"


def payment(run: TaskRunId, payment_id: PaymentId) -> str:
    """The stream of a payment for work in a run."""
    return f"payment/{run}/{payment_id}"


def server(run: TaskRunId, number: int) -> str:
    """The stream of an outside resource that a run acquired."""
    return f"server/{run}/{number}"


def category_of(stream: str) -> str:
    """What kind of entity a stream is about: the part before the first slash."""
    return stream.partition("/")[0]


def partition_of(stream: str) -> str:
    """The partition a stream belongs to in a log that has several.

    Raises:
        ValueError: the name is not that of a stream.
    """
    category, _, rest = stream.partition("/")
    if category in _RUN_CATEGORIES and rest:
        return f"run/{rest.partition('/')[0]}"
    if category in _DIRECTORY_CATEGORIES and rest:
        return DIRECTORY
    raise ValueError(f"{stream!r} is not the name of a stream")
