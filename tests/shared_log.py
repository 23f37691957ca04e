"""A log in memory that several writers share: locks of turns, fences, lost connections, ids in blocks, owned runs.

A fake of the log in PostgreSQL as an operator sees it through its copy: positions are those of the common order. It
passes the same contract, `adapters/log/test_contract_writers.py`.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import trio
from msgspec.structs import replace

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import LogError, OutcomeUnknownError, WriterFencedError
from mephisto_es.core.ports import AppendRequest, AppendResult, Head, Outcome, RunHolder, Turn
from mephisto_es.core.signal import Signal
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.streams import partition_of, partition_of_run

#: Signs of life within the time of a lease, and how many of their intervals somebody who takes over must have lived.
BEATS, STEADY_BEATS = 3, 1.5
#: The lease in a store without a clock, where a test says who is dead: short, because others wait for a part of it.
SHORT_LEASE_SECONDS = 0.025
#: Seconds between two attempts to take a partition while a turn keeps it.
RETRY_SECONDS = 0.05

T = TypeVar("T")


class BlockedError(Exception):
    """Another writer's turn is in the way. The same call can be made again once that has ended."""


class ConnectionLostError(Exception):
    """The connection was lost. The same call can be made again on another one."""


class Loss(NamedTuple):
    """A connection that is lost at a commit."""

    #: Whether COMMIT was executed before.
    is_written: bool
    #: Whether there will not be another connection in time.
    is_final: bool


@dataclass
class Member:
    """An operator that may own partitions. Times are in seconds, on the clock of the store."""

    #: Since then, no lease has run out.
    steady_from: float
    beaten_at: float
    alive_until: float


