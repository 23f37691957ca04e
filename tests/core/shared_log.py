"""A log in memory that several writers of one process share, and the ownership of runs among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import LogError, WriterFencedError
from mephisto_es.core.ports import AppendRequest, Head, Outcome, RunHolder, Turn
from mephisto_es.core.signal import Signal
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId


class Store:
    """The events that several writers share, the lock of their turns, the ids they reserved, and the owners of runs."""

    def __init__(self, wait_seconds: float = 0.01) -> None:
        self.log = MemoryLog()
        #: How long whoever is told that another operator has a run waits unless it is notified.
        self.wait_seconds = wait_seconds
        #: Notified when a run was given back.
        self.given = Signal()
        self.lock = threading.Lock()
        self.owners: dict[TaskRunId, str] = {}
        #: Operators that are not heard of any more.
        self.dead: set[str] = set()
        #: Operators that something was taken from; they may write nothing more.
        self.fenced: set[str] = set()
        #: Notified when an operator is told that another one has a run.
        self.refused = Signal()
        self._last_ids: dict[str, int] = {}

    def reserve(self, category: str, used: int, count: int) -> int:
        """Reserve a block of ids."""
        self._last_ids[category] = max(self._last_ids.get(category, 0), used) + count
        return self._last_ids[category]


class SharedLog(MemoryLog):
    """One writer's access to a store. There is one lock for all partitions."""

    def __init__(self, store: Store, operator: str = "") -> None:
        super().__init__()
        self._store = store
        self._operator = operator
        self._seen = store.log.head().seq
        self.turns: list[tuple[Sequence[str], Sequence[str], Sequence[str]]] = []
        self.failure: LogError | None = None
        #: What others write as if it were during each commit.
        self.meanwhile: list[AppendRequest] = []
        self._news: tuple[RecordedEvent, ...] = ()

    @property
    def is_shared(self) -> bool:
        return True

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        return self._store.log.read(after, until)

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        return self._store.log.history(stream)

    def payload(self, ref: PayloadRef) -> bytes | None:
        return self._store.log.payload(ref)

    def head(self) -> Head:
        return self._store.log.head()

    def begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        if self.failure is not None:
            raise self.failure
        assert self._store.lock.acquire(timeout=120)
        if self._operator in self._store.fenced:
            self._store.lock.release()
            raise WriterFencedError("another operator has taken over")
        self.turns.append((partitions, beside, commands))
        news = tuple(self._store.log.read(self._seen))
        return Turn(news, self._store.log.begin(partitions, beside, commands).known)

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        assert self._store.lock.locked(), "every commit has a turn"
        try:
            before = self._store.log.head().seq
            self._store.log.commit(self.meanwhile)
            self._news, self.meanwhile = tuple(self._store.log.read(before)), []
            return self._store.log.commit(batch)
        finally:
            self._seen = self._store.log.head().seq
            self._store.lock.release()

    def take_news(self) -> tuple[RecordedEvent, ...]:
        news, self._news = self._news, ()
        return news

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        return lambda: self.commit(batch)


class SharedOwnership:
    """The ownership of runs by one operator of a store. Leases end when a test says so."""

    def __init__(self, store: Store, operator: str) -> None:
        self._store = store
        self._operator = operator
        self._heard_at = 0
        self.given = store.given

    async def take(self, run: TaskRunId, /) -> RunHolder | None:
        store, owner = self._store, self._store.owners.get(run, self._operator)
        if owner != self._operator:
            if owner not in store.dead:
                self._heard_at += 1
                store.refused.notify()
                return RunHolder(owner, self._heard_at, store.wait_seconds)
            store.fenced.add(owner)
        store.owners[run] = self._operator
        return None

    async def holder(self, run: TaskRunId, /) -> RunHolder | None:
        owner = self._store.owners.get(run, self._operator)
        if owner == self._operator or owner in self._store.dead:
            return None
        return RunHolder(owner, self._heard_at, self._store.wait_seconds)

    async def give(self, run: TaskRunId, /) -> None:
        if self._store.owners.get(run) == self._operator:
            del self._store.owners[run]
            self.given.notify()
