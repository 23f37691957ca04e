"""The requests that a fake Prolific takes: the written schema of the fields that are used, page by page.

All pages are below https://docs.prolific.com/api-reference. A field that is not here is refused: a client
must not rely on something that nobody has read about.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=5000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Ids = Annotated[list[str], msgspec.Meta(max_length=5000)]
Address = Annotated[str, msgspec.Meta(pattern="^https?://", max_length=2000)]


class CodeType(Enum):
    """Types of completion codes (`studies/create-study`)."""

    COMPLETED = "COMPLETED"
    FAILED_ATTENTION_CHECK = "FAILED_ATTENTION_CHECK"
    FOLLOW_UP_STUDY = "FOLLOW_UP_STUDY"
    GIVE_BONUS = "GIVE_BONUS"
    INCOMPATIBLE_DEVICE = "INCOMPATIBLE_DEVICE"
    NO_CONSENT = "NO_CONSENT"
    OTHER = "OTHER"
    FIXED_SCREENOUT = "FIXED_SCREENOUT"


class ActionBody(msgspec.Struct, forbid_unknown_fields=True):
    """An action of a completion code (`studies/the-study-object`)."""

    action: str
    return_reason: str | None = None
    participant_group: str | None = None
    fixed_screen_out_reward: int | None = None
    slots: int | None = None


class CodeBody(msgspec.Struct, forbid_unknown_fields=True):
    """A completion code (`studies/the-study-object`)."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    code_type: CodeType
    actions: list[ActionBody] = []
    #: participant or researcher.
    actor: Annotated[str, msgspec.Meta(pattern="^(participant|researcher)$")] = "participant"


class FilterBody(msgspec.Struct, forbid_unknown_fields=True):
    """A filter (`filters/get-filters`)."""

    filter_id: str
    selected_values: list[str] = []
    selected_range: dict[str, float] | None = None


class AccessBody(msgspec.Struct, forbid_unknown_fields=True):
    """One page of a Taskflow study (`taskflow`)."""

    external_url: Address
    total_allocation: Count


class SubmissionsConfigBody(msgspec.Struct, forbid_unknown_fields=True):
    """Limits on submissions (`studies/create-study`)."""

    max_submissions_per_participant: int = 1
    max_concurrent_submissions: int = -1


class CreateStudyBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new study (`studies/create-study`)."""

    name: Text
    description: Text
    #: Cents.
    reward: Count
    total_available_places: Count
    #: Minutes.
    estimated_completion_time: Count
    completion_codes: Annotated[list[CodeBody], msgspec.Meta(min_length=1)]
    internal_name: str = ""
    external_study_url: Address | None = None
    access_details: list[AccessBody] = []
    maximum_allowed_time: Count | None = None
    prolific_id_option: Annotated[str, msgspec.Meta(pattern="^(question|url_parameters|not_required)$")]
    device_compatibility: list[str] = []
    peripheral_requirements: list[str] = []
    filters: list[FilterBody] = []
    submissions_config: SubmissionsConfigBody | None = None
    project: str | None = None


class UpdateStudyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of a study (`studies/update-study`)."""

    total_available_places: Count | None = None
    internal_name: str | None = None


class TransitionStudyBody(msgspec.Struct, forbid_unknown_fields=True):
    """An action on a study (`studies/transition-study`)."""

    action: Annotated[str, msgspec.Meta(pattern="^(PUBLISH|PAUSE|START|STOP)$")]


class CodeDataBody(msgspec.Struct, forbid_unknown_fields=True):
    """The part of the reward that a code pays (`submissions/transition-submission`)."""

    percentage_of_reward: Annotated[float, msgspec.Meta(ge=8, le=99)]


class TransitionSubmissionBody(msgspec.Struct, forbid_unknown_fields=True):
    """An action on a submission (`submissions/transition-submission`)."""

    action: str
    message: Annotated[str, msgspec.Meta(min_length=100)] | None = None
    rejection_category: str | None = None
    completion_code: str | None = None
    completion_code_data: CodeDataBody | None = None


class ReturnBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request for a return (`submissions/request-submission-return`)."""

    request_return_reasons: Annotated[list[str], msgspec.Meta(min_length=1)]


class BulkApproveBody(msgspec.Struct, forbid_unknown_fields=True):
    """Approvals (`submissions/bulk-approve-submissions`)."""

    submission_ids: Ids


class BonusBody(msgspec.Struct, forbid_unknown_fields=True):
    """Bonuses (`bonuses/create-bonus-payments`): lines of an id and an amount in currency units."""

    study_id: str
    csv_bonuses: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


class TitleBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new workspace or project (`workspaces/create-workspace`, `projects/create-project`)."""

    title: Text


class CostBody(msgspec.Struct, forbid_unknown_fields=True):
    """A study whose cost is asked for (`studies/calculate-study-cost`); the reward is in cents."""

    reward: float
    total_available_places: float


class GroupBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new group (`participant-groups/create-participant-group`)."""

    name: Text
    workspace_id: str
    description: str = ""
    participant_ids: Ids = []


class MembersBody(msgspec.Struct, forbid_unknown_fields=True):
    """People of a group (`participant-groups/add-to-participant-group`)."""

    participant_ids: Ids


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """A message (`messages/send-message`)."""

    recipient_id: str
    body: Text
    study_id: str


class BulkMessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """A message to many (`messages/bulk-message-participants`)."""

    ids: Ids
    body: Text
    study_id: str


class SecretBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new secret (`webhooks/create-secret`)."""

    workspace_id: str


class SubscriptionBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new subscription (`webhooks/create-subscription`)."""

    event_type: str
    target_url: Address
    workspace_id: str


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """The confirmation of a subscription (`webhooks/confirm-subscription`)."""

    secret: str


class TestParticipantBody(msgspec.Struct, forbid_unknown_fields=True):
    """A participant for tests (`testing/create-test-participant`)."""

    email: Text
