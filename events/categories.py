"""In which streams each event happens."""

from __future__ import annotations

from typing import get_args

from .agent import AgentEvent
from .assignment import AssignmentEvent
from .base import Event
from .directory import QualificationCreated, RequesterRegistered, TaskRegistered
from .engagement import EngagementEvent
from .onboarding import OnboardingEvent
from .payment import PaymentEvent
from .resource import ResourceEvent
from .task_run import TaskRunEvent
from .unit import UnitEvent
from .worker import WorkerEvent

_EVENTS_IN: dict[str, object] = {
    "task": TaskRegistered,
    "requester": RequesterRegistered,
    "qualification": QualificationCreated,
    "worker": WorkerEvent,
    "task_run": TaskRunEvent,
    "resource": ResourceEvent,
    "assignment": AssignmentEvent,
    "unit": UnitEvent,
    "agent": AgentEvent,
    "onboarding_agent": OnboardingEvent,
    "engagement": EngagementEvent,
    "payment": PaymentEvent,
}

#: The category of the streams in which an event of a type happens; it happens in no other.
CATEGORY_OF: dict[type[Event], str] = {
    event: category for category, events in _EVENTS_IN.items() for event in get_args(events) or (events,)
}
