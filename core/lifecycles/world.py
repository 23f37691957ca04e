"""The fold of a whole log: what is known of every entity.

The running operator, replay and time travel use this one fold. It sees state and event and nothing else, so the
same events always give the same world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar, cast

from ...events.agent import AgentEvent
from ...events.base import Event
from ...events.engagement import EngagementEvent
from ...events.envelope import Envelope
from ...events.onboarding import OnboardingEvent
from ...events.server import ServerEvent
from ...events.task_run import TaskRunEvent
from ...events.unit import UnitEvent
from ...events.worker import WorkerEvent
from ..errors import Conflict, IllegalStep, UnknownEntity
from . import agent, engagement, onboarding, records, server, task_run, unit, worker

State = TypeVar("State")
E = TypeVar("E", bound=Event)


class _Folds(Protocol):
    def apply(self, stream: str, event: Event) -> None: ...

    def check(self, stream: str, events: Sequence[Event]) -> None: ...


class Family(Generic[State, E]):
    """All entities of one kind, by the name of their stream."""

    def __init__(self, evolve: Callable[[State | None, E], State]) -> None:
        self._evolve = evolve
        self._states: dict[str, State] = {}

    def apply(self, stream: str, event: Event) -> None:
        """Carry an event of this kind of entity into its state.

        Raises:
            IllegalStep: the lifecycle has no such step.
        """
        # Sound because `World` sends each event type to the family of its lifecycle.
        try:
            self._states[stream] = self._evolve(self._states.get(stream), cast(E, event))
        except IllegalStep as error:
            raise IllegalStep(stream, error.status, error.wish) from None

    def check(self, stream: str, events: Sequence[Event]) -> None:
        """See whether events could happen to an entity one after the other, and change nothing.

        Raises:
            IllegalStep: the lifecycle has no such step.
        """
        state = self._states.get(stream)
        try:
            for event in events:
                state = self._evolve(state, cast(E, event))
        except IllegalStep as error:
            raise IllegalStep(stream, error.status, error.wish) from None

    def __getitem__(self, stream: str) -> State:
        """The entity's state.

        Raises:
            UnknownEntity: nothing is known of it.
        """
        try:
            return self._states[stream]
        except KeyError:
            raise UnknownEntity(stream) from None

    def get(self, stream: str) -> State | None:
        """The entity's state, if there is such an entity."""
        return self._states.get(stream)

    def values(self) -> Iterator[State]:
        """All states, the oldest entity first."""
        return iter(self._states.values())

    def items(self) -> Iterator[tuple[str, State]]:
        """All streams with their states, the oldest entity first."""
        return iter(self._states.items())

    def __len__(self) -> int:
        return len(self._states)


class World:
    """Everything the log says, as of its last applied event.

    Attributes:
        versions: the version of each stream.
    """

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.records = Family[records.RecordState, records.RecordEvent](records.evolve)
        self.workers = Family[worker.WorkerState, WorkerEvent](worker.evolve)
        self.task_runs = Family[task_run.TaskRunState, TaskRunEvent](task_run.evolve)
        self.servers = Family[server.ResourceState, ServerEvent](server.evolve)
        self.units = Family[unit.UnitState, UnitEvent](unit.evolve)
        self.agents = Family[agent.AgentState, AgentEvent](agent.evolve)
        self.onboardings = Family[onboarding.OnboardingState, OnboardingEvent](onboarding.evolve)
        self.engagements = Family[engagement.EngagementState, EngagementEvent](engagement.evolve)
        self._family_of: dict[type[Event], _Folds] = {
            event: family
            for lifecycle, family in (
                (records.RECORD, self.records),
                (worker.WORKER, self.workers),
                (task_run.TASK_RUN, self.task_runs),
                (server.SERVER, self.servers),
                (unit.UNIT, self.units),
                (agent.AGENT, self.agents),
                (onboarding.ONBOARDING, self.onboardings),
                (engagement.ENGAGEMENT, self.engagements),
            )
            for event in lifecycle.events
        }

    def version(self, stream: str) -> int:
        """How many events a stream has."""
        return self.versions.get(stream, 0)

    def apply(self, envelope: Envelope) -> None:
        """Carry a recorded event into the world.

        Raises:
            Conflict: the event's version does not follow the stream's.
            IllegalStep: the lifecycle has no such step.
        """
        version = self.versions.get(envelope.stream, 0) + 1
        if envelope.version != version:
            raise Conflict(envelope.stream, envelope.version - 1, version - 1)
        self.evolve(envelope.stream, envelope.event)

    def check(self, events: Iterable[tuple[str, Event]]) -> None:
        """See whether events could be appended, and change nothing.

        Raises:
            IllegalStep: a lifecycle has no such step.
        """
        by_stream: dict[str, list[Event]] = {}
        for stream, event in events:
            by_stream.setdefault(stream, []).append(event)
        for stream, steps in by_stream.items():
            self._family_of[type(steps[0])].check(stream, steps)

    def evolve(self, stream: str, event: Event) -> None:
        """Carry the next event of a stream into the world.

        Raises:
            IllegalStep: the lifecycle has no such step.
        """
        self._family_of[type(event)].apply(stream, event)
        self.versions[stream] = self.versions.get(stream, 0) + 1
