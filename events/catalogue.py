"""The union of all event types, and the category of the streams in which each occurs."""

from __future__ import annotations

from typing import get_args

from .agent import AgentEvent
from .assignment import AssignmentEvent
from .base import Event
from .engagement import EngagementEvent
from .onboarding import OnboardingEvent
from .payment import PaymentEvent
from .records import (
    ProjectCreated,
    QualificationCreated,
    RecordEvent,
    RequesterRegistered,
    TaskEvent,
)
from .resource import ResourceEvent
from .task_run import TaskRunEvent
from .unit import UnitEvent
from .worker import WorkerEvent

AnyEvent = (
    RecordEvent
    | TaskEvent
    | WorkerEvent
    | TaskRunEvent
    | ResourceEvent
    | AssignmentEvent
    | UnitEvent
    | AgentEvent
    | OnboardingEvent
    | EngagementEvent
    | PaymentEvent
)

_EVENTS_IN: dict[str, object] = {
    "project": ProjectCreated,
    "task": TaskEvent,
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

#: Category of the only streams in which events of a type occur.
CATEGORY_OF: dict[type[Event], str] = {
    event: category for category, events in _EVENTS_IN.items() for event in get_args(events) or (events,)
}
