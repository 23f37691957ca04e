"""Commands of reviewers and paymasters: verdicts, bonuses, payments."""

from __future__ import annotations

from enum import Enum

from ...events.base import PayloadRef
from ...events.ids import AgentId, PaymentId
from ...events.payment import PaymentEvent
from ..lifecycles.agent import AgentStatus
from .base import RunCommand


class Verdict(Enum):
    """A reviewer's verdict on an agent's work; the values are the agent's status after it."""

    APPROVED = AgentStatus.APPROVED.value
    SOFT_REJECTED = AgentStatus.SOFT_REJECTED.value
    REJECTED = AgentStatus.REJECTED.value


class ReviewWork(RunCommand, frozen=True, kw_only=True, tag="review_work"):
    """Give a verdict on an agent's work: agent, unit and what is owed change together."""

    agent: AgentId
    verdict: Verdict
    #: The reviewer's note.
    note: PayloadRef | None = None
    #: Paid on top of the unit's pay; only for approved work.
    bonus_cents: int = 0
    #: Ids of what the verdict makes payable.
    pay_payment: PaymentId
    bonus_payment: PaymentId


class AcceptLateWork(RunCommand, frozen=True, kw_only=True, tag="accept_late_work"):
    """Accept what an agent submitted after its work had ended: it is paid, and the unit accepted if it is free."""

    agent: AgentId
    #: The reviewer's note.
    note: PayloadRef | None = None
    #: Id of what becomes payable.
    payment: PaymentId


class GrantBonus(RunCommand, frozen=True, kw_only=True, tag="grant_bonus"):
    """Grant a worker a bonus for an agent's work, whatever became of that; it is owed at once."""

    agent: AgentId
    bonus_cents: int
    reason: PayloadRef
    #: Id of what becomes payable.
    payment: PaymentId


class RecordPayment(RunCommand, frozen=True, kw_only=True, tag="record_payment"):
    """Record what became of a payment."""

    payment: PaymentId
    event: PaymentEvent


AnyReviewCommand = ReviewWork | AcceptLateWork | GrantBonus | RecordPayment
