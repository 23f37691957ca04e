"""Extracts the events of one run as a separate log without personal values, to attach to a bug report.

Decisions are unchanged: streams, versions, order, times, ids. Everything that a person wrote, or that identifies or
authenticates a person, is replaced: payloads by placeholders, tokens and pseudonyms by ids, reasons and names by a
phrase.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec
from msgspec.structs import replace

from ...core.payloads import seal
from ...core.ports import AppendRequest, NewEvent, Payload
from ...events import streams
from ...events.agent import AgentAccepted
from ...events.assignment import AssignmentCreated, AssignmentExtended, AssignmentSettled
from ...events.base import PayloadRef
from ...events.catalogue import AnyEvent
from ...events.engagement import WorkerExcluded
from ...events.envelope import Position, RecordedEvent
from ...events.ids import AssignmentId, RequesterId, TaskId, TaskRunId, WorkerId
from ...events.onboarding import OnboardingFailed, OnboardingStarted
from ...events.records import RequesterRegistered
from ...events.resource import ResourceAcquired, ResourceIntended
from ...events.task_run import TaskRunCreated
from ...events.unit import UnitCreated
from ...events.worker import QualificationRevoked, WorkerBlocked, WorkerErased, WorkerRegistered, WorkerUnblocked

#: Replaces redacted text.
LEFT_OUT = "(left out)"
#: Valid as text and as JSON.
_PLACEHOLDER = b"null"
#: Placeholders are not secret.
_NO_SALT = bytes(16)

_ReadEvents = Callable[[], Iterable[RecordedEvent]]
#: Events with a reason written by a person.
_Reasoned = WorkerBlocked | WorkerUnblocked | WorkerErased | QualificationRevoked | WorkerExcluded | OnboardingFailed


class RedactedSlice:
    """The redacted history of one run and of everything it depends on."""

    def __init__(self, events: _ReadEvents, run: TaskRunId) -> None:
        """Find the streams that belong to it.

        Args:
            events: reads the log from its first event; called twice.
            run: the run.
        """
        self._events = events
        self._run = streams.partition_of_run(run)
        self._units: Counter[AssignmentId] = Counter()
        self._streams: set[str] = set()
        for _, envelope in events():
            if self._is_in_run(envelope.stream):
                self._streams |= {envelope.stream, *_dependencies(envelope.event)}
                if isinstance(envelope.event, UnitCreated):
                    self._units[envelope.event.assignment] += 1
            elif streams.category_of(envelope.stream) == "qualification":
                self._streams.add(envelope.stream)

    def requests(self) -> Iterator[AppendRequest]:
        """Yield the requests that write the history to an empty log, in order."""
        #: New position of each event.
        places: dict[int, int] = {}
        kept = (recorded for recorded in self._events() if recorded.envelope.stream in self._streams)
        for _, together in groupby(kept, key=lambda recorded: recorded.envelope.command):
            events = list(together)
            places |= {recorded.seq: len(places) + number for number, recorded in enumerate(events, start=1)}
            yield self._request(events, places)

    def _request(self, events: list[RecordedEvent], places: dict[int, int]) -> AppendRequest:
        first = events[0].envelope
        cause = places.get(first.cause.seq) if first.cause else None
        payloads: dict[PayloadRef, Payload] = {}
        return AppendRequest(
            command=first.command,
            actor=first.actor,
            at=first.at,
            events=tuple(NewEvent(one.envelope.stream, self._redacted(one.envelope.event, payloads)) for one in events),
            cause=Position(first.cause.partition, cause) if first.cause and cause else None,
            payloads=tuple(payloads.values()),
        )

    def _redacted(self, event: AnyEvent, payloads: dict[PayloadRef, Payload]) -> AnyEvent:
        """Return an event without personal values, and add the placeholders it refers to to `payloads`."""
        for name in event.__struct_fields__:
            if isinstance(getattr(event, name), PayloadRef):
                placeholder = self._placeholder(event)
                payloads[placeholder.ref] = placeholder
                event = replace(event, **{name: placeholder.ref})
        match event:
            case AgentAccepted(agent=agent):
                return replace(event, token=f"token-{agent}", registration=f"agent-{agent}")
            case OnboardingStarted(agent=onboarding):
                return replace(event, token=f"onboarding_{onboarding}", registration=f"onboarding-{onboarding}")
            case WorkerRegistered(worker=worker):
                return replace(event, identity=f"worker-{worker}")
            case RequesterRegistered(requester=requester):
                return replace(event, name=f"requester-{requester}")
            case ResourceIntended() | ResourceAcquired():
                details = {key: LEFT_OUT if isinstance(value, str) else value for key, value in event.details.items()}
                return replace(event, details=details)
            case AssignmentExtended(evidence=evidence) | AssignmentSettled(evidence=evidence):
                return replace(event, evidence=replace(evidence, label=LEFT_OUT))
            case _ if isinstance(event, _Reasoned):
                return replace(event, reason=LEFT_OUT)
            case _:
                return event

    def _placeholder(self, event: AnyEvent) -> Payload:
        if not isinstance(event, AssignmentCreated):
            return seal(_PLACEHOLDER, _NO_SALT)
        empty: list[dict[str, str]] = [{}] * self._units[event.assignment]
        return seal(msgspec.json.encode({"shared": {}, "unit_data": empty}), _NO_SALT)

    def _is_in_run(self, stream: str) -> bool:
        return streams.partition_of(stream) == self._run


def _dependencies(event: AnyEvent) -> Iterator[str]:
    """Yield the directory streams that an event of a run refers to."""
    if isinstance(event, TaskRunCreated):
        yield streams.task(TaskId(event.task))
        yield streams.requester(RequesterId(event.requester))
    worker: WorkerId | None = getattr(event, "worker", None)
    if worker is not None:
        yield streams.worker(worker)
