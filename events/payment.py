"""Events of a payment: one amount that one worker is owed for one piece of work."""

from __future__ import annotations

from enum import Enum

from .base import Event, PayloadRef
from .ids import AgentId, PaymentId, UnitId, WorkerId


class Answer(Enum):
    """Outcomes of the last request to a site."""

    #: No request was made, for certain.
    NOT_SENT = "not sent"
    DONE = "done"
    #: The site said no.
    REFUSED = "refused"
    #: The site has seen the request's token before.
    TOKEN_SEEN = "token seen"
    #: It was too busy.
    THROTTLED = "throttled"
    #: Lost, or not recorded because the operator died: anything may have happened.
    UNKNOWN = "unknown"


class Sighting(Enum):
    """Outcomes of a look at the site."""

    THERE = "there"
    NOT_THERE = "not there"
    CANNOT_TELL = "cannot tell"


class PaymentOwed(Event, frozen=True, kw_only=True, tag="payment_owed"):
    """A verdict or a bonus, recorded by the same command, made an amount payable."""

    payment: PaymentId
    worker: WorkerId
    agent: AgentId
    unit: UnitId
    amount_cents: int
    #: `pay` for the unit, or `bonus`.
    purpose: str


class PaymentWithdrawn(Event, frozen=True, kw_only=True, tag="payment_withdrawn"):
    """The verdict that made it payable was taken back by the same command: it is no longer owed."""

    amount_cents: int


class PaymentIntended(Event, frozen=True, kw_only=True, tag="payment_intended"):
    """It is to be paid now; nothing was requested since it became owed or failed."""

    #: Derived from the payment; the same for every attempt.
    token: str


class PaymentRequested(Event, frozen=True, kw_only=True, tag="payment_requested"):
    """The provider is about to be asked. If nothing follows, it may have paid."""

    #: The idempotency token of this request.
    token: str
    #: Whatever the provider needs to look for this payment later, in its own form; None: nothing.
    setup: str | None = None
    #: True if a repeat cannot pay twice at this provider, so that it needs no look before it.
    is_repeatable: bool = False


class PaymentSent(Event, frozen=True, kw_only=True, tag="payment_sent"):
    """The provider accepted the order."""

    #: The provider's reference of the payment.
    reference: str


class PaymentInDoubt(Event, frozen=True, kw_only=True, tag="payment_in_doubt"):
    """The provider was asked, and may or may not have paid."""

    answer: Answer
    #: The provider's words about it; empty: it gave none.
    reason: str = ""


class PaymentLooked(Event, frozen=True, kw_only=True, tag="payment_looked"):
    """Somebody looked for a payment in doubt in the provider's books."""

    sighting: Sighting


class PaymentConfirmed(Event, frozen=True, kw_only=True, tag="payment_confirmed"):
    """The provider confirmed that the worker has the money."""


class PaymentFailed(Event, frozen=True, kw_only=True, tag="payment_failed"):
    """The provider did not pay; it may be asked again."""

    reason: str


class PaymentSettledPaid(Event, frozen=True, kw_only=True, tag="payment_settled_paid"):
    """A person has decided that the worker has the money."""

    reason: PayloadRef | None = None
    #: True if it came through the provider, False if by other means; None: an earlier version did not record it.
    at_site: bool | None = None


class PaymentSettledUnpaid(Event, frozen=True, kw_only=True, tag="payment_settled_unpaid"):
    """A person has decided that the worker does not have the money; it may be paid again."""

    reason: PayloadRef | None = None


PaymentEvent = (
    PaymentOwed
    | PaymentWithdrawn
    | PaymentIntended
    | PaymentRequested
    | PaymentSent
    | PaymentInDoubt
    | PaymentLooked
    | PaymentConfirmed
    | PaymentFailed
    | PaymentSettledPaid
    | PaymentSettledUnpaid
)
