"""The logs that are compared: this project's, the least code that keeps events at all, and the best Python peer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from mephisto_es.adapters.log.audit.replay import audited
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, Expect, NewEvent
from mephisto_es.core.state.entity_states import EntityStates
from mephisto_es.core.state.status_fold import StatusFold
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.ids import AgentId, AssignmentId, UnitId, WorkerId
from mephisto_es.events.unit import (
    UnitAccepted,
    UnitAssigned,
    UnitCompleted,
    UnitCreated,
    UnitExpired,
    UnitLaunched,
    UnitRejected,
    UnitReopened,
    UnitSoftRejected,
)

from .workload import PATH, Fact, Truth


class PeerLog(Protocol):
    """The operations that are measured for each log."""

    def __init__(self, path: str, scratch: str) -> None: ...

    def append_one(self, fact: Fact) -> None:
        """Write one fact durably."""

    def append_batch(self, batch: Sequence[Fact]) -> None:
        """Write facts about several streams durably, all or nothing."""

    def replay(self) -> None:
        """Read the whole log in its order, and keep where it leaves each stream."""

    def found(self) -> Truth:
        """Return what the last replay found, in the terms of the workload."""

    def close(self) -> None:
        """Release the file."""


class Change(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="t"):
    """A fact as the raw peer stores it: one flat struct for each kind."""

    unit: str
    version: int
    at: int
    actor: str
    worker: str | None
    task_run: str
    note: str | None


class Created(Change, frozen=True, gc=False, tag="created"):
    """A kind."""


class Launched(Change, frozen=True, gc=False, tag="launched"):
    """A kind."""


class Assigned(Change, frozen=True, gc=False, tag="assigned"):
    """A kind."""


class Expired(Change, frozen=True, gc=False, tag="expired"):
    """A kind."""


class Completed(Change, frozen=True, gc=False, tag="completed"):
    """A kind."""


class Accepted(Change, frozen=True, gc=False, tag="accepted"):
    """A kind."""


class Rejected(Change, frozen=True, gc=False, tag="rejected"):
    """A kind."""


class SoftRejected(Change, frozen=True, gc=False, tag="soft_rejected"):
    """A kind."""


AnyChange = Created | Launched | Assigned | Expired | Completed | Accepted | Rejected | SoftRejected
_CHANGES: dict[str, type[AnyChange]] = {
    "created": Created,
    "launched": Launched,
    "assigned": Assigned,
    "expired": Expired,
    "completed": Completed,
    "accepted": Accepted,
    "rejected": Rejected,
    "soft_rejected": SoftRejected,
}
_KIND_OF = {change: kind for kind, change in _CHANGES.items()}

RAW_TABLE = """
CREATE TABLE events(
  seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL,
  UNIQUE (stream, version)
) STRICT
"""
RAW_INSERT = "INSERT INTO events(seq, stream, version, kind, data) VALUES (?, ?, ?, ?, ?)"


class Raw:
    """`sqlite3` and msgspec and nothing else: durable rows, typed decoding. No other guarantee."""

    def __init__(self, path: str, scratch: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(RAW_TABLE)
        self._seq = 0
        self._found: Truth = {}
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(AnyChange).decode

    def append_one(self, fact: Fact) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(RAW_INSERT, self._row(fact))
        self._db.execute("COMMIT")

    def append_batch(self, batch: Sequence[Fact]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(RAW_INSERT, [self._row(fact) for fact in batch])
        self._db.execute("COMMIT")

    def replay(self) -> None:
        found = self._found = {}
        decode = self._decode
        for (data,) in self._db.execute("SELECT data FROM events ORDER BY seq"):
            change = decode(data)
            found[change.unit] = (change.version, _KIND_OF[type(change)])

    def found(self) -> Truth:
        return self._found

    def close(self) -> None:
        self._db.close()

    def _row(self, fact: Fact) -> tuple[int, str, int, str, bytes]:
        self._seq += 1
        change = _CHANGES[fact.kind](
            unit=fact.stream,
            version=fact.version,
            at=fact.at,
            actor=fact.actor,
            worker=fact.worker,
            task_run=fact.task_run,
            note=fact.note,
        )
        return (self._seq, fact.stream, fact.version, fact.kind, self._encode(change))


class PeerUnit(Aggregate):
    """A unit as the peer's documentation would have it."""

    @event("Created")
    def __init__(self, unit: str, at: int, actor: str, task_run: str) -> None:
        self.unit = unit
        self.status = "created"

    @event("Moved")
    def move(self, kind: str, at: int, actor: str, worker: str | None, task_run: str, note: str | None) -> None:
        self.status = kind


class PeerUnits(Application[UUID]):
    """The peer's log of units."""

    #: Its default of 10 would cost it a query for each ten events.
    log_section_size = 1000


