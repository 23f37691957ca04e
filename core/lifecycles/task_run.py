"""Lifecycle of a task run: one launch of a task with one configuration."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import RequesterId, TaskId, TaskRunId
from ...events.task_run import (
    CallbackFailed,
    CallbackRecovered,
    SiteListAnswered,
    SiteListIntended,
    SiteListObserved,
    SiteOffer,
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunBudgetChanged,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataAdded,
    TaskRunDataExhausted,
    TaskRunDeployed,
    TaskRunDraining,
    TaskRunEvent,
    TaskRunFailed,
    TaskRunOfferChanged,
    TaskRunPaused,
    TaskRunPrepared,
    TaskRunRecovering,
    TaskRunReopened,
    TaskRunStopping,
    TaskRunUnitsRaised,
    TaskRunWentLive,
)
from .site_list import SiteListState, evolve_lists
from .table import Lifecycle, Status, existing, stays, step


class TaskRunStatus(Status):
    """Status of a task run."""

    CREATED = "created"
    PREPARED = "prepared"
    DEPLOYED = "deployed"
    LIVE = "live"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    RECOVERING = "recovering"


_S = TaskRunStatus

#: Statuses in which units may be open.
OPEN_RUN_STATUSES = frozenset({_S.LIVE, _S.STOPPING})
#: Statuses of a run that gives out work, or will: what comes from pages may be seen to before it is live again.
GIVING_RUN_STATUSES = frozenset({_S.DEPLOYED, _S.LIVE, _S.PAUSED, _S.RECOVERING})
#: Statuses in which a run can be taken up again by another process.
RESUMABLE_RUN_STATUSES = frozenset({_S.DEPLOYED, _S.LIVE, _S.PAUSED, _S.STOPPING, _S.RECOVERING})
#: Statuses in which something of a run that has a server may still be on its way.
_UNDER_WAY = (_S.DEPLOYED, _S.LIVE, _S.PAUSED, _S.STOPPING, _S.RECOVERING)
#: Statuses in which a run can be given more to do.
_EXTENDABLE = (_S.DEPLOYED, _S.LIVE, _S.PAUSED, _S.RECOVERING)
#: Statuses in which a run holds no server and takes no work.
ENDED_RUN_STATUSES = frozenset({_S.COMPLETED, _S.FAILED})

TASK_RUN = Lifecycle(
    "task run",
    TaskRunStatus,
    (
        step(TaskRunCreated, None, _S.CREATED),
        step(TaskRunPrepared, _S.CREATED, _S.PREPARED),
        step(TaskRunDeployed, (_S.PREPARED, _S.RECOVERING), _S.DEPLOYED),  # recovering: its server died
        step(TaskRunWentLive, (_S.DEPLOYED, _S.RECOVERING), _S.LIVE),  # recovering: its server is still there
        # Recovering: the run could not be resumed, which must not cost it anything.
        step(TaskRunPaused, (_S.DEPLOYED, _S.LIVE, _S.STOPPING, _S.RECOVERING), _S.PAUSED),
        step(TaskRunStopping, _S.LIVE, _S.STOPPING),
        step(TaskRunCompleted, _S.STOPPING, _S.COMPLETED),
        step(
            TaskRunFailed,
            (_S.CREATED, _S.PREPARED, _S.DEPLOYED, _S.LIVE, _S.STOPPING, _S.RECOVERING),
            _S.FAILED,
        ),
        step(
            TaskRunRecovering,
            (_S.DEPLOYED, _S.LIVE, _S.PAUSED, _S.STOPPING, _S.FAILED, _S.RECOVERING),
            _S.RECOVERING,
        ),
        step(TaskRunReopened, (_S.COMPLETED, _S.FAILED), _S.PAUSED),
        *stays(TaskRunDataAdded, *_EXTENDABLE),
        *stays(TaskRunUnitsRaised, *_EXTENDABLE),
        *stays(TaskRunDraining, _S.LIVE),
        *stays(TaskRunStopping, _S.STOPPING),  # at once: those at work may not finish any more
        # Ended: a bonus may need more money.
        *stays(TaskRunBudgetChanged, *_UNDER_WAY, _S.COMPLETED, _S.FAILED),
        # Paused: what was on its way when the operator left.
        *stays(TaskRunDataExhausted, *_UNDER_WAY),
        *stays(CallbackFailed, *_UNDER_WAY),
        *stays(CallbackRecovered, *_UNDER_WAY),
        *stays(TaskRunAdmissionPaused, *_UNDER_WAY),
        *stays(TaskRunAdmissionResumed, *_UNDER_WAY),
        *stays(TaskRunOfferChanged, *_UNDER_WAY),
        # Ended: its work is still paid and reviewed, and a worker may be blocked for it.
        *stays(SiteListIntended, *_UNDER_WAY, _S.COMPLETED, _S.FAILED),
        *stays(SiteListAnswered, *_UNDER_WAY, _S.COMPLETED, _S.FAILED),
        *stays(SiteListObserved, *_UNDER_WAY, _S.COMPLETED, _S.FAILED),
    ),
)


class TaskRunState(msgspec.Struct, frozen=True, gc=False):
    """State of a task run."""

    status: TaskRunStatus
    task_run: TaskRunId
    task: TaskId
    requester: RequesterId
    allowed_concurrent: int
    maximum_units_per_worker: int
    seed: str
    url: str | None = None
    #: Number of assignments in the data; None if the data is not exhausted yet.
    assignments: int | None = None
    #: Number of assignments when the data was last exhausted; None if it never was.
    exhausted_at: int | None = None
    #: Items added since then, oldest first.
    added: tuple[TaskRunDataAdded, ...] = ()
    #: Units that each assignment is to have at least; 0: as many as the data says.
    units_per_assignment: int = 0
    #: Why the run is to be paused once nobody is at work; None if it is not.
    draining: str | None = None
    #: True once the people at work may not finish, in a run that is stopping.
    ends_at_once: bool = False
    #: Failures in a row of each function of the task's code that did not succeed since.
    failures: dict[str, int] = {}
    #: The function whose failures paused the admission of newcomers; None if it is not paused.
    admission_paused_by: str | None = None
    #: The offer at the provider's site; None: there was none yet.
    offer: SiteOffer | None = None
    #: Lists of workers that the provider's site keeps after ours.
    site_lists: tuple[SiteListState, ...] = ()
    #: True if the maximum counts what a worker has in all runs of the task.
    maximum_is_per_task: bool = False
    #: Version of the text that workers must agree to; empty: there is none.
    consent: str = ""


def evolve(run: TaskRunState | None, event: TaskRunEvent) -> TaskRunState:
    """Return the run after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = TASK_RUN.after(run.status if run else None, event)
    if isinstance(event, TaskRunCreated):
        return TaskRunState(
            status,
            event.task_run,
            event.task,
            event.requester,
            event.allowed_concurrent,
            event.maximum_units_per_worker,
            event.seed,
            maximum_is_per_task=event.maximum_is_per_task,
            consent=event.consent,
        )
    run = existing(run)
    match event:
        case TaskRunDeployed():
            return replace(run, status=status, url=event.url)
        case TaskRunDataExhausted():
            return replace(run, assignments=event.assignments, exhausted_at=event.assignments, added=())
        case TaskRunDataAdded():
            return replace(run, assignments=None, added=(*run.added, event))
        case TaskRunUnitsRaised():
            return replace(run, units_per_assignment=event.units_per_assignment)
        case TaskRunBudgetChanged():
            return run
        case TaskRunDraining():
            return replace(run, draining=event.reason)
        case CallbackFailed():
            return replace(run, failures=run.failures | {event.function: run.failures.get(event.function, 0) + 1})
        case CallbackRecovered():
            return replace(run, failures={name: n for name, n in run.failures.items() if name != event.function})
        case TaskRunAdmissionPaused():
            return replace(run, admission_paused_by=event.function)
        case TaskRunAdmissionResumed():
            return replace(run, admission_paused_by=None, failures={})
        case TaskRunOfferChanged():
            return replace(run, offer=event.offer)
        case TaskRunStopping():
            return replace(run, status=status, draining=None, ends_at_once=event.at_once)
        case SiteListIntended() | SiteListAnswered() | SiteListObserved():
            return replace(run, site_lists=evolve_lists(run.site_lists, event))
        case (
            TaskRunPrepared()
            | TaskRunWentLive()
            | TaskRunPaused()
            | TaskRunReopened()
            | TaskRunCompleted()
            | TaskRunFailed()
            | TaskRunRecovering()
        ):
            return replace(run, status=status, draining=None, ends_at_once=False)
        case _:
            assert_never(event)
