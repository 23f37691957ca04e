"""The single door through which anything changes: command -> decide -> append -> project -> wake.

One writer task takes every command that waits, lets each decide on the state that all earlier ones left, and commits
the lot in one worker-thread call. So a decision can never be overrun by another one: it is made in the order in
which it is written. Nobody is told yes before COMMIT returned.

The state runs ahead of the log by the batch that is being committed. That is safe, because it is only read by
decisions, which are written after that batch or not at all: if a commit fails the writer stops, and the state is
rebuilt from the log by whoever opens it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import trio

from ..events.envelope import Position, RecordedEvent
from .errors import LogError, MephistoError, OutcomeUnknownError
from .gc_tuning import gc_less_often
from .ports import AppendRejected, AppendRequest, AppendResult, EventLog, Expect, NewEvent, Outcome, Payload, WallClock
from .signal import Signal
from .state.decision_state import DecisionState

#: Requests that go into one commit at most.
BATCH_LIMIT = 512
#: Commands that may wait for the writer; a caller beyond that waits before its command is taken.
QUEUE_LIMIT = 8192

Decide = Callable[[DecisionState], Sequence[NewEvent]]
Subscriber = Callable[[Sequence[RecordedEvent]], None]
#: Makes the blocking call of a commit, so that the loop goes on meanwhile.
Offload = Callable[[Callable[[], list[Outcome]]], Awaitable[list[Outcome]]]


class Command(msgspec.Struct, frozen=True):
    """A wish, and how to decide on it.

    A decision reads the state and returns events; it may be called once, at a moment the writer chooses, and must
    not wait, nor look at anything that changes by itself.
    """

    #: Names the wish: the same id is carried out once, for ever.
    id: str
    actor: str
    decide: Decide
    cause: Position | None = None
    #: What the events refer to.
    payloads: tuple[Payload, ...] = ()
    #: Whether the id may have been used before, by this process or an earlier one. New ids need no look at the log.
    idempotent: bool = False
    #: Versions that streams must have, beside those that the decision itself rests on.
    expected: Mapping[str, int | Expect] = {}


class PendingCommand:
    """A command that the writer has, or soon has.

    Its waiters stand here and not in a `trio.Event`: one for each command costs a busy ledger a thirtieth of its time.
    """

    __slots__ = ("_result", "_waiters", "command", "is_decided")

    def __init__(self, command: Command) -> None:
        self.command = command
        #: Whether the writer has decided on it, or never will.
        self.is_decided = False
        self._result: AppendResult | MephistoError | None = None
        self._waiters: list[trio.lowlevel.Task] = []

    def settle(self, result: AppendResult | MephistoError) -> None:
        """Say how it went. For the writer."""
        self.is_decided = True
        self._result = result
        for task in self._waiters:
            trio.lowlevel.reschedule(task)
        self._waiters.clear()

    async def wait(self) -> AppendResult:
        """Wait for the outcome; a cancelled wait does not take the command back.

        Raises:
            CommandRefusedError: the decision said no.
            OutcomeUnknownError: COMMIT failed, or the writer stopped before it was tried; ask again with the same id.
            LogError: nothing was written.
        """
        if self._result is None:
            await self._settled()
        else:
            await trio.lowlevel.checkpoint()
        if isinstance(self._result, AppendResult):
            return self._result
        raise self._result or OutcomeUnknownError("the writer stopped before it took the command")

    async def _settled(self) -> None:
        task = trio.lowlevel.current_task()
        self._waiters.append(task)

        def give_up(_: object) -> trio.lowlevel.Abort:
            self._waiters.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up)


class _CommitBatch:
    """What goes into one commit."""

    def __init__(self) -> None:
        self.decided: list[tuple[PendingCommand, AppendRequest | AppendResult | MephistoError]] = []
        self.appends: list[AppendRequest] = []
        #: Called once it is durable.
        self.followers: list[Callable[[], None]] = []
        #: It takes no more: it is full, or being committed.
        self.is_closed = False
        self.settled = trio.Event()

    def add(self, pending: PendingCommand, decision: AppendRequest | AppendResult | MephistoError) -> None:
        """Take a command that was decided."""
        self.decided.append((pending, decision))
        if isinstance(decision, AppendRequest):
            self.appends.append(decision)
            self.is_closed = len(self.appends) >= BATCH_LIMIT


class Ledger:
    """Takes commands, writes their events, keeps the market.

    Attributes:
        log: the log below.
        state: the state that decisions see. It may be ahead of the log: see `wait_durable` before telling anybody.
    """

    def __init__(self, log: EventLog, clock: WallClock, offload: Offload | None = None) -> None:
        """Fold the log.

        Args:
            log: the log, whose only writer this is from now on.
            clock: the wall clock.
            offload: how a commit is called; in a worker thread, unless a simulation must have none.

        Raises:
            LogError: the log is damaged or newer than this version.
        """
        self.log = log
        self.state = DecisionState()
        self._clock = clock
        self._waiting: deque[PendingCommand] = deque()
        #: What was decided and is not durable.
        self._batch = _CommitBatch()
        self._by_id: dict[str, PendingCommand] = {}
        self._work = Signal()
        self._room = Signal()
        self._subscribers: list[Subscriber] = []
        self._stopped: LogError | None = None
        self._offload = offload or in_a_thread
        for recorded in log.read():
            self.state.apply(recorded.envelope)

    @property
    def waiting(self) -> int:
        """Commands that the writer has not taken yet."""
        return len(self._waiting)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call a function with every batch of events once it is durable, in order; returns how to stop that.

        The function runs before the commands' callers go on. It must not block, nor raise.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def wait_durable(self, stream: str) -> None:
        """Wait until what the market says of a stream is durable; it may be told when this returns, if it is read then.

        Raises:
            LogError: it never will be.
        """
        # What a command writes to is among what it expects.
        while any(stream in append.expected for append in self._batch.appends):
            await self._batch.settled.wait()
            if self._stopped is not None:
                raise self._stopped

    def call_when_durable(self, act: Callable[[], None]) -> None:
        """Call a function while all that the market says is durable: now, or right after the commit under way.

        It must not block, nor raise. It is not called if that commit fails.
        """
        if self._batch.decided:
            self._batch.followers.append(act)
        else:
            act()

    async def execute(self, command: Command) -> AppendResult:
        """Carry a command out and wait until its events are durable.

        Raises:
            CommandRefusedError: the decision said no; nothing was written.
            LogError: see `PendingCommand.wait`.
        """
        while len(self._waiting) >= QUEUE_LIMIT and self._stopped is None:
            await self._room.wait()
        return await self.submit(command).wait()

    async def submit_decided(self, command: Command) -> PendingCommand:
        """Have a command decided, without waiting until its events are durable.

        For a command that another one follows at once: what is posted next sees its events in the state, and is
        durable together with them or later. So two steps cost one commit.

        Raises:
            LogError: the writer has stopped.
        """
        pending = self.submit(command)
        while not pending.is_decided:
            if self._batch.is_closed:
                await self._batch.settled.wait()
            else:
                self._decide_waiting()
        if self._stopped is not None:
            raise self._stopped
        return pending

    def submit(self, command: Command) -> PendingCommand:
        """Hand a command to the writer without waiting: commands are decided in the order in which they are posted.

        Raises:
            LogError: the writer has stopped.
        """
        if self._stopped is not None:
            raise self._stopped
        if command.idempotent and (known := self._by_id.get(command.id)) is not None:
            return known
        pending = PendingCommand(command)
        if command.idempotent:
            self._by_id[command.id] = pending
        self._waiting.append(pending)
        self._work.notify()
        return pending

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The writer task. Runs until it is cancelled or the log fails.

        A commit that has begun is finished even when the task is cancelled; commands that wait are then settled
        with `OutcomeUnknownError`.

        Raises:
            LogError: the log can take no more; the run must stop.
        """
        task_status.started()
        try:
            with gc_less_often():
                await self._write()
        except LogError as error:
            self._stopped = error
            raise
        finally:
            self._stopped = self._stopped or OutcomeUnknownError("the ledger is closed")
            for pending in (*(pending for pending, _ in self._batch.decided), *self._waiting):
                pending.settle(self._stopped)
            self._waiting.clear()
            self._room.notify()
            self._batch.settled.set()

    async def _write(self) -> None:
        """Commit what is posted, for ever."""
        while True:
            while not (self._waiting or self._batch.decided):
                await self._work.wait()
            self._decide_waiting()
            await self._write_batch()
            await trio.lowlevel.checkpoint_if_cancelled()

    def _decide_waiting(self) -> None:
        """Decide on what waits, as far as one commit can take it.

        Never while a commit is under way: who is told of durable events finds them, and nothing else, in the state.
        """
        batch = self._batch
        while self._waiting and not batch.is_closed:
            pending = self._waiting[0]
            decision = self._decide(pending.command)
            # Not before: a decision that is itself broken must also be met by the writer, and stop it.
            self._waiting.popleft()
            pending.is_decided = True
            batch.add(pending, decision)
        self._room.notify()

    async def _write_batch(self) -> None:
        """Commit what was decided, and only then answer: also a no may rest on events of this batch."""
        batch = self._batch
        batch.is_closed = True
        try:
            written = iter(await self._commit(batch.appends) if batch.appends else ())
        except LogError as error:
            for pending, _ in batch.decided:
                self._settle(pending, error)
            raise
        self._batch = _CommitBatch()
        for pending, decision in batch.decided:
            self._settle(pending, next(written) if isinstance(decision, AppendRequest) else decision)
        for follow in batch.followers:
            follow()
        batch.settled.set()

    def _decide(self, command: Command) -> AppendRequest | AppendResult | MephistoError:
        """The append that carries a command out, or its outcome if there is nothing to append."""
        try:
            if command.idempotent and (known := self.log.find(command.id)):
                return AppendResult(known, repeated=True)
            events = tuple(command.decide(self.state))
            if not events:
                return AppendResult(())
            if len(events) > 1:
                # All of them or none; one that is illegal changes nothing by itself.
                self.state.check(events)
            expected: dict[str, int | Expect] = {}
            for stream, event in events:
                expected.setdefault(stream, self.state.version(stream))
                self.state.evolve(stream, event)
        except MephistoError as error:
            return error
        return AppendRequest(
            command=command.id,
            actor=command.actor,
            at=self._clock.now_us(),
            events=events,
            cause=command.cause,
            expected={**command.expected, **expected} if command.expected else expected,
            payloads=command.payloads,
        )

    async def _commit(self, appends: list[AppendRequest]) -> list[AppendResult]:
        """Write a batch and tell the subscribers what is durable."""
        write = self.log.prepare(appends)
        with trio.CancelScope(shield=True):
            outcomes = await self._offload(write)
        receipts: list[AppendResult] = []
        for outcome in outcomes:
            if isinstance(outcome, AppendRejected):
                # Log and state have parted, so nothing more may be decided.
                raise LogError(f"the log refused what the state allowed: {outcome.error}") from outcome.error
            receipts.append(outcome)
        durable = [recorded for receipt in receipts if not receipt.repeated for recorded in receipt.events]
        for subscriber in tuple(self._subscribers):
            subscriber(durable)
        return receipts

    def _settle(self, pending: PendingCommand, result: AppendResult | MephistoError) -> None:
        if pending.command.idempotent:
            self._by_id.pop(pending.command.id, None)
        pending.settle(result)


async def in_a_thread(commit: Callable[[], list[Outcome]]) -> list[Outcome]:
    """Call a function in a worker thread; cancellation is heard after it.

    Only the writer does this, one call at a time and for each commit: trio's own way, which counts threads and carries
    the caller's context over, would cost a commit a tenth more.
    """
    task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()
    trio.lowlevel.start_thread_soon(
        commit, lambda outcome: token.run_sync_soon(trio.lowlevel.reschedule, task, outcome)
    )
    outcomes: list[Outcome] = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
    return outcomes
