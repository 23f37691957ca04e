"""Requests about units and workers, and a projection over them: enough for any test of a log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeGuard

import sqlite_utils

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.payloads import commitment, seal
from mephisto_es.core.ports import AppendRequest, AppendResult, Expect, Head, NewEvent, Outcome
from mephisto_es.events import streams
from mephisto_es.events.base import Event
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.unit import (
    UnitAccepted,
    UnitAssigned,
    UnitCompleted,
    UnitCreated,
    UnitExpired,
    UnitLaunched,
    UnitReopened,
)
from mephisto_es.events.worker import WorkerErased, WorkerRegistered
from mephisto_es.projections.audit.report import Finding, FindingKind, ReplayReport
from mephisto_es.projections.engine.projection import ReadPayload

RUN = TaskRunId(1)
SALT = b"0123456789abcdef"


def unit_stream(number: int) -> str:
    """The stream of a unit."""
    return streams.unit(RUN, UnitId(number))


#: What happens to each unit, in order; again from `UnitReopened` on after the last.
LIFE: tuple[type[Event], ...] = (
    UnitCreated,
    UnitLaunched,
    UnitAssigned,
    UnitExpired,
    UnitReopened,
    UnitLaunched,
    UnitAssigned,
    UnitCompleted,
    UnitAccepted,
)


def unit_event(number: int, step: int) -> AnyEvent:
    """Return the event of a unit at a step of `LIFE`."""
    kind = LIFE[step]
    if kind is UnitCreated:
        return UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=25)
    if kind is UnitAssigned:
        return UnitAssigned(agent=AgentId(100 * number + step), worker=WorkerId(number % 7 + 1))
    if kind is UnitCompleted:
        return UnitCompleted(agent=AgentId(100 * number + step))
    if kind is UnitExpired:
        return UnitExpired(reason="nobody came")
    if kind is UnitReopened:
        return UnitReopened(reason="once more")
    return UnitLaunched() if kind is UnitLaunched else UnitAccepted()


def request(
    command: str,
    *events: tuple[str, AnyEvent],
    at: int = 1_000,
    expected: dict[str, int | Expect] | None = None,
) -> AppendRequest:
    """A request by the operator."""
    return AppendRequest(
        command=command,
        actor="operator",
        at=at,
        events=tuple(NewEvent(stream, event) for stream, event in events),
        expected=expected or {},
    )


def is_written(outcome: Outcome) -> TypeGuard[AppendResult]:
    """Return whether a request was executed now."""
    return isinstance(outcome, AppendResult) and not outcome.repeated


def is_repeat(outcome: Outcome) -> TypeGuard[AppendResult]:
    """Return whether a request had been executed before."""
    return isinstance(outcome, AppendResult) and outcome.repeated


def unit_request(number: int, step: int, at: int = 1_000) -> AppendRequest:
    """The request that takes a unit to a step of its life."""
    return request(f"unit-{number}-{step}", (unit_stream(number), unit_event(number, step)), at=at)


def lives(units: int) -> list[AppendRequest]:
    """Requests that take units through their whole lives, side by side."""
    return [unit_request(number, step) for step in range(len(LIFE)) for number in range(1, units + 1)]


def register(worker: int, name: str) -> AppendRequest:
    """The request that makes a worker known; its name is a payload."""
    body = name.encode()
    event = WorkerRegistered(
        worker=WorkerId(worker),
        provider_type="mock",
        name=commitment(body, SALT, WorkerId(worker)),
        identity=f"pseudonym-{worker}",
    )
    return AppendRequest(
        command=f"register-{worker}",
        actor="operator",
        at=1_000,
        events=(NewEvent(streams.worker(WorkerId(worker)), event),),
        payloads=(seal(body, SALT, WorkerId(worker)),),
    )


def forget(worker: int) -> AppendRequest:
    """The request that forgets a worker."""
    return request(f"forget-{worker}", (streams.worker(WorkerId(worker)), WorkerErased(reason="asked to")))


class RosterProjection:
    """A projection: each stream's last event, and each worker's name while it is known."""

    name = "roster"
    tables = ("roster", "roster_names")

    def create(self, db: sqlite_utils.Database) -> None:
        db.table("roster").create({"stream": str, "version": int, "kind": str}, pk="stream", strict=True)
        db.table("roster_names").create({"worker": int, "name": str}, pk="worker", strict=True)

    def index(self, db: sqlite_utils.Database) -> None:
        """It has no indexes."""

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        for _, envelope in events:
            row = (envelope.stream, envelope.version, type(envelope.event).__name__)
            db.execute("INSERT OR REPLACE INTO roster VALUES (?, ?, ?)", row)
            match envelope.event:
                case WorkerRegistered(worker=worker, name=name):
                    body = payload(name)
                    text = body.decode() if body is not None else None
                    db.execute("INSERT INTO roster_names VALUES (?, ?)", (worker, text))
                case WorkerErased():
                    worker = WorkerId(int(envelope.stream.partition("/")[2]))
                    db.execute("UPDATE roster_names SET name = NULL WHERE worker = ?", (worker,))


class FailingProjection:
    """A projection that fails on a unit's expiry."""

    name = "stubborn"
    tables = ("stubborn",)

    def create(self, db: sqlite_utils.Database) -> None:
        db.table("stubborn").create({"seq": int}, pk="seq", strict=True)

    def index(self, db: sqlite_utils.Database) -> None:
        """It has no indexes."""

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        for seq, envelope in events:
            if isinstance(envelope.event, UnitExpired):
                raise ArithmeticError("this projection has a bug")
            db.execute("INSERT INTO stubborn VALUES (?)", (seq,))


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a log for somebody who gets past its triggers, and put the triggers back afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in triggers:
            db.execute(sql)


def filled(path: Path, units: int = 3) -> Head:
    """Make a closed log with the lives of some units, and return its head."""
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        log.commit([register(1, "Ada"), *lives(units)])
        return log.head()


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files in a folder, except locks."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}


def kinds(report: ReplayReport) -> list[FindingKind]:
    """Return the kinds of all findings."""
    return [finding.kind for finding in report.findings]


def only(report: ReplayReport) -> Finding:
    """Return the single finding of a report."""
    (finding,) = report.findings
    return finding
