"""Units and workers of a run, a page at a time, for people who look through them."""

from __future__ import annotations

import msgspec

from ...core.lifecycles.agent import AgentStatus
from ...events.ids import TaskRunId, UnitId, WorkerId
from ..mephisto_db.rows import UnitRow
from .as_of import AsOf

_UNITS = """
    SELECT unit_id FROM units WHERE task_run_id = ?1 AND (?2 IS NULL OR status = ?2) AND unit_id > ?3
    ORDER BY unit_id LIMIT ?4
"""
_COUNT = "SELECT count(*) FROM units WHERE task_run_id = ?1 AND (?2 IS NULL OR status = ?2)"
#: Statuses of agents that have handed in.
HANDED_IN_STATUSES = tuple(
    status.value
    for status in (AgentStatus.COMPLETED, AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED, AgentStatus.REJECTED)
)
_WORKERS = f"""
    SELECT worker_id, status, coalesce(given, 0), coalesce(handed_in, 0), latest FROM (
        SELECT worker_id FROM agents WHERE task_run_id = ?1
        UNION SELECT worker_id FROM onboarding_agents WHERE task_run_id = ?1
    )
    JOIN workers USING (worker_id)
    LEFT JOIN (
        SELECT worker_id, count(*) AS given, max(agent_id) AS latest,
            sum(status IN ({", ".join(f"'{status}'" for status in HANDED_IN_STATUSES)})) AS handed_in
        FROM agents WHERE task_run_id = ?1 GROUP BY worker_id
    ) USING (worker_id)
    WHERE worker_id > ?2 ORDER BY worker_id LIMIT ?3
"""


class UnitPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some units of a run, the oldest first."""

    units: tuple[UnitRow, ...]
    #: How many there are on all pages.
    total: int
    #: The unit after which the next page begins; None: this is the last one.
    next_after: UnitId | None


class WorkerLine(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker did in a run. The name at the provider is not told."""

    worker_id: WorkerId
    #: Over all runs: registered, blocked, forgotten.
    status: str
    #: Units that the worker was given.
    given: int
    handed_in: int
    #: The worker's last agent; None: it never had a unit.
    latest_agent: int | None


class WorkerPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some workers of a run, the first to be registered first."""

    workers: tuple[WorkerLine, ...]
    #: The worker after whom the next page begins; None: this is the last one.
    next_after: WorkerId | None


def unit_page(as_of: AsOf, run: TaskRunId, *, size: int, status: str | None = None, after: int = 0) -> UnitPage:
    """Units of a run.

    Args:
        moment: when.
        run: the run.
        size: how many at most.
        status: of this status only; None: of any.
        after: the unit after which the page begins.

    Raises:
        UnknownEntityError: there is no such run.
    """
    db = as_of.db
    db.get_task_run(run)
    numbers = [number for (number,) in as_of.db.execute(_UNITS, (run, status, after, size + 1))]
    total: int = as_of.db.execute(_COUNT, (run, status)).fetchone()[0]
    units = tuple(map(db.get_unit, numbers[:size]))
    return UnitPage(units=units, total=total, next_after=units[-1].unit_id if len(numbers) > size else None)


def worker_page(as_of: AsOf, run: TaskRunId, *, size: int, after: int = 0) -> WorkerPage:
    """Workers who had a unit or an onboarding in a run.

    Args:
        moment: when.
        run: the run.
        size: how many at most.
        after: the worker after whom the page begins.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    rows = as_of.db.execute(_WORKERS, (run, after, size + 1)).fetchall()
    workers = tuple(
        WorkerLine(worker_id=worker, status=status, given=given, handed_in=handed_in, latest_agent=latest)
        for worker, status, given, handed_in, latest in rows[:size]
    )
    return WorkerPage(workers=workers, next_after=workers[-1].worker_id if len(rows) > size else None)
