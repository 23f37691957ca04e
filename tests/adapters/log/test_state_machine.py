"""Logs driven at random beside a plain model of what a log is, with crashes at any point.

Held after every step: what is in the log is what the model has, and the living view is what the model gives. Held at
the end, and after every crash: the audit finds nothing, so the view built anew is the living one too.

A minute or more of it: `HYPOTHESIS_PROFILE=long`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import sqlite_utils
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import CommandIdReusedError, VersionConflictError
from mephisto_es.core.ports import AppendRejected, AppendRequest, AppendResult, Expect, NewEvent, Outcome
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.projections.engine.projection import ReadPayload

from .support import LIFE, RosterProjection, request, unit_event, unit_stream

UNIT_NUMBERS = st.integers(1, 5)
#: In memory where there is such a place: a crash is played by copying files, so to wait for a disk would show nothing.
MEMORY = Path("/dev/shm")


class Model:
    """A log in four lines a method."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.commands: dict[str, tuple[NewEvent, ...]] = {}

    def version(self, stream: str) -> int:
        return sum(event.stream == stream for event in self.events)

    def commit(self, asked: AppendRequest) -> str:
        """The word for what becomes of a request."""
        if asked.command in self.commands:
            return "was there" if self.commands[asked.command] == asked.events else "reused"
        if not all(self.holds(stream, expected) for stream, expected in asked.expected.items()):
            return "conflict"
        self.events += asked.events
        if asked.events:  # a request that writes nothing leaves nothing to repeat
            self.commands[asked.command] = asked.events
        return "written"

    def holds(self, stream: str, expected: int | Expect) -> bool:
        return expected is Expect.ANY or self.version(stream) == (0 if expected is Expect.NONE else expected)

    def roster(self) -> list[tuple[str, int, str]]:
        last = {event.stream: type(event.event).__name__ for event in self.events}
        return sorted((stream, self.version(stream), kind) for stream, kind in last.items())


def word(outcome: Outcome) -> str:
    match outcome:
        case AppendResult(repeated=repeated):
            return "was there" if repeated else "written"
        case AppendRejected(CommandIdReusedError()):
            return "reused"
        case AppendRejected(VersionConflictError()):
            return "conflict"
    raise AssertionError(outcome)


class Power:
    """A projection that does nothing, except to keep a copy of the folder in the middle of a transaction."""

    name = "power"
    tables = ()

    def __init__(self) -> None:
        self.cut_to: Path | None = None
        self.folder = Path()

    def create(self, db: sqlite_utils.Database) -> None:
        """It has no tables."""

    def index(self, db: sqlite_utils.Database) -> None:
        """It has no indexes."""

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        if self.cut_to is not None:
            shutil.copytree(self.folder, self.cut_to)
            self.cut_to = None


