"""The life of a payment."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import AgentId, PaymentId, UnitId, WorkerId
from ...events.payment import PaymentConfirmed, PaymentEvent, PaymentFailed, PaymentIntended, PaymentOwed, PaymentSent
from .table import Lifecycle, Status, existing, step

#: What a payment is for.
PAY, BONUS = "pay", "bonus"


class PaymentStatus(Status):
    """Where the money is, as far as it is known."""

    #: By a verdict.
    OWED = "owed"
    #: It is to be paid: the provider is being asked, or was asked and nobody knows what it said.
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
        step(PaymentFailed, (_S.APPROVED, _S.SENT), _S.FAILED),  # sent: the provider gave it back
    ),
)

#: Statuses in which the provider has to be asked, or asked again.
UNPAID_STATUSES = frozenset({_S.OWED, _S.APPROVED, _S.FAILED})


class PaymentState(msgspec.Struct, frozen=True, gc=False):
    """What is known of a payment."""

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
    """The payment after an event.

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
