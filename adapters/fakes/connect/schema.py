"""The requests that a fake Connect takes, and its answers: the written schema of the fields that are used.

The vendor's reference is at https://connect-api.cloudresearch.com/docs/api; each struct names its entry. The fields
follow the unofficial client github.com/tlo9/cloudresearch-connect-api, which was written from it. Amounts are dollars.
A field that is not here is refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=5000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Minutes = Annotated[int, msgspec.Meta(ge=2, le=100_000)]
Ids = Annotated[list[str], msgspec.Meta(max_length=5000)]


class CompletionBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The way of completion (`Create a project`)."""

    project_completion_type: Annotated[str, msgspec.Meta(pattern="^(RedirectUrl|CompletionCode|Template)$")]
    value: str | None = None


class PeopleTargetBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Lists of people (`Create a project`)."""

    included_participants: Ids = []
    excluded_participants: Ids = []


class ProjectTargetBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Lists of projects (`Create a project`)."""

    included_projects: Ids = []
    excluded_projects: Ids = []


class TargetBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Lists of people and projects (`Create a project`)."""

    participants: PeopleTargetBody | None = None
    projects: ProjectTargetBody | None = None


class ProjectBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A new project (`Create a project`)."""

    name: Name
    payment: Decimal
    estimated_time_in_minutes: Minutes
    participants: Count
    project_url: Text | None = None
    internal_name: str | None = None
    summary: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    instructions: str | None = None
    max_time_in_minutes: Minutes | None = None
    device_requirements: list[str] = []
    completion_settings: CompletionBody | None = None
    platform_targeting: TargetBody | None = None


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Changes of a project (`Edit a project`)."""

    name: Name | None = None
    payment: Decimal | None = None
    estimated_time_in_minutes: Minutes | None = None
    participants: Count | None = None
    project_url: Text | None = None
    internal_name: str | None = None
    summary: str | None = None
    instructions: str | None = None
    max_time_in_minutes: Minutes | None = None
    completion_settings: CompletionBody | None = None
    platform_targeting: TargetBody | None = None


class StatusBody(msgspec.Struct, forbid_unknown_fields=True):
    """A move of a project (`Update project status`)."""

    status: Annotated[str, msgspec.Meta(pattern="^(Live|Paused|Closed|Archived)$")]


class ReviewBodyLine(msgspec.Struct, forbid_unknown_fields=True):
    """One assignment of a review (`Approve assignments`)."""

    id: str
    message: str | None = None


class ReviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """A review (`Approve assignments`, `Reject assignments`, `Reverse rejections`)."""

    participants: Annotated[list[ReviewBodyLine], msgspec.Meta(min_length=1)]


class BonusBodyLine(msgspec.Struct, forbid_unknown_fields=True):
    """One bonus (`Bonus assignments`)."""

    id: str
    amount: Decimal
    message: str | None = None


class BonusesBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Bonuses (`Bonus assignments`)."""

    bonus_payment: Annotated[list[BonusBodyLine], msgspec.Meta(min_length=1)]


class FeasibilityBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A project that a quote is asked for (`Calculate feasibility`)."""

    payment: Decimal
    participants: Count
    estimated_time_in_minutes: Minutes


class ValidateBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Ids that are to be checked (`Validate participants`)."""

    participant_ids: Ids


class DirectMessageBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A message (`conversations/send-message`, from a public project that uses it)."""

    project_id: str
    recipient_id: str
    subject: Text
    message: Text


class DirectMessagesBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A message to many (`conversations/send-bulk-message`, from a public project that uses it)."""

    project_id: str
    participant_ids: Ids
    subject: Text
    message: Text
    scheduled_delivery: str | None = None


class AccountDocument(msgspec.Struct, rename="camel"):
    """The account (`Retrieve account`)."""

    account_balance: Decimal


class ProjectDocument(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """A project (`Retrieve a project`)."""

    project_id: str
    name: str
    payment: Decimal
    estimated_time_in_minutes: int
    participants: int
    total_cost: Decimal
    created_at: str
    internal_name: str | None = None
    project_url: str | None = None
    summary: str | None = None
    instructions: str | None = None
    max_time_in_minutes: int | None = None
    status: str | None = None


class OneProjectDocument(msgspec.Struct):
    """A project in its envelope (`Retrieve a project`)."""

    project: ProjectDocument


class ProjectsDocument(msgspec.Struct, rename="camel"):
    """A page of projects (`List projects`)."""

    projects: list[ProjectDocument]
    next_token: str | None


class StatisticsDocument(msgspec.Struct, rename="camel"):
    """Counts of a project (`Retrieve project statistics`)."""

    project_id: str
    pending_assignments: int
    completed_assignments: int
    in_progress: int
    approved_assignments: int
    completion_rate: float
    bounce_rate: float
    average_duration: float
    median_duration: float


class CompletionDocument(msgspec.Struct, rename="camel"):
    """The way an assignment was completed (`List assignments`)."""

    completion_code: str | None
    submission_type: str


class AssignmentDocument(msgspec.Struct, rename="camel"):
    """An assignment (`List assignments`)."""

    participant_id: str
    assignment_id: str
    start_time: str
    completion_time: str | None
    status: str
    payment: Decimal
    bonus: Decimal
    completion: CompletionDocument | None


class AssignmentsDocument(msgspec.Struct):
    """A project's assignments (`List assignments`)."""

    assignments: list[AssignmentDocument]


class FeasibilityDocument(msgspec.Struct, rename="camel"):
    """A quote (`Calculate feasibility`)."""

    total_project_cost: Decimal | None
    available_platforms: list[str]
