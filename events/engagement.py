"""What a worker does in one run. Kept apart from who the worker is, so that giving work touches only the run."""

from __future__ import annotations

from enum import Enum

from .base import Event
from .ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId


class WorkerArrived(Event, frozen=True, kw_only=True, tag="worker_arrived"):
    """The worker asked for work in this run for the first time."""

    worker: WorkerId


class WorkStarted(Event, frozen=True, kw_only=True, tag="work_started"):
    """The worker was given a unit."""

    agent: AgentId
    unit: UnitId
    assignment: AssignmentId
    #: What the unit tells of the worker: `screening` or `gold`; None: it is ordinary work.
    evaluation: str | None = None
    #: Whether it is one of the units of which a worker may have only so many.
    counts: bool = True


class WorkEnded(Event, frozen=True, kw_only=True, tag="work_ended"):
    """The worker is done with a unit, and still has another one."""

    agent: AgentId
    #: The agent's status in which it ended.
    outcome: str


class AllWorkEnded(Event, frozen=True, kw_only=True, tag="all_work_ended"):
    """The worker is done with the only unit it had."""

    agent: AgentId
    #: The agent's status in which it ended.
    outcome: str


class WorkerOnboarded(Event, frozen=True, kw_only=True, tag="worker_onboarded"):
    """The worker passed the onboarding: units are open to it."""

    agent: OnboardingAgentId


class WorkerExcluded(Event, frozen=True, kw_only=True, tag="worker_excluded"):
    """The worker failed the onboarding or a screening: no unit of this run is for it."""

    reason: str


class RefusalReason(Enum):
    """Reason for which a worker who asks for work gets none, as its page is told."""

    NOT_QUALIFIED = "NOT_QUALIFIED"
    NO_AVAILABLE_UNITS = "NO_AVAILABLE_UNITS"
    TOO_MANY_CONCURRENT = "TOO_MANY_CONCURRENT"
    MAX_FOR_TASK = "MAX_FOR_TASK"
    PAUSED = "PAUSED"
    TASK_MISSING = "TASK_MISSING"


class WorkerRefused(Event, frozen=True, kw_only=True, tag="worker_refused"):
    """The worker asked for work and got none."""

    #: The rule that said no, for instance `maximum_units_per_worker`.
    rule: str
    #: What the rule looked at: names and values.
    inputs: dict[str, str | int | bool | None]
    #: Decides the text that the worker's page showed.
    reason: RefusalReason


class CallbackAnswered(Event, frozen=True, kw_only=True, tag="callback_answered"):
    """The launch script's own code was asked about this worker and a unit, or told of it; it is never asked again."""

    #: For instance `worker_can_do_unit`.
    callback: str
    unit: UnitId
    answer: str | int | bool | None


class WorkerAssessed(Event, frozen=True, kw_only=True, tag="worker_assessed"):
    """The launch script's own code was asked something about this worker; it is not asked again on the same facts."""

    #: For instance `worker_qualifies`.
    callback: str
    #: What it was told: names and values.
    facts: dict[str, int]
    answer: bool


EngagementEvent = (
    WorkerArrived
    | WorkStarted
    | WorkEnded
    | AllWorkEnded
    | WorkerOnboarded
    | WorkerExcluded
    | WorkerRefused
    | CallbackAnswered
    | WorkerAssessed
)
