"""The status that each kind of event leads to, read off the lifecycles' tables."""

from __future__ import annotations

from ...core.lifecycles.agent import AGENT
from ...core.lifecycles.engagement import ENGAGEMENT
from ...core.lifecycles.onboarding import ONBOARDING
from ...core.lifecycles.payment import PAYMENT
from ...core.lifecycles.resource import SERVER
from ...core.lifecycles.table import Lifecycle, S
from ...core.lifecycles.task_run import TASK_RUN
from ...core.lifecycles.unit import UNIT
from ...core.lifecycles.worker import WORKER
from ...events.base import Event


def statuses_after(lifecycle: Lifecycle[S]) -> dict[type[Event], str]:
    """The status after each event of a lifecycle; facts that change no status are left out."""
    return {step.event: str(step.target.value) for step in lifecycle.steps if step.sources != (step.target,)}


#: Of all lifecycles. Records have one status only, which says nothing.
STATUS_AFTER: dict[type[Event], str] = {
    **statuses_after(WORKER),
    **statuses_after(TASK_RUN),
    **statuses_after(SERVER),
    **statuses_after(UNIT),
    **statuses_after(AGENT),
    **statuses_after(ONBOARDING),
    **statuses_after(ENGAGEMENT),
    **statuses_after(PAYMENT),
}
