"""What happens to a payment: one amount that one worker is owed for one piece of work."""

from __future__ import annotations

from .base import Event
from .ids import AgentId, PaymentId, UnitId, WorkerId


class PaymentOwed(Event, frozen=True, kw_only=True, tag="payment_owed"):
    """A verdict was given by which the worker is to be paid; it stands in the same command."""

    payment: PaymentId
    worker: WorkerId
    agent: AgentId
    unit: UnitId
    amount_cents: int
    #: `pay` for the unit, or `bonus`.
    purpose: str


class PaymentIntended(Event, frozen=True, kw_only=True, tag="payment_intended"):
    """The provider is about to be asked. Asked again with the same token, it must not pay again."""

    #: Made from what names this payment; the same however often it is tried.
    token: str


class PaymentSent(Event, frozen=True, kw_only=True, tag="payment_sent"):
    """The provider took the order."""

    #: By which the provider knows it.
    reference: str


class PaymentConfirmed(Event, frozen=True, kw_only=True, tag="payment_confirmed"):
    """The provider says that the money has reached the worker."""


class PaymentFailed(Event, frozen=True, kw_only=True, tag="payment_failed"):
    """The provider did not pay; it may be asked again."""

    reason: str


PaymentEvent = PaymentOwed | PaymentIntended | PaymentSent | PaymentConfirmed | PaymentFailed
