"""Lifecycle of a payment: one amount that one worker is owed for one piece of work."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import AgentId, PaymentId, UnitId, WorkerId
from ...events.payment import (
    Answer,
    PaymentConfirmed,
    PaymentEvent,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentOwed,
    PaymentRequested,
    PaymentSent,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
    PaymentWithdrawn,
    Sighting,
)
from .table import Lifecycle, Status, existing, stays, step

#: Purposes of payments.
PAY, BONUS = "pay", "bonus"


class PaymentStatus(Status):
    """Status of a payment, as far as it is known."""

    #: A verdict or a bonus made it payable.
    OWED = "owed"
    #: The verdict that made it payable was taken back.
    WITHDRAWN = "withdrawn"
    #: It is to be paid, and the provider was not asked.
    APPROVED = "approved"
    #: The provider is being asked, or was asked and its answer was not recorded.
    REQUESTED = "requested"
    SENT = "sent"
    #: The provider's answer does not tell if it has paid.
    IN_DOUBT = "in doubt"
    CONFIRMED = "confirmed"
    FAILED = "failed"


_S = PaymentStatus

PAYMENT = Lifecycle(
    "payment",
    PaymentStatus,
    (
        step(PaymentOwed, None, _S.OWED),
        step(PaymentWithdrawn, _S.OWED, _S.WITHDRAWN),  # not once it is to be paid
        step(PaymentIntended, (_S.OWED, _S.FAILED), _S.APPROVED),
        # in doubt: after a look that found nothing, or if a repeat cannot pay twice; see `may_be_requested`
        step(PaymentRequested, (_S.APPROVED, _S.IN_DOUBT), _S.REQUESTED),
        step(PaymentSent, _S.REQUESTED, _S.SENT),
        step(PaymentInDoubt, _S.REQUESTED, _S.IN_DOUBT),
        *stays(PaymentLooked, _S.IN_DOUBT),
        step(PaymentConfirmed, (_S.SENT, _S.IN_DOUBT), _S.CONFIRMED),
        # sent: the provider gave it back
        step(PaymentFailed, (_S.APPROVED, _S.REQUESTED, _S.IN_DOUBT, _S.SENT), _S.FAILED),
        step(PaymentSettledPaid, (_S.OWED, _S.APPROVED, _S.IN_DOUBT, _S.SENT, _S.FAILED), _S.CONFIRMED),
        # confirmed: only to correct what a person has decided, see `decide_record_payment`
        *stays(PaymentSettledPaid, _S.CONFIRMED),
        step(PaymentSettledUnpaid, (_S.IN_DOUBT, _S.SENT, _S.CONFIRMED), _S.FAILED),
    ),
)

#: Statuses of payments that are not known to be on their way.
UNPAID_STATUSES = frozenset({_S.OWED, _S.APPROVED, _S.REQUESTED, _S.IN_DOUBT, _S.FAILED})
#: Statuses of payments that may have been paid, although nobody knows.
DOUBTFUL_STATUSES = frozenset({_S.REQUESTED, _S.IN_DOUBT})


class PaymentState(msgspec.Struct, frozen=True, gc=False, array_like=True):
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
    #: The last look since the last request.
    sighting: Sighting | None = None
    #: The provider's answer that left it in doubt; None: nothing did since the last request.
    answer: Answer | None = None
    #: True if a person has paid it by other means than the provider's.
    is_paid_elsewhere: bool = False
    #: True if it is confirmed because a person has decided so.
    is_settled: bool = False

    def may_be_requested(self, requested: PaymentRequested) -> bool:
        """Return True if a request cannot pay what an earlier one has paid already."""
        if self.status is not PaymentStatus.IN_DOUBT:
            return True
        return requested.is_repeatable or self.sighting is Sighting.NOT_THERE


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
            return replace(payment, status=status, token=event.token, sighting=None)
        case PaymentRequested():
            return replace(payment, status=status, sighting=None, answer=None)
        case PaymentLooked():
            return replace(payment, status=status, sighting=event.sighting)
        case PaymentSent():
            return replace(payment, status=status, reference=event.reference)
        case PaymentInDoubt():
            return replace(payment, status=status, answer=event.answer)
        case PaymentSettledPaid():
            return replace(payment, status=status, is_paid_elsewhere=event.at_site is False, is_settled=True)
        case PaymentSettledUnpaid():
            return replace(payment, status=status, is_paid_elsewhere=False, is_settled=False)
        case PaymentWithdrawn() | PaymentConfirmed() | PaymentFailed():
            return replace(payment, status=status)
        case _:
            assert_never(event)
