"""The answers of a fake Prolific: the written schema of the fields that are used, page by page.

All pages are below https://docs.prolific.com/api-reference. Amounts are in the unit that each page names.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

Document = TypeVar("Document")


class WireMeta(msgspec.Struct):
    """Facts about a list (`introduction`)."""

    count: int


class WireList(msgspec.Struct, Generic[Document]):
    """A list (`introduction`)."""

    results: list[Document]
    meta: WireMeta
    links: dict[str, dict[str, str | None]] = msgspec.field(name="_links", default_factory=dict)


class WireUser(msgspec.Struct):
    """The account (`users/get-user`); amounts in cents."""

    id: str
    email: str
    name: str
    currency_code: str
    balance: int
    available_balance: int


class WireWorkspace(msgspec.Struct):
    """A workspace (`workspaces/get-workspaces`)."""

    id: str
    title: str
    description: str = ""


class WireProject(msgspec.Struct):
    """A project (`projects/get-projects`)."""

    id: str
    title: str
    workspace: str = ""


class WireBreakdown(msgspec.Struct):
    """Parts of a balance (`workspaces/get-workspace-balance`), in cents."""

    rewards: int
    fees: int
    vat: int


class WireBalance(msgspec.Struct):
    """A workspace's money (`workspaces/get-workspace-balance`), in cents."""

    currency_code: str
    total_balance: int
    balance_breakdown: WireBreakdown
    available_balance: int
    available_balance_breakdown: WireBreakdown


class WireCost(msgspec.Struct):
    """A cost (`studies/calculate-study-cost`), in cents with a fraction."""

    total_cost: Decimal


class WireRates(msgspec.Struct):
    """Hourly rates (`reward-recommendations/calculate-reward-recommendations`), in cents."""

    currency: str
    min_reward_per_hour: int
    recommended_reward_per_hour: int


class WireMoney(msgspec.Struct):
    """An amount (`studies/get-study-cost`), in cents."""

    amount: Decimal
    currency: str


class WireRewardCost(msgspec.Struct):
    """The rewards of a study (`studies/get-study-cost`)."""

    rewards: WireMoney
    fees: WireMoney
    tax: WireMoney


class WireBonusCost(msgspec.Struct):
    """The bonuses of a study (`studies/get-study-cost`)."""

    bonuses: WireMoney
    fees: WireMoney
    tax: WireMoney


class WireStudyCost(msgspec.Struct):
    """The cost of a study (`studies/get-study-cost`)."""

    rewards: WireRewardCost
    bonuses: WireBonusCost


class WireStudy(msgspec.Struct, kw_only=True):
    """A study (`studies/get-study`); the reward is in cents."""

    id: str
    name: str
    internal_name: str
    description: str
    status: str
    external_study_url: str | None
    total_available_places: int
    places_taken: int
    reward: float
    estimated_completion_time: int
    maximum_allowed_time: int
    total_cost: Decimal
    currency_code: str
    date_created: str
    published_at: str | None
    completion_url: str
    study_type: str = "SINGLE"
    is_pilot: bool = False


class WireListedSubmission(msgspec.Struct, kw_only=True):
    """A submission in a list (`studies/get-study-submissions`)."""

    id: str
    participant_id: str
    status: str
    started_at: str
    completed_at: str | None
    is_complete: bool
    time_taken: int | None
    #: Cents.
    reward: int
    study_code: str | None
    #: Cents.
    bonus_payments: list[float]
    return_requested: str | None
    star_awarded: bool = False
    ip: str = ""


class WireSubmission(msgspec.Struct, kw_only=True):
    """A submission (`submissions/get-submission`)."""

    id: str
    participant: str
    study_id: str
    status: str
    started_at: str
    completed_at: str | None
    entered_code: str | None
    #: Cents.
    bonus_payments: list[float]
    return_requested: str | None


class WireReturnRequest(msgspec.Struct):
    """The answer to a request for a return (`submissions/request-submission-return`)."""

    id: str
    status: str
    participant: str
    return_requested: str


class WireBonusSetup(msgspec.Struct):
    """Bonuses that are set up (`bonuses/create-bonus-payments`), in cents with a fraction."""

    id: str
    study: str
    amount: Decimal
    fees: Decimal
    vat: Decimal
    total_amount: Decimal


class WireSentence(msgspec.Struct):
    """An answer in words (`submissions/bulk-approve-submissions`)."""

    message: str


class WireGroup(msgspec.Struct):
    """A group (`participant-groups/get-participant-group`)."""

    id: str
    name: str
    description: str
    workspace_id: str
    participant_count: int
    is_deleted: bool


class WireMember(msgspec.Struct):
    """A member of a group (`participant-groups/get-participant-group-participants`)."""

    participant_id: str
    datetime_created: str


class WireMembers(msgspec.Struct):
    """The members of a group after a change (`participant-groups/add-to-participant-group`)."""

    results: list[WireMember]


class WireSecret(msgspec.Struct):
    """A secret (`webhooks/create-secret`)."""

    id: str
    value: str
    workspace_id: str


class WireSecrets(msgspec.Struct):
    """Secrets (`webhooks/get-secrets`)."""

    results: list[WireSecret]


class WireHook(msgspec.Struct):
    """A subscription (`webhooks/get-subscription`)."""

    id: str
    event_type: str
    target_url: str
    is_enabled: bool
    workspace_id: str


class WireHookDelivery(msgspec.Struct):
    """An event that was sent (`webhooks/get-subscription-events`)."""

    id: str
    event_type: str
    resource_id: str
    status: str
    target_url: str
    datetime_created: str


class WireTestStudy(msgspec.Struct):
    """A test study (`studies/test-study`)."""

    study_id: str
    study_url: str


class WireTestParticipant(msgspec.Struct):
    """A test participant (`testing/create-test-participant`)."""

    participant_id: str


class WireEvent(msgspec.Struct, omit_defaults=True):
    """The body of a webhook's request (`webhooks/receiving`)."""

    resource_id: str
    event_type: str
    participant_id: str | None = None
    status: str | None = None
