"""Lists the history of one unit, agent, worker or run, and of everything that belongs to it, in log order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from ....core.commands.review import PERSON_PREFIX
from ....core.entity_ref import EntityRef
from ....core.state.status_fold import STATUS_AFTER
from ....events.agent import AgentAccepted
from ....events.base import Event
from ....events.codec import KIND_OF
from ....events.envelope import RecordedEvent
from ....events.onboarding import OnboardingStarted
from ....events.payment import PaymentOwed
from ....events.streams import agent as agent_stream
from ....events.streams import run_of
from ....events.task_run import CallbackFailed, SiteListEvent, SiteListIntended, SiteListObserved
from ....events.unit import UnitAssigned, UnitCompleted, UnitCreated, UnitLateAccepted, UnitReleased
from ...mephisto_db.rows import date_of
from .event_text import describe

#: Authors of decisions: people by name, and launch scripts.
_DECIDING = (PERSON_PREFIX, "reviewer", "paymaster")


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event, for people to read."""

    seq: int
    #: UTC, to the millisecond.
    date: str
    stream: str
    #: The kind of the event, such as `unit_assigned`.
    kind: str
    actor: str
    #: The event in words, without personal values.
    text: str
    #: The status it led to; None if it changed no status.
    status: str | None

    def __str__(self) -> str:
        # Everything else is done by the operator, or by the worker whom the line is about.
        by = f" (by {self.actor.removeprefix(PERSON_PREFIX)})" if self.actor.startswith(_DECIDING) else ""
        return f"{self.date}  {self.stream}  {self.text}{by}" + (f" -> {self.status}" if self.status else "")


#: Returns whether an event makes its stream part of an entity's history. Arguments: stream, event, id of the entity.
_Belongs = Callable[[str, Event, int], bool]


def _of_run(stream: str, _: Event, number: int) -> bool:
    return stream == f"task_run/{number}" or stream.startswith((f"resource/{number}/", f"payment/{number}/"))


def _of_assignment(stream: str, event: Event, number: int) -> bool:
    is_part = isinstance(event, UnitCreated | AgentAccepted) and event.assignment == number
    return is_part or _is(stream, "assignment", number)


def _of_unit(stream: str, event: Event, number: int) -> bool:
    return _is(stream, "unit", number) or (isinstance(event, AgentAccepted | PaymentOwed) and event.unit == number)


def _of_agent(stream: str, event: Event, number: int) -> bool:
    return _is(stream, "agent", number) or (isinstance(event, PaymentOwed) and event.agent == number)


def _of_onboarding(stream: str, _: Event, number: int) -> bool:
    return _is(stream, "onboarding_agent", number)


def _of_worker(stream: str, event: Event, number: int) -> bool:
    is_theirs = isinstance(event, AgentAccepted | OnboardingStarted | PaymentOwed) and event.worker == number
    return is_theirs or _is(stream, "worker", number) or _is(stream, "engagement", number)


def _of_payment(stream: str, _: Event, number: int) -> bool:
    return _is(stream, "payment", number)


def _of_resource(stream: str, _: Event, number: int) -> bool:
    return _is(stream, "resource", number)


def _is(stream: str, category: str, number: int) -> bool:
    return stream.startswith(f"{category}/") and stream.endswith(f"/{number}")


_BELONGS: dict[str, _Belongs] = {
    "run": _of_run,
    "assignment": _of_assignment,
    "unit": _of_unit,
    "agent": _of_agent,
    "onboarding": _of_onboarding,
    "worker": _of_worker,
    "payment": _of_payment,
    "resource": _of_resource,
}


def timeline(events: Iterable[RecordedEvent], entity: EntityRef) -> Iterator[TimelineEntry]:
    """Yield the history of an entity and of what belongs to it: the agents of a unit, everything a worker did.

    Args:
        events: a log, or the part of it that may concern the entity (`entity_events.events_about`), in order.
        entity: the entity.
    """
    belongs = _BELONGS[entity.kind]
    streams: set[str] = set()
    changes: dict[str, SiteListIntended] = {}
    for recorded in events:
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if stream not in streams and belongs(stream, event, entity.number):
            streams.add(stream)
        is_mentioned = (entity.kind == "agent" and _unit_mentions(event, entity.number)) or (
            isinstance(event, CallbackFailed) and _is_failure_about(stream, event, entity, streams)
        )
        if entity.kind == "worker" and isinstance(event, SiteListEvent):
            is_mentioned = _list_concerns(event, stream, entity.number, changes)
        if stream in streams or is_mentioned:
            yield entry_of(recorded)


def _unit_mentions(event: Event, agent: int) -> bool:
    """Return whether an event says that an agent was assigned, lost, completed or late to complete a unit."""
    return isinstance(event, UnitAssigned | UnitReleased | UnitCompleted | UnitLateAccepted) and event.agent == agent


def _list_concerns(event: SiteListEvent, run: str, worker: int, changes: dict[str, SiteListIntended]) -> bool:
    """Return whether an event about a list at the provider names a worker, or answers one that does.

    Args:
        event: the event.
        run: its stream.
        worker: the worker.
        changes: the last change that was intended for each list; brought up to date.
    """
    key = f"{run} {event.qualification}"
    if isinstance(event, SiteListIntended):
        changes[key] = event
    named = event if isinstance(event, SiteListObserved) else changes.get(key)
    return named is not None and worker in {*named.added, *named.removed}


def _is_failure_about(stream: str, failed: CallbackFailed, entity: EntityRef, known: Collection[str]) -> bool:
    """Return whether a function failed on an entity, or on an agent of it.

    Args:
        stream: the run's.
        failed: the failure.
        entity: the entity.
        known: the streams of the entity, and of what belongs to it.
    """
    named: dict[str, int | None] = {
        "worker": failed.worker,
        "unit": failed.unit,
        "assignment": failed.assignment,
        "onboarding": failed.onboarding_agent,
    }
    run = run_of(stream)
    is_theirs = any(agent_stream(run, agent) in known for agent in failed.agents)
    return is_theirs or named.get(entity.kind) == entity.number


def entry_of(recorded: RecordedEvent) -> TimelineEntry:
    """Convert an event to a timeline entry."""
    envelope = recorded.envelope
    kind = type(envelope.event)
    return TimelineEntry(
        seq=recorded.seq,
        date=date_of(envelope.at),
        stream=envelope.stream,
        kind=KIND_OF[kind],
        actor=envelope.actor,
        text=describe(envelope.event),
        status=STATUS_AFTER.get(kind),
    )
