"""What was decided about a worker over all runs: may it work, and what does it qualify for."""

from __future__ import annotations

import msgspec

from ...events.ids import WorkerId
from .as_of import AsOf

_HELD = """
    SELECT qualification_name, value, granted_qualifications.update_date
    FROM granted_qualifications JOIN qualifications USING (qualification_id)
    WHERE worker_id = ? ORDER BY qualification_name
"""


class HeldQualification(msgspec.Struct, frozen=True):
    """A qualification that a worker has."""

    name: str
    value: int
    #: UTC; when it got this value.
    since: str


class WorkerStatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker stands. The name at the provider is not told."""

    worker_id: WorkerId
    #: registered, blocked or forgotten.
    status: str
    qualifications: tuple[HeldQualification, ...]
    #: The names of all qualifications that there are.
    known: tuple[str, ...]


def standing(as_of: AsOf, worker: WorkerId) -> WorkerStatusReport:
    """How a worker stands.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    db = as_of.db
    row = db.get_worker(worker)
    held = as_of.db.execute(_HELD, (row.worker_id,)).fetchall()
    return WorkerStatusReport(
        worker_id=row.worker_id,
        status=row.status,
        qualifications=tuple(HeldQualification(*one) for one in held),
        known=tuple(sorted(one.qualification_name for one in db.find_qualifications())),
    )
