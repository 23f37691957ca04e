"""Everything that an operator's process does not take with it when it dies: disk, wall clock, routers, chance."""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from functools import cache
from random import Random
from typing import TypeVar

import sqlite_utils
import trio

from mephisto_es.adapters.architects.memory.router import (
    Json,
    MemoryPageSocket,
    MemoryRouter,
    OperatorEnd,
    PageFile,
    PageGoneError,
)
from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import LogError, OutcomeUnknownError, ProtocolError
from mephisto_es.core.packets import SYSTEM
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.projections.mephisto_db import MephistoDbProjection

T = TypeVar("T")

EPOCH_US = 1_700_000_000_000_000
#: A disk's sync takes this long, in seconds.
SYNC_SECONDS = (0.0, 0.02)
SLOW_SYNC_SECONDS = (5.0, 60.0)
#: On a busy machine.
LAZY_SYNC_SECONDS = (0.0, 1.0)
#: Packets to a page that are sent again when its socket opens.
SENT_LIMIT = 50
#: A request for an agent that was not answered within this time is told to try again.
REQUEST_SECONDS = 25.0
#: A page that has left its socket is missed after this time.
MISSED_SECONDS = 45.0
#: The same where all pages that leave are in a hurry to open their sockets elsewhere.
SOON_MISSED_SECONDS = 10.0
BUSY = "try again"


class PowerCutError(BaseException):
    """The operator's process is gone: no code of its own may act on that."""


class RouterAwayError(ProtocolError):
    """A router, or the way to it, is down: what a page sees as no answer."""


class DiskFault(Enum):
    """Faults of a COMMIT."""

    CRASH_BEFORE = "crash before COMMIT"
    CRASH_AFTER = "crash after COMMIT"
    FULL = "disk full"
    LOST = "I/O error, nothing written"
    WRITTEN = "I/O error, but written"
    SLOW = "slow disk"


class QuickProjection(MephistoDbProjection):
    """Mephisto's tables, made from a text that was made once: making them takes longer than a simulation."""

    def create(self, db: sqlite_utils.Database) -> None:
        db.conn.executescript(_schema())

    def index(self, db: sqlite_utils.Database) -> None:
        """The text has the indexes too."""


