"""Describes a study that is to be made at Prolific: pay, places, pages, codes and who may take part.

Documentation: https://docs.prolific.com/api-reference/studies/create-study and `studies/the-study-object`.
"""

from __future__ import annotations

from enum import Enum

import msgspec

#: Placeholders that Prolific fills in, with the names that its documentation recommends.
ARRIVAL_QUERY = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
#: Participant groups as filters act on running studies too.
ALLOW_GROUP_FILTER = "participant_group_allowlist"
BLOCK_GROUP_FILTER = "participant_group_blocklist"


class CodeActor(Enum):
    """The side that may complete a submission with a code."""

    PARTICIPANT = "participant"
    #: Our server, by a transition: closing the page then loses no pay.
    RESEARCHER = "researcher"


class SimpleAction(Enum):
    """Actions of a completion code that need no further values."""

    AUTOMATICALLY_APPROVE = "AUTOMATICALLY_APPROVE"
    MANUALLY_REVIEW = "MANUALLY_REVIEW"
    DYNAMIC_PAYMENT = "DYNAMIC_PAYMENT"


class PlainAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action without values."""

    action: SimpleAction


class RequestReturnAction(msgspec.Struct, frozen=True, kw_only=True):
    """Asks the participant to return the submission."""

    return_reason: str
    action: str = "REQUEST_RETURN"


class GroupAction(msgspec.Struct, frozen=True, kw_only=True):
    """Puts the participant into a group, or takes them out of it."""

    participant_group: str
    action: str = "ADD_TO_PARTICIPANT_GROUP"


class FixedScreenOutAction(msgspec.Struct, frozen=True, kw_only=True):
    """Pays a fixed reward to people who are screened out; one code of a study may have it."""

    #: Cents, below the study's reward.
    fixed_screen_out_reward: int
    #: People who may be screened out; when they are used up the study pauses.
    slots: int
    action: str = "FIXED_SCREEN_OUT_PAYMENT"


CodeAction = PlainAction | RequestReturnAction | GroupAction | FixedScreenOutAction


class CompletionCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that ends a submission, and what follows from it."""

    code: str
    code_type: str = "COMPLETED"
    actor: CodeActor = CodeActor.PARTICIPANT
    actions: tuple[CodeAction, ...] = ()


class StudyFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition on who may take part (`filters/get-filters`)."""

    filter_id: str
    selected_values: tuple[str, ...] = ()
    selected_range: dict[str, int] | None = None


class AccessDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a Taskflow study, with the places that lead to it."""

    external_url: str
    total_allocation: int


class SubmissionsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Submissions that one participant may make; -1: any number."""

    max_submissions_per_participant: int = 1
    max_concurrent_submissions: int = -1


class StudyRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A study that is to be made; it is a draft until it is published.

    Either `external_study_url` or `access_details` is set. With the latter, the allocations sum to the places.
    """

    name: str
    description: str
    internal_name: str
    #: Cents for one submission.
    reward: int
    total_available_places: int
    #: Minutes.
    estimated_completion_time: int
    completion_codes: tuple[CompletionCode, ...]
    external_study_url: str | None = None
    access_details: tuple[AccessDetail, ...] = ()
    #: Minutes; the site chooses if it is not set.
    maximum_allowed_time: int | None = None
    prolific_id_option: str = msgspec.field(default_factory=lambda: "url_parameters")
    device_compatibility: tuple[str, ...] = ()
    peripheral_requirements: tuple[str, ...] = ()
    filters: tuple[StudyFilter, ...] = ()
    submissions_config: SubmissionsConfig | None = None
    #: The project's id.
    project: str | None = None


def arrival_url(page_url: str) -> str:
    """Return a page's address with the placeholders for participant, study and submission."""
    separator = "&" if "?" in page_url else "?"
    return f"{page_url}{separator}{ARRIVAL_QUERY}"
