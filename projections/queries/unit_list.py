"""Lists the units and workers of a run one page at a time: sorted and searched, or in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ...core.lifecycles.agent import SUBMITTED_STATUSES
from ...events.ids import TaskRunId, UnitId, WorkerId
from ..mephisto_db.rows import UnitRow
from .as_of import AsOf

_REVIEWED = """
    SELECT unit_id FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status) AND unit_id > :after
    ORDER BY unit_id LIMIT :limit
"""
_COUNT = "SELECT count(*) FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status)"
#: The most words that are searched for; more are left out.
MAX_WORDS = 5
#: Columns by which units are sorted: names and SQL.
UNIT_COLUMNS: Mapping[str, str] = {
    "unit": "unit_id",
    "status": "units.status",
    "agent": "agent_id",
    "worker": "worker_id",
    "worth": "pay_cents",
    "created": "units.creation_date",
}
#: The same for workers.
WORKER_COLUMNS: Mapping[str, str] = {
    "worker": "worker_id",
    "status": "status",
    "assigned": "assigned",
    "submitted": "submitted",
    "agent": "latest",
}
_UNITS = """
    FROM units LEFT JOIN workers USING (worker_id)
    WHERE task_run_id = :run AND (:status IS NULL OR units.status = :status)
"""
#: The texts that are searched: what a row shows.
_UNIT_TEXT = (
    "'unit-' || unit_id || ' ' || units.status || coalesce(' agent-' || agent_id, '') "
    "|| coalesce(' worker-' || worker_id, '')"
)
_WORKERS = f"""
    FROM (
        SELECT worker_id FROM agents WHERE task_run_id = :run
        UNION SELECT worker_id FROM onboarding_agents WHERE task_run_id = :run
    )
    JOIN workers USING (worker_id)
    LEFT JOIN (
        SELECT worker_id, count(*) AS assigned, max(agent_id) AS latest,
            sum(status IN ({", ".join(f"'{status.value}'" for status in SUBMITTED_STATUSES)})) AS submitted
        FROM agents WHERE task_run_id = :run GROUP BY worker_id
    ) USING (worker_id)
    WHERE true
"""
_WORKER_TEXT = "'worker-' || worker_id || ' ' || status || coalesce(' agent-' || latest, '')"
_NAME_TEXT = " || coalesce(' ' || worker_name, '')"


class RowFilter(NamedTuple):
    """The choice of rows of a list, and their order."""

    #: A key of the list's columns; the first one if it is empty.
    column: str = ""
    is_descending: bool = False
    #: A row has to contain each of these words.
    words: tuple[str, ...] = ()
    #: True if words are looked for in the names that workers have at their providers as well.
    searches_names: bool = False
    #: The page, counted from 1.
    page: int = 1
    #: The maximum number of rows on a page.
    size: int = 50


#: The rows at the beginning of a list.
FIRST_PAGE = RowFilter()


class UnitList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the units of a run."""

    units: tuple[UnitRow, ...]
    #: Number of units on all pages.
    total: int


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


class WorkerList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the workers of a run."""

    workers: tuple[WorkerLine, ...]
    #: Number of workers on all pages.
    total: int


def list_units(as_of: AsOf, run: TaskRunId, choice: RowFilter = FIRST_PAGE, status: str | None = None) -> UnitList:
    """Return a page of the units of a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        choice: the wanted rows.
        status: only units with this status, if given.

    Raises:
        UnknownEntityError: there is no such run.
        KeyError: there is no such column.
    """
    as_of.db.get_task_run(run)
    sql, values, total = _chosen(
        as_of, "unit_id", _UNITS, _UNIT_TEXT, UNIT_COLUMNS, choice, {"run": run, "status": status}
    )
    rows = as_of.db.execute(sql, values)
    return UnitList(units=tuple(as_of.db.get_unit(unit) for (unit,) in rows), total=total)


def list_workers(as_of: AsOf, run: TaskRunId, choice: RowFilter = FIRST_PAGE) -> WorkerList:
    """Return a page of the workers who had a unit or an onboarding in a run.

    Args:
        as_of: the log as of the position.
        run: the run.
        choice: the wanted rows.

    Raises:
        UnknownEntityError, KeyError: as `list_units`.
    """
    as_of.db.get_task_run(run)
    columns = "worker_id, status, coalesce(assigned, 0), coalesce(submitted, 0), latest"
    sql, values, total = _chosen(as_of, columns, _WORKERS, _WORKER_TEXT, WORKER_COLUMNS, choice, {"run": run})
    rows = as_of.db.execute(sql, values)
    workers = tuple(
        WorkerLine(worker_id=worker, status=status, assigned=assigned, submitted=submitted, latest_agent=latest)
        for worker, status, assigned, submitted, latest in rows
    )
    return WorkerList(workers=workers, total=total)


def _chosen(
    as_of: AsOf,
    selected: str,
    source: str,
    text: str,
    columns: Mapping[str, str],
    choice: RowFilter,
    values: Mapping[str, int | str | None],
) -> tuple[str, dict[str, int | str | None], int]:
    """Return the query for the wanted rows, its values, and the number of rows on all pages."""
    searched = f"lower({text}{_NAME_TEXT if choice.searches_names else ''})"
    words = {f"word{number}": word.lower() for number, word in enumerate(choice.words[:MAX_WORDS])}
    condition = "".join(f" AND instr({searched}, :{name})" for name in words)
    key, direction = next(iter(columns.values())), "DESC" if choice.is_descending else "ASC"
    order = f"ORDER BY {columns[choice.column] if choice.column else key} {direction} NULLS LAST, {key}"
    page = {"limit": choice.size, "offset": (choice.page - 1) * choice.size}
    total: int = as_of.db.execute(f"SELECT count(*) {source}{condition}", {**values, **words}).fetchone()[0]
    wanted = f"SELECT {selected} {source}{condition} {order} LIMIT :limit OFFSET :offset"
    return wanted, {**values, **words, **page}, total


class UnitListPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the units of a run, oldest first."""

    units: tuple[UnitRow, ...]
    #: Number of units on all pages.
    total: int
    #: The unit after which the next page begins; None on the last page.
    next_after: UnitId | None


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
    numbers = [number for (number,) in as_of.db.execute(_REVIEWED, page)]
    total: int = as_of.db.execute(_COUNT, {"run": run, "status": status}).fetchone()[0]
    units = tuple(map(db.get_unit, numbers[:size]))
    return UnitListPage(units=units, total=total, next_after=units[-1].unit_id if len(numbers) > size else None)
