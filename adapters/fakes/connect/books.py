"""All that a fake Connect knows: balance, projects, assignments, messages, tokens. Amounts are in cents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from ..wire import FakeRefusalError
from .schema import ProjectBody

#: The fee of academic accounts.
FEE_RATE = Decimal("0.25")
#: Tokens are forgotten after this.
TOKEN_SECONDS = 24 * 3600
#: Tokens of pages are good for this.
PAGE_TOKEN_SECONDS = 3600


@dataclass
class FakeProject:
    """A project."""

    id: str
    body: ProjectBody
    created_at: float
    #: From when on lists show it.
    listed_at: float
    status: str = "Unpublished"
    #: Places that are paid for and not credited.
    funded: int = 0
    #: Paused by the site: only its support lets it go on.
    is_held: bool = False
    returned: int = 0

    @property
    def payment_cents(self) -> int:
        """The payment for one assignment."""
        return cents_of(self.body.payment)

    @property
    def longest_minutes(self) -> int:
        """Minutes until an assignment times out; chosen by the site if the researcher has not."""
        return self.body.max_time_in_minutes or 3 * self.body.estimated_time_in_minutes


@dataclass
class FakeAssignment:
    """One person's work."""

    id: str
    project: FakeProject
    participant: str
    started_at: float
    #: InProgress, Returned and TimedOut are seen on web pages only.
    status: str = "InProgress"
    completed_at: float | None = None
    code: str | None = None
    #: CompletionCode or Redirect.
    completed_by: str = "Redirect"
    bonus_cents: int = 0
    paid_cents: int = 0
    message: str | None = None


class ConnectBooks:
    """Everything."""

    def __init__(self, balance_cents: int, seed: int, has_fractions: Callable[[], bool]) -> None:
        """Begin with money and nothing else.

        Args:
            balance_cents: the account's money.
            seed: ids are drawn from it.
            has_fractions: tells if fees are not rounded to whole cents.
        """
        self._random = Random(seed)
        self._has_fractions = has_fractions
        self.balance = Decimal(balance_cents)
        self.fees_paid = Decimal(0)
        self.projects: dict[str, FakeProject] = {}
        self.assignments: dict[str, FakeAssignment] = {}
        self.messages: list[tuple[str, str, str]] = []
        self._tokens: dict[str, float] = {}
        self._page_tokens: dict[str, tuple[int, float]] = {}

    def new_project_id(self) -> str:
        """Return an id in the form of a UUID."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def new_person_id(self) -> str:
        """Return an id of 32 hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"

    def with_fee(self, cents: int) -> Decimal:
        """Return a payment with the site's fee."""
        fee = cents * FEE_RATE
        return cents + (fee if self._has_fractions() else fee.quantize(Decimal(1), ROUND_HALF_UP))

    def note_token(self, token: str, now: float) -> bool:
        """Remember a token for 24 hours; False: it was seen before."""
        self._tokens = {known: at for known, at in self._tokens.items() if now - at < TOKEN_SECONDS}
        is_new = token not in self._tokens
        self._tokens.setdefault(token, now)
        return is_new

    def page_token(self, offset: int, now: float) -> str:
        """Return a token for the page from an offset on."""
        token = self.new_person_id()
        self._page_tokens[token] = (offset, now + PAGE_TOKEN_SECONDS)
        return token

    def page_offset(self, token: str, now: float) -> int:
        """Return the offset of a page.

        Raises:
            FakeRefusalError: the token is unknown or old.
        """
        offset, until = self._page_tokens.get(token, (0, float("-inf")))
        if now >= until:
            raise FakeRefusalError(400, "the NextToken is not valid")
        return offset

    def of_project(self, project: FakeProject) -> list[FakeAssignment]:
        """Return a project's assignments, oldest first."""
        return [one for one in self.assignments.values() if one.project is project]

    def as_json(self) -> dict[str, object]:
        """Return money and work, to be compared with the other side's books."""
        return {
            "balance_cents": str(self.balance),
            "fees_cents": str(self.fees_paid),
            "projects": [
                {
                    "id": one.id,
                    "status": one.status,
                    "participants": one.body.participants,
                    "internal_name": one.body.internal_name,
                }
                for one in self.projects.values()
            ],
            "assignments": [
                {
                    "id": one.id,
                    "project": one.project.id,
                    "participant": one.participant,
                    "status": one.status,
                    "payment_cents": one.paid_cents,
                    "bonus_cents": one.bonus_cents,
                }
                for one in self.assignments.values()
            ],
            "messages": [list(message) for message in self.messages],
        }


def cents_of(dollars: Decimal) -> int:
    """Return the cents of an amount in dollars.

    Raises:
        FakeRefusalError: it is not positive, or finer than a cent.
    """
    cents = dollars * 100
    if not cents.is_finite() or cents <= 0 or cents != cents.to_integral_value():
        raise FakeRefusalError(400, "the amount is not a positive number of dollars with two decimals")
    return int(cents)


def dollars_of(cents: Decimal | int) -> Decimal:
    """Return cents as dollars."""
    return Decimal(cents) / 100
