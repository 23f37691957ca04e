"""Reports the status and the qualifications of a worker, over all runs."""

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
    """A qualification of a worker."""

    name: str
    value: int
    #: UTC time at which it got this value.
    since: str


class WorkerStatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a worker, without the name at the provider."""

    worker_id: WorkerId
    #: registered, blocked or erased.
    status: str
    qualifications: tuple[HeldQualification, ...]
    #: Names of all qualifications in the log.
    known: tuple[str, ...]


def worker_status(as_of: AsOf, worker: WorkerId) -> WorkerStatusReport:
    """Report the status of a worker.

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
