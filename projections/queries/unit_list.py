"""Lists the units of a run in their order, one page at a time."""

from __future__ import annotations

import msgspec

from ...events.ids import TaskRunId, UnitId
from ..mephisto_db.rows import UnitRow
from .as_of import AsOf

_UNITS = """
    SELECT unit_id FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status) AND unit_id > :after
    ORDER BY unit_id LIMIT :limit
"""
_COUNT = "SELECT count(*) FROM units WHERE task_run_id = :run AND (:status IS NULL OR status = :status)"


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
    numbers = [number for (number,) in as_of.db.execute(_UNITS, page)]
    total: int = as_of.db.execute(_COUNT, {"run": run, "status": status}).fetchone()[0]
    units = tuple(map(db.get_unit, numbers[:size]))
    return UnitListPage(units=units, total=total, next_after=units[-1].unit_id if len(numbers) > size else None)
