"""Every event there is."""

from __future__ import annotations

from .agent import AgentEvent
from .assignment import AssignmentEvent
from .directory import DirectoryEvent
from .engagement import EngagementEvent
from .onboarding import OnboardingEvent
from .payment import PaymentEvent
from .resource import ResourceEvent
from .task_run import TaskRunEvent
from .unit import UnitEvent
from .worker import WorkerEvent

AnyEvent = (
    DirectoryEvent
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
