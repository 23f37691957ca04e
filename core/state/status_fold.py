"""Folds a log into version and status of every entity: enough to check that all its steps are legal.

`EntityStates` checks by the same tables and keeps the data of the events, too; an audit does not need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...events.base import Event, kind_of
from ..errors import IllegalStepError, VersionConflictError
from ..lifecycles.agent import AGENT
from ..lifecycles.assignment import ASSIGNMENT
from ..lifecycles.engagement import ENGAGEMENT
from ..lifecycles.onboarding import ONBOARDING
from ..lifecycles.payment import PAYMENT
from ..lifecycles.records import RECORD
from ..lifecycles.resource import RESOURCE
from ..lifecycles.table import ABSENT, Lifecycle, S, Status
from ..lifecycles.task import TASK
from ..lifecycles.task_run import TASK_RUN
from ..lifecycles.unit import UNIT
from ..lifecycles.worker import WORKER

#: All lifecycles.
LIFECYCLES = (RECORD, TASK, WORKER, TASK_RUN, RESOURCE, ASSIGNMENT, UNIT, AGENT, ONBOARDING, ENGAGEMENT, PAYMENT)

#: For each event type, the status it leads to by the status before; None if the entity does not exist yet.
_TARGETS: dict[type[Event], Mapping[Status | None, Status]] = {
    event: cast(Mapping[Status | None, Status], targets)
    for lifecycle in LIFECYCLES
    for event, targets in lifecycle.targets.items()
}

#: Version and status of one entity; the status is None if the entity does not exist yet.
StreamStatus = tuple[int, Status | None]
_ABSENT: StreamStatus = (0, None)


class StatusFold:
    """Version and status of every entity of a log.

    Attributes:
        by_stream: the version and status of each stream.
    """

    def __init__(self) -> None:
        self.by_stream: dict[str, StreamStatus] = {}

    def step(self, stream: str, version: int, event: type[Event]) -> None:
        """Check the next event of a stream, and apply it.

        Args:
            stream: the stream.
            version: the event's version.
            event: type of the event.

        Raises:
            VersionConflictError: the version does not follow the stream's.
            IllegalStepError: the lifecycle has no such step.
        """
        before, status = self.by_stream.get(stream, _ABSENT)
        if version != before + 1:
            raise VersionConflictError(stream, version - 1, before)
        target = _TARGETS[event].get(status)
        if target is None:
            raise IllegalStepError(stream, ABSENT if status is None else str(status.value), kind_of(event))
        self.by_stream[stream] = (version, target)


def statuses_after(lifecycle: Lifecycle[S]) -> dict[type[Event], str]:
    """Return the status that each event of a lifecycle leads to, without the events that change no status."""
    return {step.event: str(step.target.value) for step in lifecycle.steps if step.sources != (step.target,)}


#: The status that each event leads to, in all lifecycles but three. Records and tasks have one status, which says
#: nothing, and readers know an assignment by the statuses of its units.
STATUS_AFTER: dict[type[Event], str] = {
    **statuses_after(WORKER),
    **statuses_after(TASK_RUN),
    **statuses_after(RESOURCE),
    **statuses_after(UNIT),
    **statuses_after(AGENT),
    **statuses_after(ONBOARDING),
    **statuses_after(ENGAGEMENT),
    **statuses_after(PAYMENT),
}
