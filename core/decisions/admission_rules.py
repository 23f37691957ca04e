"""Rules that a worker must meet before any unit of a run is considered.

A decision stops at the first rule that is not met; an explanation shows them all. Both use this one list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ...events.engagement import RefusalReason
from ..lifecycles.engagement import EngagementState
from ..lifecycles.task_run import TaskRunState, TaskRunStatus
from ..lifecycles.worker import WorkerState, WorkerStatus

#: The rule that newcomers get no work while a function of the task's code keeps failing.
ADMISSION_OPEN = "admission_open"


class Check(NamedTuple):
    """Inputs and result of one rule."""

    rule: str
    #: Names and values.
    inputs: Mapping[str, str | int | bool | None]
    holds: bool
    #: Given to the worker if the rule does not hold.
    reason: RefusalReason


def admission(
    run: TaskRunState, worker: WorkerState, engagement: EngagementState | None, counted: int
) -> Iterator[Check]:
    """Check the rules in order; a limit that the run does not have is no rule.

    Args:
        run: the present state of the run.
        worker: the present state of the worker.
        engagement: the worker's engagement in the run; None if it has not arrived.
        counted: the number of the worker's units that count against `maximum_units_per_worker`.
    """
    live = run.status is TaskRunStatus.LIVE
    # A run that is ending has nothing for anybody, now or later.
    ends = run.status is TaskRunStatus.STOPPING
    reason = RefusalReason.ENOUGH_PEOPLE if ends else RefusalReason.NO_AVAILABLE_UNITS
    yield Check("run_is_live", {"run": run.status.value}, live, reason)
    paused_by = run.admission_paused_by
    if paused_by is not None:
        yield Check(ADMISSION_OPEN, {"failed": paused_by}, False, RefusalReason.PAUSED)
    free = worker.status is WorkerStatus.REGISTERED
    yield Check("not_blocked", {"worker": worker.status.value}, free, RefusalReason.NOT_QUALIFIED)
    if run.consent:
        consent = engagement.consent if engagement else None
        inputs: dict[str, str | int | bool | None] = {"version": run.consent, "has": consent}
        yield Check("consent_given", inputs, consent == run.consent, RefusalReason.CONSENT_MISSING)
    excluded = engagement.excluded if engagement else None
    yield Check("not_excluded", {"reason": excluded}, excluded is None, RefusalReason.NOT_QUALIFIED)
    if run.allowed_concurrent:
        has = len(engagement.live) if engagement else 0
        yield _limit("allowed_concurrent", run.allowed_concurrent, has, RefusalReason.TOO_MANY_CONCURRENT)
    if run.maximum_units_per_worker:
        yield _limit("maximum_units_per_worker", run.maximum_units_per_worker, counted, RefusalReason.MAX_FOR_TASK)
    undecided = engagement.undecided() if engagement else None
    if undecided is not None:
        yield Check("evaluation_decided", {"unit": undecided}, False, RefusalReason.TOO_MANY_CONCURRENT)


def _limit(rule: str, limit: int, has: int, reason: RefusalReason) -> Check:
    return Check(rule, {"limit": limit, "has": has}, has < limit, reason)
