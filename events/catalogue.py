"""Every event there is."""

from __future__ import annotations

from .agent import AgentEvent
from .assignment import AssignmentEvent
from .directory import DirectoryEvent
from .engagement import EngagementEvent
from .onboarding import OnboardingEvent
from .pay import PayEvent
from .server import ServerEvent
from .task_run import TaskRunEvent
from .unit import UnitEvent
from .worker import WorkerEvent

AnyEvent = (
    DirectoryEvent
    | WorkerEvent
    | TaskRunEvent
    | ServerEvent
    | AssignmentEvent
    | UnitEvent
    | AgentEvent
    | OnboardingEvent
    | EngagementEvent
    | PayEvent
)
