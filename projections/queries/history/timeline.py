"""What happened to one unit, agent, worker or run, and to what belongs to it, in the order of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from ....core.state.status_fold import STATUS_AFTER
from ....events.agent import AgentAccepted
from ....events.base import Event
from ....events.codec import KIND_OF
from ....events.envelope import RecordedEvent
from ....events.onboarding import OnboardingStarted
from ....events.unit import UnitAssigned, UnitCompleted, UnitCreated, UnitReleased
from ...mephisto_db.rows import date_of
from ..entity_ref import EntityRef
from .event_text import words


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    seq: int
    #: UTC, to the millisecond.
    date: str
    stream: str
    #: The event's tag, for instance `unit_assigned`.
    kind: str
    actor: str
    #: The event in words. No personal value is among them.
    what: str
    #: The status it led to; None: it changed none.
    status: str | None

    def __str__(self) -> str:
        return f"{self.date}  {self.stream}  {self.what}" + (f" -> {self.status}" if self.status else "")


#: Whether a stream is part of an entity's history, seen by one of its events; the number is the entity's id.
_Belongs = Callable[[str, Event, int], bool]


def _of_run(stream: str, _: Event, number: int) -> bool:
    return stream == f"task_run/{number}" or stream.startswith(f"server/{number}/")


def _of_assignment(stream: str, event: Event, number: int) -> bool:
    made_for = isinstance(event, UnitCreated | AgentAccepted) and event.assignment == number
    return made_for or _is(stream, "assignment", number)


def _of_unit(stream: str, event: Event, number: int) -> bool:
    return _is(stream, "unit", number) or (isinstance(event, AgentAccepted) and event.unit == number)


def _of_agent(stream: str, _: Event, number: int) -> bool:
    return _is(stream, "agent", number)


def _of_onboarding(stream: str, _: Event, number: int) -> bool:
    return _is(stream, "onboarding_agent", number)


def _of_worker(stream: str, event: Event, number: int) -> bool:
    at_work = isinstance(event, AgentAccepted | OnboardingStarted) and event.worker == number
    return at_work or _is(stream, "worker", number) or _is(stream, "engagement", number)


def _is(stream: str, category: str, number: int) -> bool:
    return stream.startswith(f"{category}/") and stream.endswith(f"/{number}")


_BELONGS: dict[str, _Belongs] = {
    "run": _of_run,
    "assignment": _of_assignment,
    "unit": _of_unit,
    "agent": _of_agent,
    "onboarding": _of_onboarding,
    "worker": _of_worker,
}


def timeline(events: Iterable[RecordedEvent], subject: EntityRef) -> Iterator[TimelineEntry]:
    """The history of one entity and of what belongs to it: of a unit its agents, of a worker all it did anywhere.

    Args:
        events: a log, or so much of it as may concern the entity (`history.events_about`), in order.
        subject: the entity.
    """
    belongs = _BELONGS[subject.kind]
    streams: set[str] = set()
    for recorded in events:
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if stream not in streams and belongs(stream, event, subject.number):
            streams.add(stream)
        if stream in streams or (subject.kind == "agent" and _unit_tells_of(event, subject.number)):
            yield line_of(recorded)


def _unit_tells_of(event: Event, agent: int) -> bool:
    """Whether a unit's event says that this agent got, lost or finished it."""
    return isinstance(event, UnitAssigned | UnitReleased | UnitCompleted) and event.agent == agent


def line_of(recorded: RecordedEvent) -> TimelineEntry:
    """An event as a line."""
    envelope = recorded.envelope
    kind = type(envelope.event)
    return TimelineEntry(
        seq=recorded.seq,
        date=date_of(envelope.at),
        stream=envelope.stream,
        kind=KIND_OF[kind],
        actor=envelope.actor,
        what=words(envelope.event),
        status=STATUS_AFTER.get(kind),
    )
