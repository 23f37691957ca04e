"""Events of an engagement: a worker in one run.

They are kept apart from those of the worker, so that assigning a unit writes to the run alone.
"""

from __future__ import annotations

from enum import Enum

from .base import Event, PayloadRef
from .ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId
from .payment import Answer


class WorkerArrived(Event, frozen=True, kw_only=True, tag="worker_arrived"):
    """The worker asked for work in this run for the first time."""

    worker: WorkerId


class SiteWorkStatus(Enum):
    """Status of a piece of work at a crowd site, whatever the site calls it."""

    RESERVED = "reserved"
    WORKING = "working"
    #: Completed, and nobody has decided.
    SUBMITTED = "submitted"
    APPROVED = "approved"
    #: A part of the reward was paid.
    PARTIALLY_APPROVED = "partially approved"
    REJECTED = "rejected"
    SCREENED_OUT = "screened out"
    RETURNED = "returned"
    TIMED_OUT = "timed out"
    #: Not finished, and the site does not tell if it ever will be.
    UNFINISHED = "unfinished"
    #: A status that the site's documentation does not have.
    UNKNOWN = "unknown"


#: Statuses of work that the site pays for, or has paid for.
PAID_THERE_STATUSES = frozenset({SiteWorkStatus.APPROVED, SiteWorkStatus.PARTIALLY_APPROVED})


class VisitAdmitted(Event, frozen=True, kw_only=True, tag="visit_admitted"):
    """The worker was let in by a link that does not let in everybody."""

    #: Pseudonym of the invitation; None: the link is open, for a limited number of people.
    invitation: str | None = None
    #: Pseudonym of the browser that may use the invitation from now on.
    session: str | None = None


class PlaceTaken(Event, frozen=True, kw_only=True, tag="place_taken"):
    """The worker's page named the place that the worker holds at the provider."""

    #: Pseudonym of the provider's registration id; the agent or onboarding of the page has the same.
    registration: str
    #: The provider's id of the work, as the page gave it: a submission, an assignment, a survey code.
    handle: PayloadRef
    #: The provider's id of the study or project; None: the page gave none.
    study: PayloadRef | None = None


class ProviderObserved(Event, frozen=True, kw_only=True, tag="provider_observed"):
    """The provider showed the worker's place in another status than before. It overrides no verdict of ours."""

    #: Pseudonym of the provider's registration id.
    registration: str
    status: SiteWorkStatus
    #: All bonuses that the provider shows.
    bonus_cents: int = 0
    #: When the provider approves the work by itself, in seconds since the epoch; None: it does not.
    approved_by_site_at: int | None = None


class SiteMessageKind(Enum):
    """Kinds of messages that a site passes on to a worker."""

    MESSAGE = "message"
    RETURN_REQUEST = "request to return the work"


class SiteMessageIntended(Event, frozen=True, kw_only=True, tag="site_message_intended"):
    """The provider's site is about to be asked to pass on a message; without an answer, it may have done so."""

    #: Pseudonym of the registration whose work the message is about.
    registration: str
    message: SiteMessageKind
    text: PayloadRef


class SiteMessageAnswered(Event, frozen=True, kw_only=True, tag="site_message_answered"):
    """The site answered the request to pass on the last message."""

    registration: str
    answer: Answer
    #: The site's reason if it did not do it; empty: there is none.
    reason: str = ""


class WorkStarted(Event, frozen=True, kw_only=True, tag="work_started"):
    """The worker got a unit."""

    agent: AgentId
    unit: UnitId
    assignment: AssignmentId
    #: `screening` or `gold` if the unit evaluates the worker; None for ordinary work.
    evaluation: str | None = None
    #: True if the unit counts against the maximum of units per worker.
    counts: bool = True


class WorkEnded(Event, frozen=True, kw_only=True, tag="work_ended"):
    """The worker's work on a unit ended; it still has another unit."""

    agent: AgentId
    #: Status in which the agent ended.
    outcome: str
    #: The assignment, if the worker may have a unit of it again because the task's code failed; else None.
    may_retry: AssignmentId | None = None


