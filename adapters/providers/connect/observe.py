"""Shows Connect's assignments as work at any site."""

from __future__ import annotations

from ....core.abstractions.crowd.site_work import DAY_SECONDS, SiteWork, seconds_of
from ....events.engagement import SiteWorkStatus
from .answers import ConnectAssignment, ConnectAssignmentStatus

#: Unreviewed work is approved by the site after this.
AUTO_APPROVAL_DAYS = 14

_DECIDED = {
    ConnectAssignmentStatus.APPROVED: SiteWorkStatus.APPROVED,
    ConnectAssignmentStatus.REJECTED: SiteWorkStatus.REJECTED,
    ConnectAssignmentStatus.UNKNOWN: SiteWorkStatus.UNKNOWN,
}


def site_work(assignment: ConnectAssignment, project_id: str | None = None) -> SiteWork | None:
    """Return an assignment as work at any site; None: it has no id to be handled by.

    Args:
        assignment: as the site lists it.
        project_id: the project that it belongs to.
    """
    handle = assignment.assignment_id or assignment.participant_id
    if handle is None:
        return None
    completed = seconds_of(assignment.completion_time)
    status = _DECIDED.get(assignment.status)
    waits = status is None and completed is not None
    if status is None:
        # Pending without a time can be at work, returned or timed out: the API shows no difference.
        status = SiteWorkStatus.SUBMITTED if waits else SiteWorkStatus.UNFINISHED
    return SiteWork(
        handle=handle,
        participant=assignment.participant_id,
        study=project_id,
        status=status,
        started_at=seconds_of(assignment.start_time),
        completed_at=completed,
        code=assignment.completion.completion_code if assignment.completion else None,
        bonus_cents=assignment.bonus_cents,
        approved_by_site_at=(completed or 0) + AUTO_APPROVAL_DAYS * DAY_SECONDS if waits else None,
    )
