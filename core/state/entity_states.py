"""Folds a whole log into the state of every entity.

The running operator, replay and reading as of a past moment share this fold. It depends on state and event alone, so
the same events always give the same states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from ...events.agent import AgentEvent
from ...events.assignment import AssignmentEvent
from ...events.base import Event
from ...events.engagement import EngagementEvent
from ...events.envelope import Envelope
from ...events.onboarding import OnboardingEvent
from ...events.payment import PaymentEvent
from ...events.records import RecordEvent, TaskEvent
from ...events.resource import ResourceEvent
from ...events.task_run import TaskRunEvent
from ...events.unit import UnitEvent
from ...events.worker import WorkerEvent
from ..errors import IllegalStepError, UnknownEntityError, VersionConflictError
from ..lifecycles import agent, assignment, engagement, onboarding, records, resource, task, task_run, unit, worker
from ..lifecycles import payment as pay

State = TypeVar("State")
E = TypeVar("E", bound=Event)


class StateMap(dict[str, State], Generic[State, E]):
    """States of all entities of one kind by their stream, the oldest entity first."""

    def __init__(self, evolve: Callable[[State | None, E], State]) -> None:
        super().__init__()
        #: The function that applies an event, and the states it works on.
        self.fold = cast("_Fold", (evolve, self))

    def __missing__(self, stream: str) -> State:
        """Refuse an entity that does not exist.

        Raises:
            UnknownEntityError: always.
        """
        raise UnknownEntityError(stream)


#: A map without its types, which is sound because `EntityStates` sends each event type to the map of its lifecycle.
_Fold = tuple[Callable[[object, Event], object], dict[str, object]]


class EntityStates:
    """State of every entity after the last applied event.

    Attributes:
        versions: the version of each stream.
    """

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.records = StateMap[records.RecordState, RecordEvent](records.evolve)
        self.tasks = StateMap[task.TaskState, TaskEvent](task.evolve)
        self.workers = StateMap[worker.WorkerState, WorkerEvent](worker.evolve)
        self.task_runs = StateMap[task_run.TaskRunState, TaskRunEvent](task_run.evolve)
        self.resources = StateMap[resource.ResourceState, ResourceEvent](resource.evolve)
        self.assignments = StateMap[assignment.AssignmentState, AssignmentEvent](assignment.evolve)
        self.units = StateMap[unit.UnitState, UnitEvent](unit.evolve)
        self.agents = StateMap[agent.AgentRecord, AgentEvent](agent.evolve)
        self.onboardings = StateMap[onboarding.OnboardingRecord, OnboardingEvent](onboarding.evolve)
        self.engagements = StateMap[engagement.EngagementState, EngagementEvent](engagement.evolve)
        self.payments = StateMap[pay.PaymentState, PaymentEvent](pay.evolve)
        self._folds: dict[type[Event], _Fold] = {
            event: family.fold
            for lifecycle, family in (
                (records.RECORD, self.records),
                (task.TASK, self.tasks),
                (worker.WORKER, self.workers),
                (task_run.TASK_RUN, self.task_runs),
                (resource.RESOURCE, self.resources),
                (assignment.ASSIGNMENT, self.assignments),
                (unit.UNIT, self.units),
                (agent.AGENT, self.agents),
                (onboarding.ONBOARDING, self.onboardings),
                (engagement.ENGAGEMENT, self.engagements),
                (pay.PAYMENT, self.payments),
            )
            for event in lifecycle.events
        }

    def version(self, stream: str) -> int:
        """Return the number of events of a stream."""
        return self.versions.get(stream, 0)

    def apply(self, envelope: Envelope) -> None:
        """Apply a recorded event.

        Raises:
            VersionConflictError: the event's version does not follow the stream's.
            IllegalStepError: the lifecycle has no such step.
        """
        stream = envelope.stream
        before = self.versions.get(stream, 0)
        if envelope.version != before + 1:
            raise VersionConflictError(stream, envelope.version - 1, before)
        self.evolve(stream, envelope.event)

    def check(self, events: Iterable[tuple[str, Event]]) -> None:
        """Check that events could be applied, and change nothing.

        Raises:
            IllegalStepError: a lifecycle has no such step.
        """
        by_stream: dict[str, list[Event]] = {}
        for stream, event in events:
            by_stream.setdefault(stream, []).append(event)
        for stream, steps in by_stream.items():
            evolve, states = self._folds[type(steps[0])]
            state = states.get(stream)
            try:
                for event in steps:
                    state = evolve(state, event)
            except IllegalStepError as error:
                raise IllegalStepError(stream, error.status, error.event_kind) from None

    def evolve(self, stream: str, event: Event) -> None:
        """Apply the next event of a stream.

        Raises:
            IllegalStepError: the lifecycle has no such step.
        """
        # Every event of every replay comes through here.
        evolve, states = self._folds[type(event)]
        try:
            states[stream] = evolve(states.get(stream), event)
        except IllegalStepError as error:
            raise IllegalStepError(stream, error.status, error.event_kind) from None
        self.versions[stream] = self.versions.get(stream, 0) + 1
