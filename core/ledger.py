"""The writer: the only way in which anything changes. Command -> decide -> append -> project -> notify.

One task takes all commands that wait, decides on each in the state that the earlier ones left, and commits the events
of all of them at once. So no decision is overtaken by another: commands are decided in the order in which they are
written. No caller gets an answer before COMMIT has returned.

In a log that is shared with other writers, each batch begins with a turn: what they wrote is folded into the state, and
they write nothing to the same partitions until the batch is committed. What they write elsewhere meanwhile is folded
right after the commit, so the state is always that of the log up to some position.

The state is ahead of the log by the batch that is being committed. That is safe: only decisions read it, and these are
written after that batch or not at all. If a commit fails the writer stops, and whoever opens the log again rebuilds the
state from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from ..events.envelope import RecordedEvent
from ..events.streams import DIRECTORY
from .commands.pending import BATCH_LIMIT, AnyRequest, CommandBatch, Decision, PendingCommand
from .decisions.assign_work import partitions_to_lock
from .decisions.registry import DECISIONS, Decisions
from .errors import LogError, MephistoError, OutcomeUnknownError, StaleCommandError
from .gc_tuning import gc_paused
from .ports import AppendRejected, AppendRequest, AppendResult, EventLog, Expect, Offload, WallClock
from .signal import Signal
from .state.decision_state import DecisionState
from .state.state_snapshot import KeptState

#: Maximum number of commands that wait for the writer; further callers wait before their command is submitted.
QUEUE_LIMIT = 8192

Subscriber = Callable[[Sequence[RecordedEvent]], None]


class Ledger:
    """Executes commands: decides, writes their events, keeps the state.

    Attributes:
        log: the log below.
        state: the state that decisions see. It may be ahead of the log: see `wait_durable` before telling anybody.
        offload: makes blocking calls beside the event loop.
    """

    def __init__(
        self,
        log: EventLog,
        clock: WallClock,
        offload: Offload,
        decisions: Decisions = DECISIONS,
        kept: KeptState | None = None,
    ) -> None:
        """Fold the log, or what it has beyond the state that was kept of it.

        Args:
            log: the log. Unless it is shared, nobody else writes to it from now on.
            clock: the wall clock.
            offload: makes the blocking calls of turns and commits, for instance in a worker thread.
            decisions: the decision of each command type.
            kept: the state of this log as of an earlier position; it is used up.

        Raises:
            LogError: the log is damaged or newer than this version.
        """
        self.log = log
        self._is_shared = log.is_shared
        self.state = DecisionState() if kept is None else kept.state
        self._clock = clock
        #: Held while payments are requested: another paymaster would take such a request for one that was lost.
        self.payment_lock: AbstractAsyncContextManager[None] = trio.Lock()
        self._waiting: deque[PendingCommand] = deque()
        #: Decided and not durable yet.
        self._batch = CommandBatch()
        self._by_id: dict[str, PendingCommand] = {}
        #: Waiting commands that the log has to be asked about.
        self._unknown: list[PendingCommand] = []
        #: True if there may be news of other writers, and who waits until they are in the state.
        self._wants_news = False
        self._refreshing: list[trio.Event] = []
        self._work = Signal()
        #: Notified when commands were taken from the queue: there is room, and they are decided.
        self._taken = Signal()
        self._subscribers: list[Subscriber] = []
        self._stopped: LogError | None = None
        self.offload = offload
        self._decisions = decisions
        with gc_paused():
            for recorded in log.read(after=0 if kept is None else kept.seq):
                self.state.apply(recorded.envelope)

    @property
    def waiting(self) -> int:
        """Number of commands that the writer has not taken yet."""
        return len(self._waiting)

    def now_us(self) -> int:
        """Return the time on the clock of the log, in microseconds since the epoch."""
        return self._clock.now_us()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call a function with every batch of events once it is durable, in order.

        The function runs before the callers of the commands continue. It must neither block nor raise.

        Returns:
            A function that ends the subscription.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def wait_decided(self) -> None:
        """Wait until all commands submitted so far are decided, but not until their events are durable.

        Raises:
            LogError: the writer has stopped.
        """
        last = self._waiting[-1] if self._waiting else None
        while last is not None and not last.is_decided:
            await self._taken.wait()
        if self._stopped is not None:
            raise self._stopped

    async def wait_durable(self, stream: str) -> None:
        """Wait until all commands submitted so far are decided, and the state of a stream is durable.

        Read it when this returns: it may be told then. Whoever submitted a command before finds it there.

        Raises:
            LogError: it never will be.
        """
        await self.wait_decided()
        while stream in self._batch.streams:
            await self._batch.settled.wait()
            if self._stopped is not None:
                raise self._stopped

    def call_when_durable(self, act: Callable[[], None]) -> None:
        """Call a function while the whole state is durable: now, or right after the commit in progress.

        It must neither block nor raise. It is not called if that commit fails.
        """
        if self._batch.decided:
            self._batch.followers.append(act)
        else:
            act()

    async def execute(self, request: AnyRequest) -> AppendResult:
        """Execute a command and wait until its events are durable.

        Raises:
            CommandRefusedError: the decision refused it; nothing was written.
            LogError: see `PendingCommand.wait`.
        """
        while len(self._waiting) >= QUEUE_LIMIT and self._stopped is None:
            await self._taken.wait()
        return await self.submit(request).wait()

    async def submit_decided(self, request: AnyRequest) -> PendingCommand:
        """Submit a command and wait until it is decided, but not until its events are durable.

        For a command that another one follows at once: the next command sees its events in the state, and becomes
        durable together with them or later. So two steps cost one commit.

        Raises:
            LogError: the writer has stopped.
        """
        pending = self.submit(request)
        while not pending.is_decided:
            if self._batch.is_closed:
                await self._batch.settled.wait()
                continue
            self._decide_waiting()
            if not (pending.is_decided or self._batch.is_closed):
                # The writer has to ask the log first.
                await self._taken.wait()
        if self._stopped is not None:
            raise self._stopped
        return pending

    def submit(self, request: AnyRequest) -> PendingCommand:
        """Submit a command without waiting. Commands are decided in the order in which they are submitted.

        Raises:
            LogError: the writer has stopped.
        """
        if self._stopped is not None:
            raise self._stopped
        if request.idempotent and (known := self._by_id.get(request.id)) is not None:
            return known
        is_decidable = not (request.idempotent or self._is_shared)
        pending = PendingCommand(request, () if is_decidable else None)
        if request.idempotent:
            self._by_id[request.id] = pending
        if not is_decidable:
            self._unknown.append(pending)
        self._waiting.append(pending)
        self._work.notify()
        return pending

    def read_news(self) -> None:
        """Have the writer read what others wrote, although no command waits; subscribers are notified of it."""
        self._wants_news = self._is_shared
        self._work.notify()

    async def refresh(self) -> None:
        """Wait until the state has everything that others had written when this was called.

        Raises:
            LogError: the writer has stopped.
        """
        if self._is_shared and self._stopped is None:
            fresh = trio.Event()
            self._refreshing.append(fresh)
            self.read_news()
            await fresh.wait()
        if self._stopped is not None:
            raise self._stopped

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the writer until it is cancelled or the log fails.

        A commit that has begun is finished even when the task is cancelled; commands that wait are then settled
        with `OutcomeUnknownError`.

        Raises:
            LogError: the log accepts nothing more; the operator must stop.
        """
        task_status.started()
        try:
            await self._write()
        except LogError as error:
            self._stopped = error
            raise
        finally:
            self._stopped = self._stopped or OutcomeUnknownError("the ledger is closed")
            for pending in (*(pending for pending, _ in self._batch.decided), *self._waiting):
                pending.is_decided = True
                pending.settle(self._stopped)
            self._waiting.clear()
            for fresh in self._refreshing:
                fresh.set()
            self._taken.notify()
            self._batch.settled.notify()

    async def _write(self) -> None:
        """Commit what is submitted, forever."""
        while True:
            while not (self._waiting or self._batch.decided or self._wants_news):
                await self._work.wait()
            if self._unknown or self._wants_news:
                await self._begin_turn()
            self._decide_waiting()
            await self._write_batch()
            if self.log.has_upkeep and not self._waiting:
                with trio.CancelScope(shield=True):
                    await self.offload(self.log.do_upkeep)
            await trio.lowlevel.checkpoint_if_cancelled()

    async def _begin_turn(self) -> None:
        """Ask the log about commands that cannot be decided without it, as many as fit into one commit.

        In a shared log this locks the partitions that they write to, and subscribers are notified of others' news.
        """
        asked, self._unknown = self._unknown[:BATCH_LIMIT], self._unknown[BATCH_LIMIT:]
        refreshing, self._wants_news = len(self._refreshing), False
        locked: set[str] = set()
        if self._is_shared:
            locked.update(*(partitions_to_lock(self.state, pending.request.command) for pending in asked))
        beside = () if DIRECTORY in locked else (DIRECTORY,)
        ids = [pending.request.id for pending in asked if pending.request.idempotent]
        with trio.CancelScope(shield=True):
            turn = await self.offload(partial(self.log.begin, sorted(locked), beside, ids))
        self._notify(self._fold(turn.news))
        for fresh in self._refreshing[:refreshing]:
            fresh.set()
        del self._refreshing[:refreshing]
        for pending in asked:
            pending.known = turn.known.get(pending.request.id, ())

    def _fold(self, news: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        """Apply what others wrote to the state, and return what was not in it."""
        folded: list[RecordedEvent] = []
        for recorded in news:
            # What was written between the opening of the log and its first reading is in the state already.
            if recorded.envelope.version > self.state.version(recorded.envelope.stream):
                self.state.apply(recorded.envelope)
                folded.append(recorded)
        return folded

    def _decide_waiting(self) -> None:
        """Decide on the commands that wait, as many as fit into one commit.

        One that the log has to be asked about first ends the batch. Never during a commit: a subscriber that is called
        with durable events finds exactly these in the state.
        """
        batch, waiting = self._batch, len(self._waiting)
        while self._waiting and not batch.is_closed and (pending := self._waiting[0]).known is not None:
            decision = self._decide(pending.request, pending.known)
            # Not before: a decision that has a bug must stay for the writer to meet, and stop it.
            self._waiting.popleft()
            pending.is_decided = True
            batch.add(pending, decision)
        # Only then: two that wait for the writer's turn would wake each other until it ends.
        if len(self._waiting) < waiting:
            self._taken.notify()

    async def _write_batch(self) -> None:
        """Commit what was decided, and only then answer: even a refusal may rest on events of this batch."""
        batch = self._batch
        batch.is_closed = True
        try:
            # In a shared log even an empty commit is needed: it ends the turn.
            written = iter(await self._commit(batch.appends) if batch.appends or self._is_shared else ())
        except LogError as error:
            for pending, _ in batch.decided:
                self._settle(pending, error)
            raise
        self._batch = CommandBatch()
        for pending, decision in batch.decided:
            self._settle(pending, next(written) if isinstance(decision, AppendRequest) else decision)
        for follow in batch.followers:
            follow()
        batch.settled.notify()

    def _decide(self, request: AnyRequest, known: tuple[RecordedEvent, ...]) -> Decision:
        """Return the append that executes a command, or its outcome if there is nothing to append."""
        if known:
            return AppendResult(known, repeated=True)
        command = request.command
        try:
            if request.expected:
                self._check_versions(request.expected)
            events = tuple(self._decisions[type(command)](self.state, command))
            if not events:
                return AppendResult(())
            if len(events) > 1:
                # All of them or none: an illegal one must not leave the others in the state.
                self.state.check(events)
            expected: dict[str, int | Expect] = {}
            for stream, event in events:
                expected.setdefault(stream, self.state.version(stream))
                self.state.evolve(stream, event)
        except MephistoError as error:
            return error
        return AppendRequest(
            command=request.id,
            actor=request.actor,
            at=self._clock.now_us(),
            events=events,
            cause=request.cause,
            expected={**request.expected, **expected} if request.expected else expected,
            payloads=request.payloads,
        )

    def _check_versions(self, expected: Mapping[str, int | Expect]) -> None:
        """Refuse a command that was given on a state that is not the present one.

        Raises:
            StaleCommandError: a stream is not at the version that the request expects.
        """
        for stream, version in expected.items():
            actual = self.state.version(stream)
            if version is not Expect.ANY and actual != (0 if version is Expect.NONE else version):
                raise StaleCommandError(stream, actual)

    async def _commit(self, appends: list[AppendRequest]) -> list[AppendResult]:
        """Write a batch and call the subscribers with the events that became durable."""
        write = self.log.prepare(appends)
        with trio.CancelScope(shield=True):
            outcomes = await self.offload(write)
        results: list[AppendResult] = []
        for outcome in outcomes:
            if isinstance(outcome, AppendRejected):
                # Log and state differ, so nothing more may be decided.
                raise LogError(f"the log refused what the state allowed: {outcome.error}") from outcome.error
            results.append(outcome)
        durable = [recorded for result in results if not result.repeated for recorded in result.events]
        if self._is_shared and (news := self._fold(self.log.take_news())):
            durable = sorted((*news, *durable), key=lambda recorded: recorded.seq)
        self._notify(durable)
        return results

    def _notify(self, durable: Sequence[RecordedEvent]) -> None:
        if durable:
            for subscriber in tuple(self._subscribers):
                subscriber(durable)

    def _settle(self, pending: PendingCommand, result: AppendResult | MephistoError) -> None:
        if pending.request.idempotent:
            self._by_id.pop(pending.request.id, None)
        pending.settle(result)