class Store:
    """The server: events, locks of turns, owners of partitions, and ids that were reserved.

    Attributes:
        log: the events in the common order.
        locks: the writer whose turn keeps each partition.
        fences: a number for each partition that rises with every change of its owner.
        owners: the operator that owns each partition.
        members: the operators that may own something; one that loses it is none any more, and may write nothing.
        dead: operators that are not heard of any more, in a store without a clock.
        refused: notified when an operator hears that another one has a partition.
        freed: notified when a turn has ended.
        given: notified when a partition was given back.
        waiting: the number of threads that wait for a turn of another writer.
    """

    def __init__(
        self,
        wait_seconds: float | None = None,
        *,
        now: Callable[[], float] | None = None,
        lease_seconds: float = SHORT_LEASE_SECONDS,
    ) -> None:
        """Begin without events.

        Args:
            wait_seconds: how long whoever is told that another operator has a run waits unless it is notified; by
                default as long as that may take to be taken for dead.
            now: the clock of leases in seconds; without one, everybody who is not dead is heard of all the time.
            lease_seconds: how long an operator may be silent before others take over.
        """
        self.log = MemoryLog()
        self.changed = threading.Condition()
        self.locks: dict[str, SharedLog] = {}
        self.sizes: Counter[str] = Counter()
        self.fences: defaultdict[str, int] = defaultdict(lambda: 1)
        self.owners: dict[str, str] = {}
        self.members: dict[str, Member] = {}
        self.dead: set[str] = set()
        self.refused = Signal()
        self.freed = Signal()
        self.given = Signal()
        self.waiting = 0
        self.beat_seconds = lease_seconds / BEATS
        self._lease_seconds = lease_seconds
        self._wait_seconds = wait_seconds
        self._clock = now
        self._ticks = 0.0
        self._last_ids: Counter[str] = Counter()

    def reserve(self, category: str, used: int, count: int) -> int:
        """Reserve a block of ids."""
        self._last_ids[category] = max(self._last_ids[category], used) + count
        return self._last_ids[category]

    def wait_for(self, call: Callable[[], T]) -> T:
        """Make a call again and again, until no turn of another writer is in its way."""
        with self.changed:
            while True:
                try:
                    return call()
                except ConnectionLostError:
                    continue
                except BlockedError:
                    self.waiting += 1
                    self.changed.notify_all()
                    assert self.changed.wait(120), "a turn has not ended"
                    self.waiting -= 1

    def wait_until_somebody_waits(self) -> None:
        """Wait, in a thread, until another one waits for the end of a turn."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting, 120)

    def free(self, log: SharedLog) -> None:
        """End the turn of a writer: it has committed, or its connection is gone."""
        with self.changed:
            for partition in [partition for partition, holder in self.locks.items() if holder is log]:
                del self.locks[partition]
            self.changed.notify_all()
            self.freed.notify()

    def join(self, operator: str) -> None:
        """Become an operator that may own partitions."""
        now = self._now()
        self.members.setdefault(operator, Member(now, now, now + self._lease_seconds))

    def beat(self, operator: str) -> bool:
        """Prolong a lease; return whether there still is one."""
        return self._beat(operator, self._now())

    def take(self, operator: str, partition: str) -> int | RunHolder:
        """Become the owner of a partition; return the fence, or who owns it instead.

        Raises:
            BlockedError: a turn keeps it, or one of its owner is under way.
        """
        self._hear_everybody()
        now, owner = self._now(), self.owners.get(partition)
        if owner == operator:
            return self.fences[partition]
        me, other = self.members[operator], self.members.get(owner or "")
        if partition in self.locks:
            raise BlockedError
        if owner is not None and other is not None:
            steady_at = me.steady_from + STEADY_BEATS * self.beat_seconds
            if other.alive_until > now or steady_at > now:
                self.refused.notify()
                return self._holder(owner, max(other.alive_until - now, steady_at - now, 0.1))
            if any(log.operator == owner for log in self.locks.values()):
                raise BlockedError
            del self.members[owner]
        self.fences[partition] += 1
        self.owners[partition] = operator
        return self.fences[partition]

    def holder(self, operator: str, partition: str) -> RunHolder | None:
        """Return the other operator that owns a partition and lives; None: there is none."""
        self._hear_everybody()
        now, owner = self._now(), self.owners.get(partition, operator)
        if owner == operator or owner not in self.members or self.members[owner].alive_until <= now:
            return None
        return self._holder(owner, self.members[owner].alive_until - now)

    def give(self, operator: str, partition: str) -> None:
        """Give a partition back."""
        if self.owners.get(partition) == operator:
            del self.owners[partition]
            self.given.notify()

    def leave(self, operator: str) -> None:
        """Give everything back, and be an operator no longer."""
        self.owners = {partition: owner for partition, owner in self.owners.items() if owner != operator}
        self.members.pop(operator, None)
        self.given.notify()

    def let_time_pass(self, *, over_the_lease_of: str = "") -> None:
        """Make all operators ones of long ago, and one of them an operator that was not heard of since."""
        for operator, member in self.members.items():
            member.steady_from -= 86_400
            if operator == over_the_lease_of:
                member.beaten_at, member.alive_until = member.beaten_at - 86_400, member.alive_until - 86_400

    def _now(self) -> float:
        return self._ticks if self._clock is None else self._clock()

    def _hear_everybody(self) -> None:
        if self._clock is None:
            self._ticks += self._lease_seconds / 2
            for operator in self.members.keys() - self.dead:
                self._beat(operator, self._ticks)

    def _beat(self, operator: str, now: float) -> bool:
        member = self.members.get(operator)
        if member is not None:
            member.steady_from = member.steady_from if member.alive_until > now else now
            member.beaten_at, member.alive_until = now, now + self._lease_seconds
        return member is not None

    def _holder(self, owner: str, seconds: float) -> RunHolder:
        heard_at = round(self.members[owner].beaten_at * 1_000_000)
        wait_seconds = min(seconds, 1.2 * self.beat_seconds) if self._wait_seconds is None else self._wait_seconds
        return RunHolder(owner, heard_at, wait_seconds)


class SharedLog(MemoryLog):
    """One writer's access to a store.

    Attributes:
        operator: the name under which it owns partitions; empty while it owns none.
        turns: the arguments of each `begin`.
        failure: why the log accepts nothing more; None: it does.
        loss: what happens to the connection at the next commit.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._owned: dict[str, int] = {}
        self.operator = ""
        #: The position up to which this writer has read.
        self.seen = store.log.head().seq
        self._unread: list[RecordedEvent] = []
        #: The partitions of this turn: events and fence of each. None: there is no turn.
        self._turn: dict[str, tuple[int, int]] | None = None
        #: What a commit has written whose answer was lost.
        self._written: list[Outcome] | None = None
        self.turns: list[tuple[Sequence[str], Sequence[str], Sequence[str]]] = []
        self.failure: LogError | None = None
        self.loss: Loss | None = None

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def store(self) -> Store:
        """The store."""
        return self._store

    def own(self, operator: str, partition: str, fence: int) -> None:
        """Write to a partition as its owner from now on, and to nothing once the operator has lost what it owned."""
        self.operator, self._owned[partition] = operator, fence

    def disown(self, partition: str) -> None:
        """Write to a partition as a guest from now on."""
        self._owned.pop(partition, None)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        return self._store.log.find(command)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        return self._store.log.read(after, until)

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        return self._store.log.history(stream)

    def payload(self, ref: PayloadRef) -> bytes | None:
        return self._store.log.payload(ref)

    def head(self) -> Head:
        return self._store.log.head()

    def begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        return self._call(partial(self._begin, partitions, beside, commands))

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        return self._call(partial(self._commit, batch))

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        return partial(self.commit, batch)

    def take_news(self) -> tuple[RecordedEvent, ...]:
        news, self._unread = self._unread, []
        return tuple(news)

    def close(self) -> None:
        self._store.free(self)

    def _call(self, call: Callable[[], T]) -> T:
        """Make a call in a thread of its own, which waits for other writers."""
        return self._store.wait_for(call)

    def _begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str]) -> Turn:
        self._check_open()
        self._lock(partitions)
        self.turns.append((partitions, beside, commands))
        self._read_on(frozenset())
        return Turn(self.take_news(), {command: found for command in commands if (found := self.find(command))})

    def _commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        self._check_open()
        if self._turn is None:
            self._lock(sorted({partition_of(stream) for request in batch for stream, _ in request.events}))
            self._read_on(frozenset())
        try:
            outcomes = self._execute(batch)
        except LogError as error:
            self.failure = error
            self._end_turn()
            raise
        self._end_turn()
        written = (outcome for outcome in outcomes if isinstance(outcome, AppendResult) and not outcome.repeated)
        self._read_on({one.envelope.command for outcome in written for one in outcome.events})
        return outcomes

    def _execute(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Append and commit, or lose the connection."""
        loss, self.loss = self.loss, None
        if loss is None:
            return self._append(batch)
        if loss.is_written:
            self._written = self._append(batch)
        self._store.free(self)
        if loss.is_final:
            raise OutcomeUnknownError("the server cannot be reached. Open the log again to see what was written")
        raise ConnectionLostError

    def _append(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write what was decided in this turn, or return what was written before the connection was lost.

        Raises:
            BlockedError: the turn was lost, and another writer has one.
            WriterFencedError: another operator has taken over a partition.
            LogError: the turn was lost, and another writer was quicker.
        """
        store, turn = self._store, self._turn or {}
        written = sorted({partition_of(stream) for request in batch for stream, _ in request.events})
        if unnamed := [partition for partition in written if partition not in turn]:
            raise LogError(f"a command writes to {unnamed}, which was not named")
        if written and any(store.locks.get(partition, self) is not self for partition in turn):
            raise BlockedError  # the turn was lost with its connection, and is somebody else's now
        if written:
            self._check_fences({partition: turn[partition][1] for partition in written})
        if self._written is not None:
            return self._written
        if written and (moved := [partition for partition in turn if store.sizes[partition] != turn[partition][0]]):
            raise LogError(f"the turn was lost, and another writer came first ({moved}); nothing was written")
        before = store.log.head()
        outcomes = store.log.commit(list(_stamped(batch, before.at)))
        store.sizes.update(partition_of(recorded.envelope.stream) for recorded in store.log.read(before.seq))
        return outcomes

    def _lock(self, partitions: Sequence[str]) -> None:
        store = self._store
        if any(store.locks.get(partition, self) is not self for partition in partitions):
            raise BlockedError
        self._end_turn()
        self._check_fences({one: self._owned.get(one, store.fences[one]) for one in partitions})
        store.locks.update(dict.fromkeys(partitions, self))
        self._turn = {partition: (store.sizes[partition], store.fences[partition]) for partition in partitions}

    def _check_fences(self, fences: dict[str, int]) -> None:
        store = self._store
        taken = [partition for partition, fence in fences.items() if store.fences[partition] != fence]
        if taken or (self.operator and self.operator not in store.members):
            self.failure = WriterFencedError(f"another operator has taken over {taken or sorted(self._owned)}")
            self._end_turn()
            raise self.failure

    def _check_open(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn = self._written = None
            self._store.free(self)

    def _read_on(self, own: frozenset[str] | set[str]) -> None:
        """Read what is new; what others wrote is returned as news later."""
        for recorded in self._store.log.read(self.seen):
            self.seen = recorded.seq
            if recorded.envelope.command not in own:
                self._unread.append(recorded)


def _stamped(batch: Sequence[AppendRequest], at: int) -> Iterator[AppendRequest]:
    """Give each request a later time than everything before it: that is how effects come after their causes."""
    for request in batch:
        at = max(request.at, at + 1)
        yield replace(request, at=at)


class SharedOwnership:
    """The ownership of runs by one operator of a store."""

    def __init__(self, log: SharedLog, operator: str) -> None:
        """Keep the parts.

        Args:
            log: the operator's log.
            operator: a name that no other operator has or had.
        """
        self._log = log
        self._store = log.store
        self._operator = operator
        self.given = self._store.given

    async def take(self, run: TaskRunId, /) -> RunHolder | None:
        partition = partition_of_run(run)
        self._store.join(self._operator)
        while True:
            try:
                taken = self._store.take(self._operator, partition)
            except BlockedError:
                await trio.sleep(RETRY_SECONDS)
                continue
            if isinstance(taken, RunHolder):
                return taken
            self._log.own(self._operator, partition, taken)
            return None

    async def holder(self, run: TaskRunId, /) -> RunHolder | None:
        return self._store.holder(self._operator, partition_of_run(run))

    async def give(self, run: TaskRunId, /) -> None:
        partition = partition_of_run(run)
        self._log.disown(partition)
        self._store.give(self._operator, partition)
