"""A machine among others on one log: its process reaches the log slowly, is stopped for a while, dies, starts again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import trio

from mephisto_es.adapters.composition.clock_and_ids import BlockIds, Reserve
from mephisto_es.core.errors import LogError, WriterFencedError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.ports import AppendRequest, Ids, Outcome, RunHolder, Turn
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId

from ..commands import CHECKED_DECISIONS
from ..shared_log import BlockedError, ConnectionLostError, SharedLog, SharedOwnership, Store
from .common_rules import CommonRecord
from .faults import PowerCutError, SteppedClock
from .invariants import check_ledger
from .job import ENVIRONMENT, Environment

#: Seconds until the server answers, seconds of a commit that takes longer, and how often one does; and if all is slow.
ANSWER_SECONDS = (0.0, 0.2)
LATE_COMMIT_SECONDS = (0.2, 3.0)
LATE_COMMITS = 0.3
SLOW_ANSWER_SECONDS = (2.0, 9.0)
#: Seconds until there is another connection, and until the server ends the turn of somebody who is silent within it.
RECONNECT_SECONDS = (0.0, 4.0)
IDLE_SECONDS = 10.0
#: Seconds until others hear that something was written; now and then they hear nothing.
NEWS_SECONDS = (0.0, 0.2)
NEWS_ARRIVE = 0.9

T = TypeVar("T")


class SeededBlockIds(BlockIds):
    """Ids in blocks whose chance comes from a seed."""

    def __init__(self, highest: Mapping[str, int], epoch: int, reserve: Reserve, chance: Random) -> None:
        super().__init__(highest, epoch, reserve)
        self._chance = chance

    def token(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def salt(self) -> bytes:
        return self._chance.randbytes(16)


class ProcessLog(SharedLog):
    """The log as one process reaches it.

    Attributes:
        process: the name of the process.
        is_dead: True once it was killed.
        is_slow: True if the server takes its time at the next call.
    """

    def __init__(self, store: Store, chance: Random, record: CommonRecord, process: str) -> None:
        super().__init__(store)
        self.process = process
        self.is_dead = False
        self.is_slow = False
        self._chance = chance
        self._record = record
        self._stopped: trio.Event | None = None
        self._begun_at = 0

    async def offload(self, call: Callable[[], T], /) -> T:
        """Call the server in its time, again and again until it answers."""
        is_late = self._turn is not None and self._chance.random() < LATE_COMMITS
        seconds = SLOW_ANSWER_SECONDS if self.is_slow else LATE_COMMIT_SECONDS if is_late else ANSWER_SECONDS
        self.is_slow = False
        await trio.sleep(self._chance.uniform(*seconds))
        while True:
            await self.wait_until_it_runs()
            if self.is_dead:
                self._die(call)
            try:
                return call()
            except BlockedError:
                await self.store.freed.wait()
            except ConnectionLostError:
                await trio.sleep(self._chance.uniform(*RECONNECT_SECONDS))

    async def wait_until_it_runs(self) -> None:
        """Wait while the process is stopped."""
        while self._stopped is not None:
            await self._stopped.wait()

    async def stop(self, seconds: float) -> None:
        """Stop the process for a while. The server ends its turn if that takes too long."""
        stopped = self._stopped = trio.Event()
        with trio.move_on_after(seconds):
            with trio.move_on_after(IDLE_SECONDS):
                await trio.sleep_forever()
            self.store.free(self)
            await trio.sleep_forever()
        self._stopped = None
        stopped.set()

    def kill(self) -> None:
        """End the process; a commit under way may be the last thing that it did."""
        self.is_dead = True
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None
        self.store.freed.notify()

    def begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        assert self._turn is None, f"{self.process} has not ended its turn"
        turn = super().begin(partitions, beside, commands)
        self._begun_at = self.seen
        return turn

    def _call(self, call: Callable[[], T]) -> T:
        return call()

    def _append(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        before = self.store.log.head().seq
        outcomes = super()._append(batch)
        written = list(self.store.log.read(before))
        if written:
            self._record.note_written(self.process, written, self._begun_at)
        return outcomes

    def _die(self, call: Callable[[], object]) -> None:
        """Make a commit, perhaps, and end.

        Raises:
            PowerCutError: always.
        """
        if self._turn is not None and self._chance.random() < 0.5:
            with suppress(BlockedError, ConnectionLostError, LogError):
                call()
        self.store.free(self)
        raise PowerCutError


class ProcessOwnership(SharedOwnership):
    """The ownership of runs by one process, which keeps its lease as long as it runs."""

    def __init__(self, log: ProcessLog, chance: Random, record: CommonRecord) -> None:
        super().__init__(log, log.process)
        self._process_log = log
        self._chance = chance
        self._record = record

    async def take(self, run: TaskRunId, /) -> RunHolder | None:
        await self._check_alive()
        holder = await super().take(run)
        if holder is None:
            self._record.note_driver(run, self._operator)
        return holder

    async def holder(self, run: TaskRunId, /) -> RunHolder | None:
        await self._check_alive()
        return await super().holder(run)

    async def give(self, run: TaskRunId, /) -> None:
        await self._check_alive()
        await super().give(run)
        self._record.note_given(run, self._operator)

    async def run(self, on_news: Callable[[], None]) -> None:
        """Keep the lease, and call a function when others have written something.

        Raises:
            WriterFencedError: somebody has taken over what this process owned.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, on_news)
            while True:
                await trio.sleep(self._store.beat_seconds)
                await self._check_alive()
                is_member = self._store.beat(self._operator)
                if is_member:
                    self._record.note_beat(self._operator)
                elif self._log.operator:
                    raise WriterFencedError(f"another operator has taken over from {self._operator}")
                on_news()

    async def leave(self) -> None:
        """Give everything back."""
        with suppress(LogError):
            await self._check_alive()
            self._store.leave(self._operator)
            self._record.note_left(self._operator)

    async def _listen(self, on_news: Callable[[], None]) -> None:
        while True:
            await self._record.written.wait()
            await trio.sleep(self._chance.uniform(*NEWS_SECONDS))
            if self._chance.random() < NEWS_ARRIVE and self._log.head().seq > self._log.seen:
                on_news()

    async def _check_alive(self) -> None:
        await self._process_log.wait_until_it_runs()
        if self._process_log.is_dead:
            raise LogError("the process is gone")


