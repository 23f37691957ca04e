"""Events of a task run: one launch of a task with one configuration."""

from __future__ import annotations

from .base import Event
from .ids import RequesterId, TaskId, TaskRunId


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
    """No more work is given out; those at work may finish."""

    reason: str


class TaskRunPaused(Event, frozen=True, kw_only=True, tag="task_run_paused"):
    """The operator left the run; its units stay open, and its agents keep their work until it is resumed."""

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


TaskRunEvent = (
    TaskRunCreated
    | TaskRunPrepared
    | TaskRunDeployed
    | TaskRunWentLive
    | TaskRunDataExhausted
    | TaskRunPaused
    | TaskRunStopping
    | TaskRunCompleted
    | TaskRunFailed
    | TaskRunRecovering
    | TaskRunReopened
)
