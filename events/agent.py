"""Events of an agent: a worker at work on one unit."""

from __future__ import annotations

from enum import Enum

from .base import Event, FileRef, PayloadRef
from .ids import AgentId, AssignmentId, PaymentId, UnitId, WorkerId


class AgentAccepted(Event, frozen=True, kw_only=True, tag="agent_accepted"):
    """A worker took a unit."""

    agent: AgentId
    unit: UnitId
    assignment: AssignmentId
    worker: WorkerId
    #: Unguessable id by which page and router know this agent.
    token: str
    #: Pseudonym of the provider's registration id; the same page coming back finds its agent by it.
    registration: str


class AgentWaiting(Event, frozen=True, kw_only=True, tag="agent_waiting"):
    """The agent waits for its partners."""


class AgentStarted(Event, frozen=True, kw_only=True, tag="agent_started"):
    """The task's code runs for the agent."""


class AgentUpdateReceived(Event, frozen=True, kw_only=True, tag="agent_update_received"):
    """The worker's page sent a live update."""

    #: 1, 2, 3 ... among the updates received from this agent.
    number: int
    update_id: str
    update: PayloadRef


class AgentObserved(Event, frozen=True, kw_only=True, tag="agent_observed"):
    """The task's code sent the agent a live update."""

    #: 1, 2, 3 ... among the updates sent to this agent.
    number: int
    update_id: str
    update: PayloadRef


class AgentModelAsked(Event, frozen=True, kw_only=True, tag="agent_model_asked"):
    """The task's code is about to ask a language model, once."""

    #: 1, 2, 3 ... among the questions to models on behalf of this agent.
    number: int
    model: str
    #: The messages and the parameters.
    request: PayloadRef
    #: The most that the reply may cost.
    limit_cents: int


class AgentModelReplied(Event, frozen=True, kw_only=True, tag="agent_model_replied"):
    """A language model replied."""

    #: That of the question.
    number: int
    model: str
    #: The reply, with what the endpoint said about it.
    reply: PayloadRef
    #: None if the endpoint did not say.
    input_tokens: int | None = None
    output_tokens: int | None = None
    #: Cost in millionths of the currency's main unit.
    cost_micros: int = 0
    #: Cents that the run's cost of models grew by, rounded up over all of its replies.
    cost_cents: int = 0
    latency_ms: int = 0


class AgentSubmitted(Event, frozen=True, kw_only=True, tag="agent_submitted"):
    """The worker submitted the work."""

    submission: PayloadRef
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files, as the worker's browser gave them, in the order of `files`.
    file_details: PayloadRef | None = None
    #: What the blueprint found wrong with the work; nothing of what the worker wrote is in it.
    problems: tuple[str, ...] = ()
    #: True if no page sent it: a person took it in from the provider's site.
    from_site: bool = False


class AgentSubmittedAgain(Event, frozen=True, kw_only=True, tag="agent_submitted_again"):
    """Another submission came after the first; the first stands, this one is only recorded."""

    submission: PayloadRef
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files, as the worker's browser gave them, in the order of `files`.
    file_details: PayloadRef | None = None


class AgentSubmittedLate(Event, frozen=True, kw_only=True, tag="agent_submitted_late"):
    """The worker submitted after the work had ended without a submission; a reviewer may still accept it."""

    submission: PayloadRef
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files, as the worker's browser gave them, in the order of `files`.
    file_details: PayloadRef | None = None
    #: Problems that the blueprint found in the work; they quote nothing that the worker wrote.
    problems: tuple[str, ...] = ()
    #: True if no page sent it: a person took it in from the provider's site.
    from_site: bool = False


class AgentMetadataReceived(Event, frozen=True, kw_only=True, tag="agent_metadata_received"):
    """The worker left tips or feedback."""

    metadata: PayloadRef
    #: Files that were attached to it.
    files: tuple[FileRef, ...] = ()
    #: Names, types and form fields of the files, as the worker's browser gave them, in the order of `files`.
    file_details: PayloadRef | None = None


class FileLoss(Enum):
    """Reason why an uploaded file cannot be had."""

    #: The server does not have it.
    GONE = "gone"
    #: The server has something else under its name.
    DIFFERENT = "different"


class AgentFileStored(Event, frozen=True, kw_only=True, tag="agent_file_stored"):
    """An uploaded file was fetched from the server, and is durable in the folder of the run."""

    #: Name of the file at the router, as in the submission.
    filename: str


class AgentFileLost(Event, frozen=True, kw_only=True, tag="agent_file_lost"):
    """An uploaded file cannot be fetched from the server, now or later."""

    filename: str
    reason: FileLoss


