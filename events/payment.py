"""Events of a payment: one amount that one worker is owed for one piece of work."""

from __future__ import annotations

from .base import Event
from .ids import AgentId, PaymentId, UnitId, WorkerId


class PaymentOwed(Event, frozen=True, kw_only=True, tag="payment_owed"):
    """A verdict or a bonus, recorded by the same command, made an amount payable."""

    payment: PaymentId
    worker: WorkerId
    agent: AgentId
    unit: UnitId
    amount_cents: int
    #: `pay` for the unit, or `bonus`.
    purpose: str


class PaymentIntended(Event, frozen=True, kw_only=True, tag="payment_intended"):
    """The provider is about to be asked to pay. Asked again with the same token, it must not pay again."""

    #: Derived from the payment; the same for every attempt.
    token: str


class PaymentSent(Event, frozen=True, kw_only=True, tag="payment_sent"):
    """The provider accepted the order."""

    #: The provider's reference of the payment.
    reference: str


class PaymentConfirmed(Event, frozen=True, kw_only=True, tag="payment_confirmed"):
    """The provider confirmed that the worker has the money."""


class PaymentFailed(Event, frozen=True, kw_only=True, tag="payment_failed"):
    """The provider did not pay; it may be asked again."""

    reason: str


PaymentEvent = PaymentOwed | PaymentIntended | PaymentSent | PaymentConfirmed | PaymentFailed
