"""All that a fake Prolific knows: wallet, studies, submissions, groups, messages. Amounts are in cents.

Fees have fractions of a cent, as the documentation's samples do; nothing is rounded before it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from random import Random

from .schema import CodeBody, CreateStudyBody

#: A service fee that gives the sample of `bonuses/create-bonus-payments`: 850 cents cost 283.34 more.
FEE_RATE = Decimal("0.33334")
VAT_RATE = Decimal(0)
WORKSPACE = "63722971f9cc073ecc730f6a"
RESEARCHER = "60a42f4c693c29420793cb73"


class RuleError(Exception):  # what the rules of the site say no with; routes make an answer of it
    """The rules of the site do not allow it; the API makes an answer of it."""


@dataclass
class FakeStudy:
    """A study."""

    id: str
    body: CreateStudyBody
    places: int
    internal_name: str
    created_at: float
    #: From when on lists show it.
    listed_at: float
    status: str = "UNPUBLISHED"
    published_at: float | None = None
    #: Screen-outs that may still be paid at the fixed reward.
    screen_out_slots: int = 0
    #: Stopped by the researcher: it wants no more submissions.
    is_stopped: bool = False

    def code(self, code: str) -> CodeBody | None:
        """Return one of its completion codes."""
        return next((known for known in self.body.completion_codes if known.code == code), None)

    @property
    def maximum_minutes(self) -> int:
        """Minutes until a submission times out."""
        return self.body.maximum_allowed_time or 2 * self.body.estimated_completion_time + 7


@dataclass
class FakeSubmission:
    """A submission."""

    id: str
    study: FakeStudy
    participant: str
    created_at: float
    #: From when on it is found by its id and in lists.
    visible_at: float
    status: str = "RESERVED"
    started_at: float | None = None
    completed_at: float | None = None
    entered_code: str | None = None
    return_requested_at: float | None = None
    changed_at: float = 0.0
    reward_paid: int = 0
    bonuses: list[int] = field(default_factory=list)
    message: str | None = None


@dataclass
class FakeSetup:
    """Bonuses that are set up."""

    id: str
    study: FakeStudy
    lines: list[tuple[FakeSubmission, int]]
    payments: int = 0


@dataclass
class FakeGroup:
    """A participant group."""

    id: str
    name: str
    description: str
    members: dict[str, float] = field(default_factory=dict)
    is_deleted: bool = False


@dataclass
class FakeHook:
    """A subscription."""

    id: str
    event_type: str
    target_url: str
    confirmation: str
    is_enabled: bool = False
    deliveries: list[tuple[str, str, str]] = field(default_factory=list)


class ProlificBooks:
    """Everything, and the wallet of the one workspace."""

    def __init__(self, balance_cents: int, seed: int) -> None:
        """Begin with money and nothing else.

        Args:
            balance_cents: the workspace's money.
            seed: ids are drawn from it.
        """
        self._random = Random(seed)
        self.balance = Decimal(balance_cents)
        #: Set aside for what running studies may still cost, by study.
        self.reserved: dict[str, Decimal] = {}
        self.fees_paid = Decimal(0)
        self.workspaces = {WORKSPACE: "My workspace"}
        self.projects: dict[str, tuple[str, str]] = {}
        self.studies: dict[str, FakeStudy] = {}
        self.submissions: dict[str, FakeSubmission] = {}
        self.setups: dict[str, FakeSetup] = {}
        self.groups: dict[str, FakeGroup] = {}
        self.hooks: dict[str, FakeHook] = {}
        self.participants: set[str] = set()
        self.messages: list[tuple[str, str, str]] = []
        self.hook_secret: str | None = None

    def new_id(self) -> str:
        """Return an id of 24 hexadecimal digits."""
        return f"{self._random.getrandbits(96):024x}"

    def uniform(self, most: float) -> float:
        """Return a random number up to a limit."""
        return self._random.uniform(0, most)

    @property
    def available(self) -> Decimal:
        """The money that is not set aside."""
        return self.balance - sum(self.reserved.values(), Decimal(0))

    def pay(self, cents: int) -> None:
        """Take a payment to a participant, with its fee, from the wallet."""
        self.balance -= with_fees(cents)
        self.fees_paid += with_fees(cents) - cents

    def submissions_of(self, study: FakeStudy) -> list[FakeSubmission]:
        """Return a study's submissions, oldest first."""
        return [one for one in self.submissions.values() if one.study is study]

    def as_json(self) -> dict[str, object]:
        """Return money and work, to be compared with the other side's books."""
        return {
            "balance_cents": str(self.balance),
            "available_cents": str(self.available),
            "fees_cents": str(self.fees_paid),
            "submissions": [
                {
                    "id": one.id,
                    "study": one.study.id,
                    "participant": one.participant,
                    "status": one.status,
                    "reward_cents": one.reward_paid,
                    "bonus_cents": one.bonuses,
                }
                for one in self.submissions.values()
            ],
            "studies": [
                {"id": one.id, "status": one.status, "places": one.places, "internal_name": one.internal_name}
                for one in self.studies.values()
            ],
            "messages": [list(message) for message in self.messages],
        }


def fee_of(cents: int) -> Decimal:
    """Return the site's fee on a payment, in cents with two decimals."""
    return (cents * FEE_RATE).quantize(Decimal("0.01"), ROUND_CEILING)


def vat_of(cents: int) -> Decimal:
    """Return the tax on the fee."""
    return (fee_of(cents) * VAT_RATE).quantize(Decimal("0.01"), ROUND_CEILING)


def with_fees(cents: int) -> Decimal:
    """Return a payment with fee and tax."""
    return cents + fee_of(cents) + vat_of(cents)
