"""The parts of Prolific's answers that are used. Unknown fields are ignored, and unknown statuses become `UNKNOWN`.

Documentation: https://docs.prolific.com/api-reference, page by page as each struct names it. Money is whole cents of
the account's currency, whatever the answer's own unit was.
"""

from __future__ import annotations

import msgspec

from ...api.amounts import FromCents, FromCentsRoundedUp
from ...api.calls import OpenEnum


class ProlificStudyStatus(OpenEnum):
    """Statuses of a study (`studies/the-study-object`)."""

    UNPUBLISHED = "UNPUBLISHED"
    PUBLISHING = "PUBLISHING"
    SCHEDULED = "SCHEDULED"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    AWAITING_REVIEW = "AWAITING REVIEW"
    COMPLETED = "COMPLETED"
    #: A value that the documentation does not have, for instance PROCESSING: look again later.
    UNKNOWN = ""


class ProlificSubmissionStatus(OpenEnum):
    """Statuses of a submission (`submissions/submissions-guide`)."""

    RESERVED = "RESERVED"
    ACTIVE = "ACTIVE"
    TIMED_OUT = "TIMED-OUT"
    AWAITING_REVIEW = "AWAITING REVIEW"
    APPROVED = "APPROVED"
    PARTIALLY_APPROVED = "PARTIALLY APPROVED"
    SCREENED_OUT = "SCREENED OUT"
    RETURNED = "RETURNED"
    REJECTED = "REJECTED"
    #: A value that the documentation does not have, for instance PROCESSING: look again later.
    UNKNOWN = ""


class ProlificUser(msgspec.Struct, frozen=True, kw_only=True):
    """The account of the token (`users/get-user`)."""

    id: str
    currency_code: str | None = None


class ProlificWorkspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace (`workspaces/get-workspaces`)."""

    id: str
    title: str = ""


class ProlificProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project of a workspace (`projects/get-projects`)."""

    id: str
    title: str = ""


class ProlificBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace's money (`workspaces/get-workspace-balance`); all amounts come in cents."""

    currency_code: str
    total_cents: FromCents = msgspec.field(name="total_balance")
    #: Without what running studies may still cost.
    available_cents: FromCents = msgspec.field(name="available_balance")


class ProlificRates(msgspec.Struct, frozen=True, kw_only=True):
    """Hourly pay that Prolific demands and recommends (`reward-recommendations`), in cents an hour."""

    currency: str
    minimum_cents: FromCents = msgspec.field(name="min_reward_per_hour")
    recommended_cents: FromCents = msgspec.field(name="recommended_reward_per_hour")


class ProlificCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a study with fees and VAT (`studies/calculate-study-cost`), in cents."""

    total_cents: FromCentsRoundedUp = msgspec.field(name="total_cost")


class ProlificMoney(msgspec.Struct, frozen=True, kw_only=True):
    """An amount and its currency (`studies/get-study-cost`)."""

    amount_cents: FromCentsRoundedUp = msgspec.field(name="amount")
    currency: str = ""


class ProlificCostPart(msgspec.Struct, frozen=True, kw_only=True):
    """Rewards or bonuses of a study, with fees and tax (`studies/get-study-cost`)."""

    rewards: ProlificMoney | None = None
    bonuses: ProlificMoney | None = None
    fees: ProlificMoney | None = None
    tax: ProlificMoney | None = None

    @property
    def total_cents(self) -> int:
        """The sum of the parts."""
        return sum(part.amount_cents for part in (self.rewards, self.bonuses, self.fees, self.tax) if part is not None)


class ProlificStudyCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a study so far (`studies/get-study-cost`)."""

    rewards: ProlificCostPart | None = None
    bonuses: ProlificCostPart | None = None


class ProlificStudy(msgspec.Struct, frozen=True, kw_only=True):
    """A study (`studies/get-study`)."""

    id: str
    name: str = ""
    #: Not seen by participants; our token stands in it.
    internal_name: str = ""
    status: ProlificStudyStatus = ProlificStudyStatus.UNKNOWN
    total_available_places: int = 0
    places_taken: int = 0
    #: The reward for one submission.
    reward_cents: FromCents = msgspec.field(name="reward", default=FromCents(0))
    estimated_completion_time: int = 0
    #: Minutes after which a submission times out.
    maximum_allowed_time: int | None = None
    external_study_url: str | None = None
    total_cost_cents: FromCentsRoundedUp | None = msgspec.field(name="total_cost", default=None)
    #: The redirect for participants.
    completion_url: str | None = None


class ProlificSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """A submission, as a list shows it (`studies/get-study-submissions`) or alone (`submissions/get-submission`).

    The two name the participant and the code differently; `participant` and `code` read both.
    """

    id: str
    status: ProlificSubmissionStatus = ProlificSubmissionStatus.UNKNOWN
    participant_id: str | None = None
    participant_field: str | None = msgspec.field(name="participant", default=None)
    study_id: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    study_code: str | None = None
    entered_code: str | None = None
    #: When the return was requested; None: it was not.
    return_requested: str | None = None
    #: Everything paid beside the reward, a fixed screen-out reward included.
    bonus_cents: list[FromCents] | None = msgspec.field(name="bonus_payments", default=None)

    @property
    def participant(self) -> str | None:
        """The participant's id."""
        return self.participant_id or self.participant_field

    @property
    def code(self) -> str | None:
        """The completion code that was entered."""
        return self.entered_code or self.study_code

    def bonus_without_screen_out_cents(self, fixed_reward_cents: int | None) -> int:
        """Return the sum of bonuses, less the fixed screen-out reward.

        Args:
            fixed_reward_cents: the study's fixed screen-out reward; None: it has none. One payment of that amount is
                taken off if the submission was screened out.
        """
        paid = list(self.bonus_cents or ())
        if self.status is ProlificSubmissionStatus.SCREENED_OUT and fixed_reward_cents in paid:
            paid.remove(FromCents(fixed_reward_cents or 0))
        return sum(paid)


class ProlificBonusSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Bonuses that are prepared and not paid (`bonuses/create-bonus-payments`); all amounts come in cents."""

    id: str
    amount_cents: FromCents = msgspec.field(name="amount")
    fees_cents: FromCentsRoundedUp = msgspec.field(name="fees", default=FromCentsRoundedUp(0))
    vat_cents: FromCentsRoundedUp = msgspec.field(name="vat", default=FromCentsRoundedUp(0))
    total_cents: FromCentsRoundedUp = msgspec.field(name="total_amount")


class ProlificGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A participant group (`participant-groups/get-participant-group`)."""

    id: str
    name: str = ""
    participant_count: int | None = None
    is_deleted: bool = False


class ProlificMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a participant group (`participant-groups/get-participant-group-participants`)."""

    participant_id: str


class ProlificHook(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription to events (`webhooks/get-subscriptions`)."""

    id: str
    event_type: str = ""
    target_url: str = ""
    is_enabled: bool = False


class ProlificHookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a subscription, as Prolific's own log has it (`webhooks/get-subscription-events`)."""

    id: str
    event_type: str = ""
    resource_id: str = ""
    status: str = ""


class ProlificTestStudy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of a study for test participants (`testing/create-test-study`)."""

    study_id: str
    study_url: str = ""
