"""Events of a task run: one launch of a task with one configuration."""

from __future__ import annotations

from enum import Enum

from .base import Event, PayloadRef
from .ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    QualificationId,
    RequesterId,
    TaskId,
    TaskRunId,
    UnitId,
    WorkerId,
)
from .payment import Answer


class TaskRunCreated(Event, frozen=True, kw_only=True, tag="task_run_created"):
    """The configuration is valid, and the run has its id."""

    task_run: TaskRunId
    task: TaskId
    requester: RequesterId
    blueprint_type: str
    architect_type: str
    provider_type: str
    #: The configuration as JSON, secrets redacted.
    config: str
    #: Units that one worker may have at a time; 0: no limit.
    allowed_concurrent: int = 0
    #: Units that one worker may have over the whole run; 0: no limit.
    maximum_units_per_worker: int = 0
    #: Seed of all randomness in the run, so that a resumed run draws the same.
    seed: str = ""
    #: Names of what the launch script passed beside the configuration; the run cannot be resumed without it.
    given_by_script: tuple[str, ...] = ()
    #: Limit of all costs with fees, in cents; None: no limit.
    budget_cents: int | None = None
    #: Fee of the provider on top of each payment, in percent.
    fee_percent: int = 0
    #: Bonus that is reserved for each unit, in cents.
    bonus_limit_cents: int = 0
    #: True if the maximum counts what a worker has in all runs of the task; False if only in this one.
    maximum_is_per_task: bool = False
    #: Pay for a minute of work that led to nothing through no fault of the worker, and the most for one piece of work.
    pay_for_time_cents: int = 0
    pay_for_time_limit_cents: int = 0
    #: Version of the text that workers must agree to; empty: there is none. The text is in the configuration.
    consent: str = ""


class TaskRunPrepared(Event, frozen=True, kw_only=True, tag="task_run_prepared"):
    """The files that the server needs are in place."""


class TaskRunDeployed(Event, frozen=True, kw_only=True, tag="task_run_deployed"):
    """The server is up."""

    url: str


class TaskRunWentLive(Event, frozen=True, kw_only=True, tag="task_run_went_live"):
    """Workers can register."""


class TaskRunDataExhausted(Event, frozen=True, kw_only=True, tag="task_run_data_exhausted"):
    """The source of assignments has no more."""

    assignments: int


class TaskRunStopping(Event, frozen=True, kw_only=True, tag="task_run_stopping"):
    """No more work is given out; those at work may finish. A second one says that they may not, after all."""

    reason: str
    #: True if their work is taken from them instead.
    at_once: bool = False


class TaskRunPaused(Event, frozen=True, kw_only=True, tag="task_run_paused"):
    """The operator left the run; its units stay open, and its agents keep their work until it is resumed."""

    reason: str


class TaskRunDraining(Event, frozen=True, kw_only=True, tag="task_run_draining"):
    """Newcomers get no work, and the run is paused once nobody is at work."""

    reason: str


class TaskRunCompleted(Event, frozen=True, kw_only=True, tag="task_run_completed"):
    """Nothing of the run is open any more."""


class TaskRunFailed(Event, frozen=True, kw_only=True, tag="task_run_failed"):
    """The run ended before its work was done."""

    step: str
    reason: str


class TaskRunRecovering(Event, frozen=True, kw_only=True, tag="task_run_recovering"):
    """An operator process resumes the run."""

    reason: str


class TaskRunReopened(Event, frozen=True, kw_only=True, tag="task_run_reopened"):
    """An ended run has open units again; it waits to be resumed."""

    reason: str


class TaskRunDataAdded(Event, frozen=True, kw_only=True, tag="task_run_data_added"):
    """More items follow the run's data."""

    #: Number of items.
    items: int
    #: The items, a JSON array of what a launch script's data consists of.
    data: PayloadRef


class TaskRunUnitsRaised(Event, frozen=True, kw_only=True, tag="task_run_units_raised"):
    """Each assignment gets more units, those that exist already included."""

    units_per_assignment: int