class Peer:
    """eventsourcing: aggregates are kept in hand, so an append pays no loading."""

    def __init__(self, path: str, scratch: str) -> None:
        self._app = PeerUnits(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path})
        self._live: dict[str, PeerUnit] = {}
        self._found: Truth = {}

    def append_one(self, fact: Fact) -> None:
        self._app.save(self._moved(fact))

    def append_batch(self, batch: Sequence[Fact]) -> None:
        self._app.save(*{unit.id: unit for unit in map(self._moved, batch)}.values())

    def replay(self) -> None:
        log, mapper = self._app.notification_log, self._app.mapper
        names: dict[UUID, str] = {}
        found = self._found = {}
        start = 1
        while page := log.select(start=start, limit=1000):
            for notification in page:
                domain_event = mapper.to_domain_event(notification)
                # The peer makes these event classes at run time; their fields are the methods' arguments.
                said = domain_event.__dict__
                if isinstance(domain_event, PeerUnit.Created):
                    names[domain_event.originator_id] = said["unit"]
                    found[said["unit"]] = (1, "created")
                else:
                    found[names[domain_event.originator_id]] = (domain_event.originator_version, said["kind"])
            start = int(page[-1].id) + 1

    def found(self) -> Truth:
        return self._found

    def close(self) -> None:
        self._app.close()

    def _moved(self, fact: Fact) -> PeerUnit:
        if fact.version == 1:
            unit = PeerUnit(unit=fact.stream, at=fact.at, actor=fact.actor, task_run=fact.task_run)
            self._live[fact.stream] = unit
        else:
            unit = self._live[fact.stream]
            unit.move(
                kind=fact.kind,
                at=fact.at,
                actor=fact.actor,
                worker=fact.worker,
                task_run=fact.task_run,
                note=fact.note,
            )
        return unit


#: Steps of our lifecycle that are as many, and as different, as those of the workload.
_ENDS: dict[str, AnyEvent] = {
    "accepted": UnitAccepted(),
    "rejected": UnitRejected(),
    "soft_rejected": UnitSoftRejected(),
}


def our_event(fact: Fact, first_unit: int = 0) -> AnyEvent:
    """The event of ours that stands for a fact: made anew, as a caller would make it."""
    number = int(fact.stream[5:]) + first_unit
    match fact.version:
        case 1:
            return UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=25)
        case 2 | 5:
            return UnitLaunched()
        case 3:
            return UnitExpired(reason=fact.note or "nobody came for it within its time limit")
        case 4:
            return UnitReopened(reason="left the task open past its time limit")
        case 6:
            return UnitAssigned(agent=AgentId(number), worker=WorkerId(int((fact.worker or "worker-0")[7:])))
        case 7:
            return UnitCompleted(agent=AgentId(number))
        case _:
            return _ENDS[fact.kind]


class Ours:
    """This project's log with all it promises: FULL, chain, command ids, expected versions, lifecycles, one writer."""

    promise = "WAL, synchronous=FULL; chain, command ids, expected versions, lifecycle on append; full audit on replay"

    def __init__(self, path: str, scratch: str) -> None:
        self.path = Path(path)
        self._log = SqliteLog.create_or_open(path)
        self._world = EntityStates()
        self._commands = 0
        self._standings = StatusFold()

    def append_one(self, fact: Fact) -> None:
        self._log.commit((self._request((fact,)),))

    def append_batch(self, batch: Sequence[Fact]) -> None:
        self._log.commit((self._request(batch),))

    def replay(self) -> None:
        """The full audit of the events: positions, chain, columns, versions, every step against its lifecycle."""
        report, self._standings = audited(self.path, (), structure=False)
        if not report.legal:
            raise AssertionError(report.findings[0].sentence)

    def found(self) -> Truth:
        """The last version and kind of each unit."""
        found: Truth = {}
        for stream, (version, status) in self._standings.by_stream.items():
            kind = PATH[version - 1] if version <= len(PATH) or status is None else str(status.value)
            found[f"unit-{int(stream.rpartition('/')[2]):07d}"] = (version, kind)
        return found

    def close(self) -> None:
        self._log.close()

    def _request(self, batch: Sequence[Fact]) -> AppendRequest:
        world = self._world
        events = []
        expected: dict[str, int | Expect] = {}
        for fact in batch:
            event = our_event(fact)
            stream = f"unit/1/{fact.stream[5:].lstrip('0') or '0'}"
            expected.setdefault(stream, world.version(stream))
            world.evolve(stream, event)
            events.append(NewEvent(stream, event))
        self._commands += 1
        return AppendRequest(
            command=f"{self._commands:016x}",
            actor=batch[0].actor,
            at=batch[0].at,
            events=tuple(events),
            expected=expected,
        )


class OursUnchained(Ours):
    """The same log; its replay judges versions and lifecycles, and leaves the chain and the columns alone."""

    def replay(self) -> None:
        standings = self._standings = StatusFold()
        for _, envelope in self._log.read():
            standings.step(envelope.stream, envelope.version, type(envelope.event))


class OursFolded(Ours):
    """The same log; its replay is the fold an operator starts with, which keeps all that the events say."""

    def replay(self) -> None:
        world = EntityStates()
        for recorded in self._log.read():
            world.apply(recorded.envelope)
        units = world.units.items()
        self._standings.by_stream = {stream: (world.versions[stream], unit.status) for stream, unit in units}