@dataclass(frozen=True)
class Process:
    """The parts of one life of a machine."""

    operator: Operator
    ledger: Ledger
    ids: Ids
    nursery: trio.Nursery


#: What a process is for; returns True once there is nothing left to do.
Work = Callable[[Process], Awaitable[bool]]


class Machine:
    """A machine, whose process can be killed and stopped.

    Attributes:
        name: its name.
        lives: how many processes it had.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        store: Store,
        chance: Random,
        record: CommonRecord,
        environment: Environment,
        folder: Path,
    ) -> None:
        self.name = name
        self.lives = 0
        self._store = store
        self._chance = chance
        self._record = record
        self._environment = environment
        self._folder = folder
        self._work = work
        self._clock = SteppedClock()
        self._clock.step(chance.uniform(-1, 1))
        self._scope = trio.CancelScope()
        self._heard = 0
        #: The log and the environment of the process that lives now.
        self.log: ProcessLog | None = None
        self._own = environment

    async def live(self) -> bool:
        """Be one process from its start to its end; return True if nothing is left to do."""
        self.lives += 1
        log = self.log = ProcessLog(self._store, self._chance, self._record, f"{self.name}:{self.lives}")
        self._own = replace(self._environment, channels=[])
        ENVIRONMENT.set(self._own)
        ownership = ProcessOwnership(log, self._chance, self._record)
        is_done = False
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                is_done = await self._run(log, ownership, nursery)
                nursery.cancel_scope.cancel()
        except* (PowerCutError, LogError):
            is_done = False
        finally:
            for channel in self._own.channels:
                channel.die()
            with trio.CancelScope(shield=True):
                await ownership.leave()
            self._store.free(log)
            self.log = None
        return is_done and not log.is_dead

    def kill(self) -> None:
        """End the process without a trace."""
        if self.log is not None:
            self.log.kill()
            for channel in self._own.channels:
                channel.die()
            self._scope.cancel()

    async def stop(self, seconds: float) -> None:
        """Stop the process for a while: nothing that it does reaches anybody."""
        log, channels = self.log, self._own.channels
        if log is not None:
            for channel in channels:
                channel.is_frozen = True
                channel.cut()
            await log.stop(seconds)
            for channel in channels:
                channel.is_frozen = False

    def cut_channels(self) -> None:
        """Lose the connections to routers."""
        for channel in self._own.channels:
            channel.cut()

    async def _run(self, log: ProcessLog, ownership: ProcessOwnership, nursery: trio.Nursery) -> bool:
        ledger = Ledger(log, self._clock, log.offload, CHECKED_DECISIONS)
        self._heard = log.seen
        ledger.subscribe(self._hear)
        await nursery.start(ledger.run)
        ids = SeededBlockIds(ledger.state.highest_ids(), self._record.next_epoch(), self._store.reserve, self._chance)
        nursery.start_soon(ownership.run, ledger.read_news)
        operator = Operator(ledger, ids, self._clock, self._folder, nursery, ownership=ownership)
        operator.runs.watches_signals = True  # the signals of the process that simulates are not its own
        is_done = await self._work(Process(operator, ledger, ids, nursery))
        ledger.call_when_durable(partial(self._check_state, ledger))
        return is_done

    def _hear(self, events: Sequence[RecordedEvent]) -> None:
        """Be told of each event of the log once and in order, whoever wrote it."""
        for recorded in events:
            assert recorded.seq == self._heard + 1, f"{self.name} hears of seq {recorded.seq} after {self._heard}"
            self._heard = recorded.seq

    def _check_state(self, ledger: Ledger) -> None:
        check_ledger(ledger, until=self._heard)