class TaskRunBudgetChanged(Event, frozen=True, kw_only=True, tag="task_run_budget_changed"):
    """The run has another budget."""

    #: Limit of all costs with fees, in cents; None: no limit.
    budget_cents: int | None


class CallbackFailed(Event, frozen=True, kw_only=True, tag="callback_failed"):
    """A function of the task's code raised, did not return in time, or returned something of the wrong type.

    It answered nothing: nobody is judged, excluded or counted because of it.
    """

    #: For instance `validate_onboarding`.
    function: str
    #: In a few words what went wrong, without any value: `raised ValueError`, `returned str instead of ...`.
    error: str
    #: The line of the task's code at fault, for instance `run_task.py:12`, or the function's first line.
    location: str
    #: The message of the exception, or the value that was returned; None if it concerns several workers.
    message: PayloadRef | None = None
    #: The worker whom the call was about; None for none or several.
    worker: WorkerId | None = None
    unit: UnitId | None = None
    assignment: AssignmentId | None = None
    #: The agents that lose their work by the failure, or whose work it was about.
    agents: tuple[AgentId, ...] = ()
    onboarding_agent: OnboardingAgentId | None = None


class CallbackRecovered(Event, frozen=True, kw_only=True, tag="callback_recovered"):
    """A function of the task's code that had failed returned a usable answer: its failures are counted anew."""

    function: str


class TaskRunAdmissionPaused(Event, frozen=True, kw_only=True, tag="task_run_admission_paused"):
    """A function of the task's code failed too often in a row: newcomers get no work, people at work continue."""

    function: str
    #: Failures in a row.
    failures: int


class TaskRunAdmissionResumed(Event, frozen=True, kw_only=True, tag="task_run_admission_resumed"):
    """Newcomers get work again, and failures are counted anew."""

    reason: str


class SiteOffer(Enum):
    """State of a run's offer at its provider's site."""

    OPEN = "open"
    #: Withdrawn by us.
    WITHDRAWN = "withdrawn"
    #: Paused there by a person or by the site: we do not start it again.
    PAUSED_THERE = "paused there"


class TaskRunOfferChanged(Event, frozen=True, kw_only=True, tag="task_run_offer_changed"):
    """The run's offer at its provider was opened, is being withdrawn, or was found paused."""

    offer: SiteOffer


class SiteListIntended(Event, frozen=True, kw_only=True, tag="site_list_intended"):
    """The provider's site is about to be asked to change one of its lists of workers."""

    #: The qualification whose holders are in the list; None: it is the list of blocked workers.
    qualification: QualificationId | None
    added: tuple[WorkerId, ...] = ()
    removed: tuple[WorkerId, ...] = ()


class SiteListAnswered(Event, frozen=True, kw_only=True, tag="site_list_answered"):
    """The site answered, or a look at the list has shown what became of the change."""

    qualification: QualificationId | None
    answer: Answer
    #: The site's reason if it did not do it; empty: there is none.
    reason: str = ""


class SiteListObserved(Event, frozen=True, kw_only=True, tag="site_list_observed"):
    """Somebody has changed the list on the site's pages. That decides nothing here."""

    qualification: QualificationId | None
    added: tuple[WorkerId, ...] = ()
    removed: tuple[WorkerId, ...] = ()


SiteListEvent = SiteListIntended | SiteListAnswered | SiteListObserved

TaskRunEvent = (
    TaskRunCreated
    | TaskRunPrepared
    | TaskRunDeployed
    | TaskRunWentLive
    | TaskRunDataExhausted
    | TaskRunPaused
    | TaskRunDraining
    | TaskRunStopping
    | TaskRunCompleted
    | TaskRunFailed
    | TaskRunRecovering
    | TaskRunReopened
    | TaskRunDataAdded
    | TaskRunUnitsRaised
    | TaskRunBudgetChanged
    | CallbackFailed
    | CallbackRecovered
    | TaskRunAdmissionPaused
    | TaskRunAdmissionResumed
    | TaskRunOfferChanged
    | SiteListEvent
)
