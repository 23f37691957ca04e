"""Effects at Connect: a project, an approval, a rejection, a bonus, a message; each can be asked for and looked for."""

from __future__ import annotations

from contextlib import suppress

from ....core.decisions.settlement import SETTLEMENTS, CrowdSite, Settlement, SiteOperation
from ....events.payment import Sighting
from ..api.errors import SiteError, SiteRefusedError
from .answers import ConnectAssignment, ConnectAssignmentStatus
from .assignments import BonusGrant, ReviewLine
from .client import SITE, ConnectClient
from .project_request import ProjectRequest

_OTHER_MEANS = "pay them by other means and record it (`mephisto-es pay RUN --settle PAYMENT paid`)"
#: Said of work that was submitted here, and that Connect shows as unfinished.
NOT_FINISHED = (
    "the worker has not entered the completion code at Connect: ask them to (`mephisto-es message AGENT TEXT`), or "
    f"{_OTHER_MEANS}"
)
NOT_LISTED = f"Connect does not list the work: the worker returned it, or its time ran out; {_OTHER_MEANS}"


class UnpayableAssignmentError(SiteRefusedError):
    """Connect refuses to pay for an assignment, and its list shows why: nobody can have been paid for it."""

    is_final = True

    def __init__(self, refusal: SiteRefusedError, cause: str) -> None:
        detail = f"{refusal.detail}; {cause}" if refusal.detail else cause
        super().__init__(SITE, refusal.operation, status=refusal.status, detail=detail, trace=refusal.trace)


class ProjectCreation:
    """An unpublished project, known by its internal name."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.CREATE]

    def __init__(self, client: ConnectClient, project: ProjectRequest) -> None:
        """Keep the project; its internal name is a token of ours."""
        self._client = client
        self._project = project
        #: The id of the project, once it is known.
        self.project_id: str | None = None

    async def send(self, token: str) -> None:
        """Make the project."""
        self.project_id = (await self._client.projects.create(self._project, token or None)).project_id

    async def look(self) -> Sighting:
        """Look for the internal name among the projects."""
        found = await self._client.projects.find(self._project.internal_name or "")
        if found:
            self.project_id = found[-1].project_id
        return Sighting.THERE if found else Sighting.NOT_THERE


class AssignmentVerdict:
    """The approval of an assignment, or its rejection."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.BASE_PAY]

    def __init__(self, client: ConnectClient, project_id: str, line: ReviewLine, *, is_approved: bool) -> None:
        """Keep the verdict; the line's id is the assignment's."""
        self._client = client
        self._project_id = project_id
        self._line = line
        self._is_approved = is_approved

    async def send(self, token: str) -> None:
        """Approve or reject."""
        assignments = self._client.assignments
        if not self._is_approved:
            await assignments.reject(self._project_id, [self._line], token or None)
            return
        try:
            await assignments.approve(self._project_id, [self._line], token or None)
        except SiteRefusedError as error:
            raise await _explained(error, self._client, self._project_id, self._line.id) from error

    async def look(self) -> Sighting:
        """Read the assignment's status."""
        assignment = await find_assignment(self._client, self._project_id, self._line.id)
        wanted = ConnectAssignmentStatus.APPROVED if self._is_approved else ConnectAssignmentStatus.REJECTED
        if assignment is None:
            # What was decided stays in the list; what is not in it was returned, or its time ran out.
            return Sighting.NOT_THERE
        if assignment.status is wanted:
            return Sighting.THERE
        return Sighting.NOT_THERE if assignment.status is ConnectAssignmentStatus.PENDING else Sighting.CANNOT_TELL


class RejectionWithdrawal:
    """A rejection that is reversed: the assignment is approved by it."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.BASE_PAY]

    def __init__(self, client: ConnectClient, project_id: str, assignment_id: str) -> None:
        """Keep the assignment."""
        self._client = client
        self._project_id = project_id
        self._line = ReviewLine(assignment_id)

    async def send(self, token: str) -> None:
        """Reverse the rejection."""
        await self._client.assignments.reverse_rejection(self._project_id, [self._line], token or None)

    async def look(self) -> Sighting:
        """Read the assignment's status."""
        assignment = await find_assignment(self._client, self._project_id, self._line.id)
        is_rejected = assignment is not None and assignment.status is ConnectAssignmentStatus.REJECTED
        return Sighting.NOT_THERE if is_rejected else Sighting.THERE


class AssignmentBonus:
    """A bonus for an assignment."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.BONUS]

    def __init__(self, client: ConnectClient, project_id: str, grant: BonusGrant, *, before_cents: int) -> None:
        """Keep the order.

        Args:
            client: the site.
            project_id: the project.
            grant: the bonus; its id is the assignment's.
            before_cents: the bonuses of the assignment when it was ordered.
        """
        self._client = client
        self._project_id = project_id
        self._grant = grant
        self._before_cents = before_cents

    async def send(self, token: str) -> None:
        """Pay the bonus."""
        try:
            await self._client.assignments.bonus(self._project_id, [self._grant], token)
        except SiteRefusedError as error:
            raise await _explained(error, self._client, self._project_id, self._grant.id) from error

    async def look(self) -> Sighting:
        """Compare the assignment's bonuses with those before."""
        assignment = await find_assignment(self._client, self._project_id, self._grant.id)
        if assignment is None:
            return Sighting.CANNOT_TELL
        more_cents = assignment.bonus_cents - self._before_cents
        if more_cents == self._grant.amount_cents:
            return Sighting.THERE
        return Sighting.NOT_THERE if more_cents == 0 else Sighting.CANNOT_TELL


class ParticipantMessage:
    """A message to one person."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.CONNECT, SiteOperation.MESSAGE]

    def __init__(self, client: ConnectClient, project_id: str, participant_id: str, subject: str, text: str) -> None:
        """Keep the message."""
        self._client = client
        self._project_id = project_id
        self._participant_id = participant_id
        self._subject = subject
        self._text = text

    async def send(self, token: str) -> None:
        """Send it."""
        await self._client.assignments.send_message(
            self._project_id, self._participant_id, self._subject, self._text, token
        )

    async def look(self) -> Sighting:
        """Return that nobody can tell: no call lists what was sent to a person."""
        return Sighting.CANNOT_TELL


async def find_assignment(client: ConnectClient, project_id: str, assignment_id: str) -> ConnectAssignment | None:
    """Return an assignment of a project by its id, or by that of its person; None: the list does not have it."""
    listed = await client.assignments.of_project(project_id)
    wanted = assignment_id.casefold()
    return next((one for one in listed if wanted in {one.assignment_key, one.participant_key}), None)


def is_unfinished(assignment: ConnectAssignment) -> bool:
    """Return True if nobody has completed an assignment: Connect neither approves it nor gives it a bonus."""
    return assignment.status is ConnectAssignmentStatus.PENDING and assignment.completion_time is None


async def _explained(
    error: SiteRefusedError, client: ConnectClient, project_id: str, assignment_id: str
) -> SiteRefusedError:
    """Return a refusal with its cause, if the list shows it."""
    with suppress(SiteError):
        assignment = await find_assignment(client, project_id, assignment_id)
        if assignment is None:
            return UnpayableAssignmentError(error, NOT_LISTED)
        if is_unfinished(assignment):
            return UnpayableAssignmentError(error, NOT_FINISHED)
    return error