class AllWorkEnded(Event, frozen=True, kw_only=True, tag="all_work_ended"):
    """The worker's work on its only unit ended."""

    agent: AgentId
    #: Status in which the agent ended.
    outcome: str
    #: The assignment, if the worker may have a unit of it again because the task's code failed; else None.
    may_retry: AssignmentId | None = None


class WorkerOnboarded(Event, frozen=True, kw_only=True, tag="worker_onboarded"):
    """The worker passed the onboarding and may get units."""

    agent: OnboardingAgentId


class WorkerExcluded(Event, frozen=True, kw_only=True, tag="worker_excluded"):
    """The worker failed the onboarding or a screening and gets no more units of this run."""

    reason: str


class RefusalReason(Enum):
    """Reason for which a worker who asks for work gets none, as its page is told."""

    NOT_QUALIFIED = "NOT_QUALIFIED"
    NO_AVAILABLE_UNITS = "NO_AVAILABLE_UNITS"
    TOO_MANY_CONCURRENT = "TOO_MANY_CONCURRENT"
    MAX_FOR_TASK = "MAX_FOR_TASK"
    NOT_INVITED = "NOT_INVITED"
    INVITATION_EXPIRED = "INVITATION_EXPIRED"
    INVITATION_USED = "INVITATION_USED"
    ENOUGH_PEOPLE = "ENOUGH_PEOPLE"
    PAUSED = "PAUSED"
    CONSENT_MISSING = "CONSENT_MISSING"
    TECHNICAL_PROBLEM = "TECHNICAL_PROBLEM"
    TASK_MISSING = "TASK_MISSING"


class WorkerRefused(Event, frozen=True, kw_only=True, tag="worker_refused"):
    """The worker asked for work and got none."""

    #: The rule that was not met, for instance `maximum_units_per_worker`.
    rule: str
    #: Inputs of the rule: names and values.
    inputs: dict[str, str | int | bool | None]
    #: Decides the text that the worker's page showed.
    reason: RefusalReason


class CallbackAnswered(Event, frozen=True, kw_only=True, tag="callback_answered"):
    """The launch script's own code answered about this worker and a unit; it is never asked again."""

    #: For instance `worker_can_do_unit`.
    callback: str
    unit: UnitId
    answer: str | int | bool | None


class WorkerAssessed(Event, frozen=True, kw_only=True, tag="worker_assessed"):
    """The launch script's own code answered about this worker; it is not asked again on the same facts."""

    #: For instance `worker_qualifies`.
    callback: str
    #: Facts that the code was given: names and values.
    facts: dict[str, int]
    answer: bool


class ConsentGiven(Event, frozen=True, kw_only=True, tag="consent_given"):
    """The worker agreed to the run's text of consent."""

    #: Version of the text, which is in the run's configuration.
    version: str


class ConsentRefused(Event, frozen=True, kw_only=True, tag="consent_refused"):
    """The worker did not agree to the run's text of consent."""

    version: str


class ConsentWithdrawn(Event, frozen=True, kw_only=True, tag="consent_withdrawn"):
    """The worker withdrew the consent: what the worker sent in this run was deleted, and what is owed stays owed."""

    reason: str
    #: Commitments of the payloads that were deleted.
    payloads: tuple[str, ...] = ()


class VerdictsRevoked(Event, frozen=True, kw_only=True, tag="verdicts_revoked"):
    """Verdicts of the launch script's own code against the worker do not count: the code was at fault."""

    #: For instance `validate_onboarding`.
    callback: str
    reason: str
    #: Units whose answers do not count; the code is asked about their submissions again.
    units: tuple[UnitId, ...] = ()
    #: Agents whose work evaluated the worker, and does not any more: it was reviewed meanwhile.
    agents: tuple[AgentId, ...] = ()


EngagementEvent = (
    WorkerArrived
    | VisitAdmitted
    | PlaceTaken
    | ProviderObserved
    | SiteMessageIntended
    | SiteMessageAnswered
    | WorkStarted
    | WorkEnded
    | AllWorkEnded
    | WorkerOnboarded
    | WorkerExcluded
    | WorkerRefused
    | CallbackAnswered
    | WorkerAssessed
    | VerdictsRevoked
    | ConsentGiven
    | ConsentRefused
    | ConsentWithdrawn
)
