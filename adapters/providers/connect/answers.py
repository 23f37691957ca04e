"""The parts of CloudResearch Connect's answers that are used. Unknown fields are ignored, unknown statuses tolerated.

The vendor's reference is at https://connect-api.cloudresearch.com/docs/api and was not at hand. These fields follow
an unofficial client that was written from it (github.com/tlo9/cloudresearch-connect-api, versions of 2023 and 2024).
Amounts come in dollars and are whole cents here.
"""

from __future__ import annotations

import msgspec

from ..api.amounts import FromUnits, FromUnitsRoundedDown, FromUnitsRoundedUp
from ..api.calls import OpenEnum


class ConnectProjectStatus(OpenEnum):
    """Statuses of a project (`Update project status`)."""

    UNPUBLISHED = "Unpublished"
    LIVE = "Live"
    PAUSED = "Paused"
    #: Set by the site when all places are filled.
    COMPLETED = "Completed"
    CLOSED = "Closed"
    ARCHIVED = "Archived"
    UNKNOWN = ""


class ConnectAssignmentStatus(OpenEnum):
    """Statuses of an assignment (`List assignments`). The web pages show more, for instance Returned."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    UNKNOWN = ""


class ConnectCompletionType(OpenEnum):
    """Ways in which a person completed an assignment."""

    COMPLETION_CODE = "CompletionCode"
    REDIRECT = "Redirect"
    UNKNOWN = ""


class ConnectAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account of the key (`Retrieve account`)."""

    balance_cents: FromUnitsRoundedDown = msgspec.field(name="accountBalance")


class ConnectProject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A project (`Retrieve a project`)."""

    project_id: str
    name: str = ""
    #: Not seen by participants; our token stands in it.
    internal_name: str | None = None
    #: No known client reads a status from this answer, so it may be missing.
    status: ConnectProjectStatus | None = None
    participants: int = 0
    payment_cents: FromUnits = msgspec.field(name="payment", default=FromUnits(0))
    #: With the site's fees.
    total_cost_cents: FromUnitsRoundedUp | None = msgspec.field(name="totalCost", default=None)
    estimated_time_in_minutes: int | None = None
    #: Chosen by the site if we set none.
    max_time_in_minutes: int | None = None
    created_at: str | None = None


class ConnectStatistics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Counts of a project's assignments (`Retrieve project statistics`)."""

    pending_assignments: int = 0
    completed_assignments: int = 0
    approved_assignments: int = 0
    in_progress: int = 0


class ConnectCompletion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The way an assignment was completed."""

    completion_code: str | None = None
    submission_type: ConnectCompletionType = ConnectCompletionType.UNKNOWN


class ConnectAssignment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One person's work on a project (`List assignments`)."""

    participant_id: str | None = None
    assignment_id: str | None = None
    status: ConnectAssignmentStatus = ConnectAssignmentStatus.UNKNOWN
    start_time: str | None = None
    #: None: not completed, and perhaps returned or timed out.
    completion_time: str | None = None
    payment_cents: FromUnits = msgspec.field(name="payment", default=FromUnits(0))
    #: All bonuses so far.
    bonus_cents: FromUnits = msgspec.field(name="bonus", default=FromUnits(0))
    completion: ConnectCompletion | None = None

    @property
    def assignment_key(self) -> str | None:
        """The assignment's id, for comparisons: the site writes it in either case."""
        return None if self.assignment_id is None else self.assignment_id.casefold()

    @property
    def participant_key(self) -> str | None:
        """The person's id, for comparisons."""
        return None if self.participant_id is None else self.participant_id.casefold()

    def is_of(self, *, participant_id: str, assignment_id: str | None = None) -> bool:
        """Return True if the assignment is this person's, compared without case.

        Args:
            participant_id: the person.
            assignment_id: the assignment, if the address had it; without it the person is enough.
        """
        if assignment_id is not None and self.assignment_id is not None:
            return self.assignment_id.casefold() == assignment_id.casefold()
        return self.participant_id is not None and self.participant_id.casefold() == participant_id.casefold()


class ConnectFeasibility(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A quote (`Calculate feasibility`)."""

    #: With fees; None: the project is not feasible.
    total_cost_cents: FromUnitsRoundedUp | None = msgspec.field(name="totalProjectCost", default=None)
    available_platforms: list[str] | None = None