class MemoryMachine(RuleBasedStateMachine):
    """Requests and repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.sent: list[AppendRequest] = []
        self.log: MemoryLog | SqliteLog

    @initialize()
    def begin(self) -> None:
        self.log = MemoryLog((RosterProjection(),))

    def next_request(self, units: list[int], expected: dict[str, int | Expect]) -> AppendRequest:
        """A legal request that takes each of the units one step on, unless its life is over."""
        steps = [(unit, self.model.version(unit_stream(unit))) for unit in units]
        pairs = [(unit_stream(unit), unit_event(unit, step)) for unit, step in steps if step < len(LIFE)]
        return request(f"c{len(self.sent)}", *pairs, expected=expected)

    def send(self, batch: list[AppendRequest]) -> None:
        self.sent += batch
        assert [word(outcome) for outcome in self.log.commit(batch)] == [self.model.commit(each) for each in batch]

    @rule(units=st.lists(UNIT_NUMBERS, max_size=4, unique=True))
    def append(self, units: list[int]) -> None:
        self.send([self.next_request(units, {})])

    @rule(
        unit=UNIT_NUMBERS,
        other=UNIT_NUMBERS,
        expected=st.one_of(st.sampled_from(Expect), st.integers(0, 4), st.none()),
    )
    def append_with_a_condition(self, unit: int, other: int, expected: int | Expect | None) -> None:
        version = self.model.version(unit_stream(other)) if expected is None else expected
        self.send([self.next_request([unit], {unit_stream(other): version})])

    @rule(units=st.lists(UNIT_NUMBERS, min_size=2, max_size=4, unique=True))
    def append_a_batch(self, units: list[int]) -> None:
        base = len(self.sent)
        batch = []
        for place, unit in enumerate(units):
            asked = self.next_request([unit], {unit_stream(unit): self.model.version(unit_stream(unit))})
            batch.append(request(f"c{base + place}", *asked.events, expected=dict(asked.expected)))
        self.send(batch)

    @precondition(lambda self: self.model.commands)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        known = [asked for asked in self.sent if asked.command in self.model.commands]
        self.send([data.draw(st.sampled_from(known))])

    @precondition(lambda self: self.model.commands)
    @rule(data=st.data(), unit=UNIT_NUMBERS)
    def reuse_an_id(self, data: st.DataObject, unit: int) -> None:
        command = data.draw(st.sampled_from(sorted(self.model.commands)))
        self.send([request(command, (unit_stream(unit), unit_event(unit, 0)))])

    @invariant()
    def log_is_model(self) -> None:
        assert [(each.envelope.stream, each.envelope.event) for each in self.log.read()] == self.model.events
        assert [each.seq for each in self.log.read()] == list(range(1, len(self.model.events) + 1))
        for command, events in self.model.commands.items():
            assert tuple((each.envelope.stream, each.envelope.event) for each in self.log.find(command)) == events

    @invariant()
    def view_is_model(self) -> None:
        rows = self.log.connect().execute("SELECT stream, version, kind FROM roster ORDER BY stream").fetchall()
        assert rows == self.model.roster()


class SqliteMachine(MemoryMachine):
    """The same in a file, with restarts and crashes."""

    folders: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.root = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.power = Power()
        folder = self.new_folder()
        folder.mkdir()
        self.open_in(folder)

    def new_folder(self) -> Path:
        SqliteMachine.folders += 1
        return Path(self.root.name) / str(SqliteMachine.folders)

    def open_in(self, folder: Path) -> None:
        self.power.folder = folder
        self.log = SqliteLog.create_or_open(folder / "log.db", (self.power, RosterProjection()))

    def audit(self) -> None:
        assert isinstance(self.log, SqliteLog)
        assert replay(self.log.path, (RosterProjection(), self.power)).findings == ()

    @rule()
    def restart(self) -> None:
        assert isinstance(self.log, SqliteLog)
        self.log.close()
        self.open_in(self.log.path.parent)

    @rule()
    def anchor(self) -> None:
        self.log.write_anchor()

    @rule()
    def crash_between_commits(self) -> None:
        """Nothing is closed: the files are taken as they are, and opened elsewhere."""
        assert isinstance(self.log, SqliteLog)
        folder = self.new_folder()
        shutil.copytree(self.log.path.parent, folder)
        self.log.close()
        self.open_in(folder)
        self.audit()

    @rule(units=st.lists(UNIT_NUMBERS, min_size=1, max_size=4, unique=True))
    def crash_within_a_commit(self, units: list[int]) -> None:
        """Of a batch that was not committed nothing is there, and it can be sent again."""
        asked = self.next_request(units, {})
        if not asked.events:
            return  # the lives of these units are over, and a commit that writes nothing has no middle
        self.power.cut_to = folder = self.new_folder()
        self.log.commit([asked])
        self.log.close()
        self.open_in(folder)
        self.audit()
        self.log_is_model()
        self.send([asked])

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.audit()
            self.log.close()
            self.root.cleanup()


#: A history is twenty steps long: each is as good as a few examples of a plain property.
_SETTINGS = settings(max_examples=settings().max_examples // 8, stateful_step_count=20)

TestMemoryLog = MemoryMachine.TestCase
TestMemoryLog.settings = _SETTINGS
TestSqliteLog = SqliteMachine.TestCase
TestSqliteLog.settings = _SETTINGS


def test_a_crash_within_a_commit_that_writes_nothing() -> None:
    """The end of a unit's life, after which a commit never comes to the middle at which the power is cut."""
    machine = SqliteMachine()
    machine.begin()
    try:
        for _ in LIFE:
            machine.append([1])
        machine.crash_within_a_commit([1])
        machine.log_is_model()
        machine.append([2])
        machine.crash_within_a_commit([1, 2])
        machine.log_is_model()
    finally:
        machine.teardown()