class AgentDisconnected(Event, frozen=True, kw_only=True, tag="agent_disconnected"):
    """The worker's page went away and did not come back in time."""

    reason: str


class AgentTimedOut(Event, frozen=True, kw_only=True, tag="agent_timed_out"):
    """The worker did not finish in time."""

    reason: str


class AgentReturned(Event, frozen=True, kw_only=True, tag="agent_returned"):
    """The worker returned the unit."""

    reason: str


class AgentExpired(Event, frozen=True, kw_only=True, tag="agent_expired"):
    """The unit was taken from the worker."""

    reason: str
    #: True if the task's code failed: the worker's page may get another agent.
    may_retry: bool = False


class AgentPartnerLeft(Event, frozen=True, kw_only=True, tag="agent_partner_left"):
    """Another agent of the same assignment went away; this one may still submit."""

    partner: AgentId


class AgentCompletedAlone(Event, frozen=True, kw_only=True, tag="agent_completed_alone"):
    """An agent whose partner had left ended without a submission; its unit counts as completed all the same."""

    #: How it ended.
    reason: str


class Opinion(Enum):
    """A reviewer's view of work before there is a verdict."""

    APPROVE = "approve"
    SOFT_REJECT = "soft_reject"
    REJECT = "reject"


class AgentOpinionGiven(Event, frozen=True, kw_only=True, tag="agent_opinion_given"):
    """A reviewer said what they think of the work, and left the verdict to a second reviewer, or did not agree."""

    opinion: Opinion
    reviewer: str
    note: PayloadRef | None = None


class AgentApproved(Event, frozen=True, kw_only=True, tag="agent_approved"):
    """A reviewer approved the work."""

    note: PayloadRef | None = None
    bonus_cents: int = 0
    #: The author of the verdict; None if it was not recorded here.
    reviewer: str | None = None
    #: What the verdict made payable.
    payments: tuple[PaymentId, ...] = ()


class AgentSoftRejected(Event, frozen=True, kw_only=True, tag="agent_soft_rejected"):
    """A reviewer left the work out of the data; it is paid all the same."""

    note: PayloadRef | None = None
    reviewer: str | None = None
    #: What the verdict made payable.
    payments: tuple[PaymentId, ...] = ()


class AgentRejected(Event, frozen=True, kw_only=True, tag="agent_rejected"):
    """A reviewer rejected the work."""

    note: PayloadRef | None = None
    reviewer: str | None = None


class AgentVerdictWithdrawn(Event, frozen=True, kw_only=True, tag="agent_verdict_withdrawn"):
    """A reviewer took a verdict back before anything was paid for it; the work is to be reviewed again."""

    reviewer: str
    reason: PayloadRef | None = None
    #: Bonus of the verdict that is no longer owed.
    bonus_cents: int = 0


class AgentAppealed(Event, frozen=True, kw_only=True, tag="agent_appealed"):
    """The worker objected to the rejection of the work."""

    objection: PayloadRef


class AgentAppealDismissed(Event, frozen=True, kw_only=True, tag="agent_appeal_dismissed"):
    """A reviewer answered the worker's objection, and the rejection stands."""

    answer: PayloadRef
    reviewer: str


class AgentLateAccepted(Event, frozen=True, kw_only=True, tag="agent_late_accepted"):
    """A reviewer accepted late work; it is to be paid."""

    note: PayloadRef | None = None
    #: Pay that is owed although the unit is, or was, somebody else's; 0 if the unit is accepted with the work.
    pay_only_cents: int = 0


class AgentBonusGranted(Event, frozen=True, kw_only=True, tag="agent_bonus_granted"):
    """A reviewer granted the worker a bonus for this work, apart from any verdict."""

    bonus_cents: int
    reason: PayloadRef
    #: Seconds of work that led to nothing, for which it is paid; None: a reviewer granted it.
    worked_seconds: int | None = None


AgentEvent = (
    AgentAccepted
    | AgentWaiting
    | AgentStarted
    | AgentUpdateReceived
    | AgentObserved
    | AgentModelAsked
    | AgentModelReplied
    | AgentSubmitted
    | AgentSubmittedAgain
    | AgentSubmittedLate
    | AgentMetadataReceived
    | AgentFileStored
    | AgentFileLost
    | AgentDisconnected
    | AgentTimedOut
    | AgentReturned
    | AgentExpired
    | AgentPartnerLeft
    | AgentCompletedAlone
    | AgentOpinionGiven
    | AgentApproved
    | AgentSoftRejected
    | AgentRejected
    | AgentVerdictWithdrawn
    | AgentAppealed
    | AgentAppealDismissed
    | AgentLateAccepted
    | AgentBonusGranted
)
