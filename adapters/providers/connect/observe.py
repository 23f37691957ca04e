"""Shows Connect's assignments as work at any site, and offers places of a project."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.abstractions.crowd.site_work import DAY_SECONDS, SiteWork, seconds_of
from ....events.engagement import SiteWorkStatus
from .answers import ConnectAssignment, ConnectAssignmentStatus, ConnectProjectStatus
from .client import ConnectClient
from .project_request import ProjectChange

#: Unreviewed work is approved by the site after this.
AUTO_APPROVAL_DAYS = 14

_DECIDED = {
    ConnectAssignmentStatus.APPROVED: SiteWorkStatus.APPROVED,
    ConnectAssignmentStatus.REJECTED: SiteWorkStatus.REJECTED,
    ConnectAssignmentStatus.UNKNOWN: SiteWorkStatus.UNKNOWN,
}


class ConnectProjectPlaces:
    """The places of one launched project, and the work on them.

    The site pauses a project by itself for reasons that its pages tell. It is never started again from here: a person
    has to see why.
    """

    def __init__(self, client: ConnectClient, project_id: str) -> None:
        """Keep the project."""
        self._client = client
        self._project_id = project_id

    async def set_places(self, wanted: int) -> int:
        """Raise the places to a number; the places that the project has now."""
        project = await self._client.projects.get(self._project_id)
        if project.participants < wanted:
            project = await self._client.projects.change(self._project_id, ProjectChange(participants=wanted))
        return project.participants

    async def withdraw(self) -> None:
        """Pause the project."""
        if await self._client.projects.status(self._project_id) is ConnectProjectStatus.LIVE:
            await self._client.projects.move(self._project_id, ConnectProjectStatus.PAUSED)

    async def observe(self) -> Sequence[SiteWork]:
        """Return the assignments that the site lists; returned ones may be missing."""
        return [work for one in await self._client.assignments.of_project(self._project_id) if (work := site_work(one))]


def site_work(assignment: ConnectAssignment) -> SiteWork | None:
    """Return an assignment as work at any site; None: it has no id to be handled by."""
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
        status=status,
        started_at=seconds_of(assignment.start_time),
        completed_at=completed,
        code=assignment.completion.completion_code if assignment.completion else None,
        bonus_cents=assignment.bonus_cents,
        approved_by_site_at=(completed or 0) + AUTO_APPROVAL_DAYS * DAY_SECONDS if waits else None,
    )
