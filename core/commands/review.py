"""Commands of reviewers and paymasters: verdicts, bonuses, payments."""

from __future__ import annotations

from enum import Enum

from ...events.base import PayloadRef
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, PaymentId, UnitId, WorkerId
from ...events.payment import PaymentEvent
from ..lifecycles.agent import AgentStatus
from .base import RunCommand
from .task_run import AssignmentPlan

#: Beginning of the name of an author who is a person.
PERSON_PREFIX = "user/"

#: Said of a rejection without a note: the worker is not paid, and can object.
NOTE_IS_MISSING = "a rejection needs a note with its reason, which the worker reads"

#: Characters of the name of a question.
MAX_QUESTION = 300


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
    #: The author of the verdict.
    reviewer: str | None = None
    #: True to decide although two reviewers differ.
    adjudicates: bool = False
    #: Ids of what the verdict makes payable.
    pay_payment: PaymentId
    bonus_payment: PaymentId


class GiveOpinion(RunCommand, frozen=True, kw_only=True, tag="give_opinion"):
    """Say what one thinks of an agent's work, and leave the verdict to a second reviewer."""

    agent: AgentId
    verdict: Verdict
    note: PayloadRef | None = None
    reviewer: str


class WithdrawVerdict(RunCommand, frozen=True, kw_only=True, tag="withdraw_verdict"):
    """Take back the verdict on an agent's work, as long as nothing is paid for it, or the opinions on it."""

    agent: AgentId
    #: Why; None: no reason was given.
    reason: PayloadRef | None = None
    #: Who takes it back.
    reviewer: str


class SubmitAppeal(RunCommand, frozen=True, kw_only=True, tag="submit_appeal"):
    """Object to the rejection of an agent's work, once."""

    agent: AgentId
    #: What the worker says.
    objection: PayloadRef


class DismissAppeal(RunCommand, frozen=True, kw_only=True, tag="dismiss_appeal"):
    """Answer a worker's objection and let the rejection stand; approving the work is the other answer."""

    agent: AgentId
    answer: PayloadRef
    #: Who answers: somebody else than the author of the rejection, if several people review the run.
    reviewer: str


class LabelAssignment(RunCommand, frozen=True, kw_only=True, tag="label_assignment"):
    """Decide the answer to one question about an assignment's data, or take that back; no work is judged by it."""

    assignment: AssignmentId
    #: The value in the outputs, with dots between the keys of nested objects.
    question: str
    #: The answer, as JSON; None takes the decision so far back.
    label: PayloadRef | None
    #: The units whose work was looked at.
    units: tuple[UnitId, ...] = ()
    note: PayloadRef | None = None
    reviewer: str
    #: Number of decisions on the question that the reviewer knew.
    after: int = 0
    #: The worker whose words the answer is; None if it is nobody's in particular.
    worker: WorkerId | None = None


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


class PayForTime(RunCommand, frozen=True, kw_only=True, tag="pay_for_time"):
    """Pay for the time of work that came to nothing through no fault of the worker; does nothing if it is not paid."""

    agent: AgentId
    #: Microseconds from the assignment to the end, without pauses of the run.
    worked_us: int
    #: The reason, for the worker.
    reason: PayloadRef
    #: Id of what becomes payable.
    payment: PaymentId


class PayForOnboarding(RunCommand, frozen=True, kw_only=True, tag="pay_for_onboarding"):
    """Pay for the time of an onboarding that was not passed; does nothing if it is not paid, or was paid before.

    The pay goes to a compensation unit, which is made for it.
    """

    onboarding_agent: OnboardingAgentId
    #: Microseconds from the start to the submission, without pauses of the run.
    worked_us: int
    #: The reason, for the worker.
    reason: PayloadRef
    #: Id of what becomes payable.
    payment: PaymentId
    #: The compensation unit in an assignment of its own, and its agent.
    assignment: AssignmentPlan
    agent: AgentId
    token: str


class RecordPayment(RunCommand, frozen=True, kw_only=True, tag="record_payment"):
    """Record what became of a payment."""

    payment: PaymentId
    event: PaymentEvent
    #: True if it corrects a decision of a person, whose author has seen that one.
    corrects: bool = False


AnyReviewCommand = (
    ReviewWork
    | GiveOpinion
    | WithdrawVerdict
    | LabelAssignment
    | SubmitAppeal
    | DismissAppeal
    | AcceptLateWork
    | GrantBonus
    | PayForTime
    | PayForOnboarding
    | RecordPayment
)
