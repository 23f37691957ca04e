"""Where every entity stands: version and status, which is all it takes to judge a log.

The fold of `world` judges by the same tables and also keeps what the events say; an audit needs no more than this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ...events.base import Event
from ..errors import IllegalStepError, VersionConflictError
from ..lifecycles.agent import AGENT
from ..lifecycles.engagement import ENGAGEMENT
from ..lifecycles.onboarding import ONBOARDING
from ..lifecycles.payment import PAYMENT
from ..lifecycles.records import RECORD
from ..lifecycles.resource import RESOURCE
from ..lifecycles.table import ABSENT, Lifecycle, S, Status, kind_of
from ..lifecycles.task_run import TASK_RUN
from ..lifecycles.unit import UNIT
from ..lifecycles.worker import WORKER

#: All there are.
LIFECYCLES = (RECORD, WORKER, TASK_RUN, RESOURCE, UNIT, AGENT, ONBOARDING, ENGAGEMENT, PAYMENT)

#: For each kind of event: the statuses it may happen in (None: before there is an entity), and where it leads to.
_TARGETS: dict[type[Event], Mapping[Status | None, Status]] = {
    event: cast(Mapping[Status | None, Status], targets)
    for lifecycle in LIFECYCLES
    for event, targets in lifecycle.targets.items()
}

#: Version and status of one entity; no status: there is no such entity yet.
StreamStatus = tuple[int, Status | None]
_ABSENT: StreamStatus = (0, None)


class StatusFold:
    """Where every entity of a log stands.

    Attributes:
        by_stream: the version and status of each stream.
    """

    def __init__(self) -> None:
        self.by_stream: dict[str, StreamStatus] = {}

    def step(self, stream: str, version: int, event: type[Event]) -> None:
        """Judge the next event of a stream, and take the stream where it leads.

        Args:
            stream: the stream.
            version: the event's version.
            event: what kind of event it is; the lifecycles ask no more of it.

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


#: The status that each event leads to, in all lifecycles. Records are left out: their one status says nothing.
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
