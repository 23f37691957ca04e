"""Lifecycle of a payment: one amount that one worker is owed for one piece of work."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import AgentId, PaymentId, UnitId, WorkerId
from ...events.payment import PaymentConfirmed, PaymentEvent, PaymentFailed, PaymentIntended, PaymentOwed, PaymentSent
from .table import Lifecycle, Status, existing, step

#: Purposes of payments.
PAY, BONUS = "pay", "bonus"


class PaymentStatus(Status):
    """Status of a payment, as far as it is known."""

    #: A verdict or a bonus made it payable.
    OWED = "owed"
    #: The provider is being asked, or was asked and its answer is unknown.
    APPROVED = "approved"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"


_S = PaymentStatus

PAYMENT = Lifecycle(
    "payment",
    PaymentStatus,
    (
        step(PaymentOwed, None, _S.OWED),
        step(PaymentIntended, (_S.OWED, _S.FAILED), _S.APPROVED),
        step(PaymentSent, _S.APPROVED, _S.SENT),
        step(PaymentConfirmed, _S.SENT, _S.CONFIRMED),
        step(PaymentFailed, (_S.APPROVED, _S.SENT), _S.FAILED),  # sent: the provider returned it
    ),
)

#: Statuses in which the provider is to be asked, or asked again.
UNPAID_STATUSES = frozenset({_S.OWED, _S.APPROVED, _S.FAILED})


class PaymentState(msgspec.Struct, frozen=True, gc=False):
    """State of a payment."""

    status: PaymentStatus
    payment: PaymentId
    worker: WorkerId
    agent: AgentId
    unit: UnitId
    amount_cents: int
    purpose: str
    token: str | None = None
    reference: str | None = None


def evolve(payment: PaymentState | None, event: PaymentEvent) -> PaymentState:
    """Return the payment after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = PAYMENT.after(payment.status if payment else None, event)
    if isinstance(event, PaymentOwed):
        return PaymentState(
            status, event.payment, event.worker, event.agent, event.unit, event.amount_cents, event.purpose
        )
    payment = existing(payment)
    match event:
        case PaymentIntended():
            return replace(payment, status=status, token=event.token)
        case PaymentSent():
            return replace(payment, status=status, reference=event.reference)
        case PaymentConfirmed() | PaymentFailed():
            return replace(payment, status=status)
        case _:
            assert_never(event)