@cache
def _schema() -> str:
    db = sqlite3.connect(":memory:", isolation_level=None)
    MephistoDbProjection().create(sqlite_utils.Database(db))
    MephistoDbProjection().index(sqlite_utils.Database(db))
    schema = ";".join(sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    db.close()
    return schema


class FaultyLog(MemoryLog):
    """A log on a disk that fails when it is told to.

    Attributes:
        fault: what the next commit meets.
        done: what happened to the log, by kind.
        sync_seconds: how long a commit takes.
    """

    def __init__(self, chance: Random) -> None:
        super().__init__([QuickProjection()])
        self.fault: DiskFault | None = None
        self.done: Counter[str] = Counter()
        self.sync_seconds = SYNC_SECONDS
        self._chance = chance
        self._refuses: BaseException | None = None

    @property
    def log(self) -> FaultyLog:
        """The log."""
        return self

    def reader(self) -> FaultyLog:
        """Return the log."""
        return self

    def in_use(self) -> AbstractContextManager[None]:
        """Prepare nothing."""
        return nullcontext()

    def power_off(self) -> None:
        """The process that writes is gone; a commit under way may be the last thing that it did."""
        self._refuses = PowerCutError()

    def open_again(self) -> None:
        """Another process takes the file."""
        self._refuses = None
        self.fault = None

    async def offload(self, call: Callable[[], T], /) -> T:
        """Call the log in a time that a disk takes, without a thread."""
        slow = self.fault is DiskFault.SLOW
        await trio.sleep(self._chance.uniform(*(SLOW_SYNC_SECONDS if slow else self.sync_seconds)))
        return call()

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        fault, self.fault = self.fault, None
        if isinstance(self._refuses, PowerCutError):
            fault = self._chance.choice([DiskFault.CRASH_BEFORE, DiskFault.CRASH_AFTER])
        elif self._refuses is not None:
            raise AssertionError("something was committed to a log that had stopped")
        outcomes: list[Outcome] = []
        if fault not in (DiskFault.CRASH_BEFORE, DiskFault.FULL, DiskFault.LOST):
            outcomes = super().commit(batch)
        match fault:
            case DiskFault.CRASH_BEFORE | DiskFault.CRASH_AFTER:
                raise PowerCutError
            case DiskFault.FULL:
                raise LogError("nothing was written: the disk is full")
            case DiskFault.LOST | DiskFault.WRITTEN:
                self._refuses = OutcomeUnknownError("COMMIT failed")
                raise self._refuses
            case DiskFault.SLOW | None:
                return outcomes


class SteppedClock:
    """A wall clock that goes as the simulation goes, and is set forward and back."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def step(self, seconds: float) -> None:
        """Set the clock."""
        self._ahead_seconds += seconds

    def now_us(self) -> int:
        return EPOCH_US + int((trio.current_time() + self._ahead_seconds) * 1_000_000)


class SeededIds(SystemIds):
    """Ids whose chance comes from a seed."""

    def __init__(self, highest: Mapping[str, int], epoch: int, chance: Random) -> None:
        super().__init__(highest, epoch)
        self._chance = chance

    def token(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def salt(self) -> bytes:
        return self._chance.randbytes(16)


class Router(MemoryRouter):
    """A router whose process can die; what is in its outbox is on its disk.

    Attributes:
        accepted: the submissions that pages were told "Submitted!" about: token and what was handed in.
        uploaded: the files with them: token, and name and hash of each file.
        missed_seconds: after this time a page is missed that has left its socket.
        reports_soon: True to report missed pages as soon as an operator is there.
        away_seconds: for how long it had had no operator when it was shut down.
    """

    def __init__(self, incarnation: str) -> None:
        super().__init__(incarnation)
        self.accepted: list[tuple[str, object]] = []
        self.uploaded: list[tuple[str, list[tuple[str, str]]]] = []
        self.is_up = True
        self.missed_seconds = MISSED_SECONDS
        self.reports_soon = False
        self.away_seconds = 0.0
        #: Since when it has no operator; None while it has one.
        self._away_since: float | None = None
        self._has_met_operator = False
        #: What pages were sent lately: a socket can die with it, and its page drops what it has.
        self._sent: dict[str, deque[Json]] = {}
        #: When each page that left its socket here will be missed.
        self._missed_at: dict[str, float] = {}

    @property
    def left(self) -> tuple[Json, ...]:
        """The packets that the operator has not acknowledged."""
        return tuple(self._outbox)

    def crash(self) -> None:
        """Die: sockets and open requests are gone."""
        self.is_up = self._has_met_operator = False
        if self._channel is not None:
            self._channel.lose()
            self.detach(self._channel)
        self._sockets.clear()
        self._kept.clear()
        self._sent.clear()
        self.statuses = {}
        for waiting in self._open.values():
            waiting.answered.set()

    def start(self) -> None:
        """Run again, on the same disk, and wait for the pages that were here."""
        self.is_up = True
        for token in self._watched:
            self._missed_at[token] = trio.current_time() + MISSED_SECONDS

    def deploy(self) -> None:
        """Run again after it was shut down."""
        self.is_up = self._takes_more = True
        self._closed = False

    def attach(self, channel: OperatorEnd) -> None:
        self._away_since = None
        super().attach(channel)

    def detach(self, channel: OperatorEnd) -> None:
        if self._channel is channel:
            self._away_since = trio.current_time()
        super().detach(channel)

    def close(self) -> None:
        self.away_seconds = 0.0 if self._away_since is None else trio.current_time() - self._away_since
        super().close()

    def take(self, packet: Json) -> None:
        if packet["packet_type"] == "agents":
            self._has_met_operator = True
        super().take(packet)
        if packet["packet_type"] == "agents" and self.reports_soon:
            self.report_missed()

    def connect(self, token: str) -> MemoryPageSocket:
        self._kept.pop(token, None)
        self._missed_at.pop(token, None)
        socket = super().connect(token)
        for packet in self._sent.get(token, ()):
            socket.put(packet)
        return socket

    def _to_page(self, packet: Json, *, keep: bool) -> None:
        if keep:
            self._sent.setdefault(packet["subject_id"], deque(maxlen=SENT_LIMIT)).append(packet)
        super()._to_page(packet, keep=keep)

    def submit_task(self, token: str, final_data: object, files: Sequence[PageFile] = ()) -> None:
        super().submit_task(token, final_data, files)
        self.accepted.append((token, final_data))
        stored = self._outbox[-1]["data"].get("files", [])
        self.uploaded.append((token, [(file["filename"], file["sha256"]) for file in stored]))

    def hang_up(self, token: str) -> None:
        """A page's socket is lost, which nobody tells the operator."""
        self._sockets.pop(token, None)

    def leave(self, token: str) -> None:
        """A page closes its socket; it may be at another router, or gone."""
        self._sockets.pop(token, None)
        if token in self._watched:
            self._missed_at[token] = trio.current_time() + self.missed_seconds

    def report_missed(self) -> None:
        """Tell the operator of the pages that have been away for too long."""
        for token in [token for token, at in self._missed_at.items() if at <= trio.current_time()]:
            if self.is_up and self._has_met_operator and self._channel is not None:
                del self._missed_at[token]
                self._watched.discard(token)
                self._send({"packet_type": "return_statuses", "subject_id": SYSTEM, "data": {token: "disconnect"}})

    async def reached(self, request: Callable[[Router], Awaitable[Json]]) -> Json:
        """Make a request that has an answer.

        Raises:
            Away: the router is down, or dies before it has answered.
            PageGoneError: it was shut down.
        """
        self._check_up()
        try:
            with trio.move_on_after(REQUEST_SECONDS):
                return await request(self)
            return {"agent_id": None, "failure_reason": BUSY}
        except PageGoneError:
            if self._closed:
                raise
            raise RouterAwayError("the router died") from None

    def _check_up(self) -> None:
        if not self.is_up:
            raise RouterAwayError("nothing listens")

    def _check(self, token: str) -> None:
        self._check_up()
        if self._closed:
            raise PageGoneError("the router was shut down")
        if token not in self.statuses and not self._has_met_operator:
            if token in self._missed_at:  # the product's routers remember their agents, and hear this page
                self._missed_at[token] = trio.current_time() + MISSED_SECONDS
            raise RouterAwayError("the router does not know yet who is an agent")
        super()._check(token)
