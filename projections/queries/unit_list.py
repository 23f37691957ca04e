"""Lists the units and workers of a run, one page at a time."""

from __future__ import annotations

import msgspec

from ...core.lifecycles.agent import AgentStatus
from ...events.ids import TaskRunId, UnitId, WorkerId
from ..mephisto_db.rows import UnitRow
from .as_of import AsOf

_UNITS = """
    SELECT unit_id FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status) AND unit_id > :after
    ORDER BY unit_id LIMIT :limit
"""
_COUNT = "SELECT count(*) FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status)"
#: Statuses of agents that have submitted.
SUBMITTED_STATUSES = tuple(
    status.value
    for status in (AgentStatus.COMPLETED, AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED, AgentStatus.REJECTED)
)
_WORKERS = f"""
    SELECT worker_id, status, coalesce(assigned, 0), coalesce(submitted, 0), latest FROM (
        SELECT worker_id FROM agents WHERE task_run_id = :run
        UNION SELECT worker_id FROM onboarding_agents WHERE task_run_id = :run
    )
    JOIN workers USING (worker_id)
    LEFT JOIN (
        SELECT worker_id, count(*) AS assigned, max(agent_id) AS latest,
            sum(status IN ({", ".join(f"'{status}'" for status in SUBMITTED_STATUSES)})) AS submitted
        FROM agents WHERE task_run_id = :run GROUP BY worker_id
    ) USING (worker_id)
    WHERE worker_id > :after ORDER BY worker_id LIMIT :limit
"""


class UnitListPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the units of a run, oldest first."""

    units: tuple[UnitRow, ...]
    #: Number of units on all pages.
    total: int
    #: The unit after which the next page begins; None on the last page.
    next_after: UnitId | None


class WorkerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's part in a run, without the name at the provider."""

    worker_id: WorkerId
    #: In all runs: registered, blocked or erased.
    status: str
    #: Number of units assigned to the worker.
    assigned: int
    submitted: int
    #: The worker's last agent; None if the worker never had a unit.
    latest_agent: int | None


class WorkerListPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the workers of a run, in order of registration."""

    workers: tuple[WorkerLine, ...]
    #: The worker after whom the next page begins; None on the last page.
    next_after: WorkerId | None


def unit_page(as_of: AsOf, run: TaskRunId, *, size: int, status: str | None = None, after: int = 0) -> UnitListPage:
    """Return a page of the units of a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        size: the maximum number of units.
        status: only units with this status, if given.
        after: the unit after which the page begins.

    Raises:
        UnknownEntityError: there is no such run.
    """
    db = as_of.db
    db.get_task_run(run)
    page = {"run": run, "status": status, "after": after, "limit": size + 1}
    numbers = [number for (number,) in as_of.db.execute(_UNITS, page)]
    total: int = as_of.db.execute(_COUNT, {"run": run, "status": status}).fetchone()[0]
    units = tuple(map(db.get_unit, numbers[:size]))
    return UnitListPage(units=units, total=total, next_after=units[-1].unit_id if len(numbers) > size else None)


def worker_page(as_of: AsOf, run: TaskRunId, *, size: int, after: int = 0) -> WorkerListPage:
    """Return a page of the workers who had a unit or an onboarding in a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        size: the maximum number of workers.
        after: the worker after whom the page begins.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    rows = as_of.db.execute(_WORKERS, {"run": run, "after": after, "limit": size + 1}).fetchall()
    workers = tuple(
        WorkerLine(worker_id=worker, status=status, assigned=assigned, submitted=submitted, latest_agent=latest)
        for worker, status, assigned, submitted, latest in rows[:size]
    )
    return WorkerListPage(workers=workers, next_after=workers[-1].worker_id if len(rows) > size else None)
