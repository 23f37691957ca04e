"""The writer: the only way in which anything changes. Command -> decide -> append -> project -> notify.

One task takes all commands that wait, decides on each in the state that the earlier ones left, and commits the events
of all of them at once. So no decision is overtaken by another: commands are decided in the order in which they are
written. No caller gets an answer before COMMIT has returned.

The state is ahead of the log by the batch that is being committed. That is safe: only decisions read it, and these are
written after that batch or not at all. If a commit fails the writer stops, and whoever opens the log again rebuilds the
state from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from ..events.envelope import RecordedEvent
from .commands.base import Command, CommandRequest
from .decisions.registry import DECISIONS, Decisions
from .errors import LogError, MephistoError, OutcomeUnknownError, StaleCommandError
from .gc_tuning import gc_paused
from .ports import AppendRejected, AppendRequest, AppendResult, EventLog, Expect, Outcome, WallClock
from .signal import Signal
from .state.decision_state import DecisionState
from .state.state_snapshot import KeptState

#: Maximum number of requests in one commit.
BATCH_LIMIT = 512
#: Maximum number of commands that wait for the writer; further callers wait before their command is submitted.
QUEUE_LIMIT = 8192

Subscriber = Callable[[Sequence[RecordedEvent]], None]
#: Makes the blocking call of a commit, so that the event loop keeps running meanwhile.
Offload = Callable[[Callable[[], list[Outcome]]], Awaitable[list[Outcome]]]
AnyRequest = CommandRequest[Command]


class PendingCommand:
    """A submitted command whose outcome can be waited for.

    It keeps its waiters itself: a `trio.Event` for each command costs a busy ledger a thirtieth of its time.
    """

    __slots__ = ("_result", "_waiters", "is_decided", "request")

    def __init__(self, request: AnyRequest) -> None:
        self.request = request
        #: True once the command was decided, or the writer stopped.
        self.is_decided = False
        self._result: AppendResult | MephistoError | None = None
        self._waiters: list[trio.lowlevel.Task] = []

    def settle(self, result: AppendResult | MephistoError) -> None:
        """Set the outcome and wake all waiters. For the writer."""
        self.is_decided = True
        self._result = result
        for task in self._waiters:
            trio.lowlevel.reschedule(task)
        self._waiters.clear()

    async def wait(self) -> AppendResult:
        """Wait for the outcome. A cancelled wait does not withdraw the command.

        Raises:
            CommandRefusedError: the decision refused it.
            OutcomeUnknownError: COMMIT failed, or the writer stopped before it; submit again with the same id.
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
    """The commands and events of one commit."""

    def __init__(self) -> None:
        self.decided: list[tuple[PendingCommand, AppendRequest | AppendResult | MephistoError]] = []
        self.appends: list[AppendRequest] = []
        #: Called once it is durable.
        self.followers: list[Callable[[], None]] = []
        #: True once it takes no more: it is full, or being committed.
        self.is_closed = False
        self.settled = trio.Event()

    def add(self, pending: PendingCommand, decision: AppendRequest | AppendResult | MephistoError) -> None:
        """Add a command that was decided."""
        self.decided.append((pending, decision))
        if isinstance(decision, AppendRequest):
            self.appends.append(decision)
            self.is_closed = len(self.appends) >= BATCH_LIMIT


class Ledger:
    """Executes commands: decides, writes their events, keeps the state.

    Attributes:
        log: the log below.
        state: the state that decisions see. It may be ahead of the log: see `wait_durable` before telling anybody.
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
            log: the log; nobody else writes to it from now on.
            clock: the wall clock.
            offload: makes the blocking call of each commit, for instance in a worker thread.
            decisions: the decision of each command type.
            kept: the state of this log as of an earlier position; it is used up.

        Raises:
            LogError: the log is damaged or newer than this version.
        """
        self.log = log
        self.state = DecisionState() if kept is None else kept.state
        self._clock = clock
        #: Held while payments are requested: another paymaster would take such a request for one that was lost.
        self.payment_lock = trio.Lock()
        self._waiting: deque[PendingCommand] = deque()
        #: Decided and not durable yet.
        self._batch = _CommitBatch()
        self._by_id: dict[str, PendingCommand] = {}
        self._work = Signal()
        self._room = Signal()
        self._subscribers: list[Subscriber] = []
        self._stopped: LogError | None = None
        self._offload = offload
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

    async def wait_durable(self, stream: str) -> None:
        """Wait until all commands submitted so far are decided, and the state of a stream is durable.

        Read it when this returns: it may be told then. Whoever submitted a command before finds it there.

        Raises:
            LogError: it never will be.
        """
        last = self._waiting[-1] if self._waiting else None
        while last is not None and not last.is_decided:
            await self._batch.settled.wait()
        if self._stopped is not None:
            raise self._stopped
        # Every stream that a request writes to is in its `expected`.
        while any(stream in append.expected for append in self._batch.appends):
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
            await self._room.wait()
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
            else:
                self._decide_waiting()
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
        pending = PendingCommand(request)
        if request.idempotent:
            self._by_id[request.id] = pending
        self._waiting.append(pending)
        self._work.notify()
        return pending

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
                pending.settle(self._stopped)
            self._waiting.clear()
            self._room.notify()
            self._batch.settled.set()

    async def _write(self) -> None:
        """Commit what is submitted, forever."""
        while True:
            while not (self._waiting or self._batch.decided):
                await self._work.wait()
            self._decide_waiting()
            await self._write_batch()
            await trio.lowlevel.checkpoint_if_cancelled()

    def _decide_waiting(self) -> None:
        """Decide on the commands that wait, as many as fit into one commit.

        Never during a commit: a subscriber that is called with durable events finds exactly these in the state.
        """
        batch = self._batch
        while self._waiting and not batch.is_closed:
            pending = self._waiting[0]
            decision = self._decide(pending.request)
            # Not before: a decision that has a bug must stay for the writer to meet, and stop it.
            self._waiting.popleft()
            pending.is_decided = True
            batch.add(pending, decision)
        self._room.notify()

    async def _write_batch(self) -> None:
        """Commit what was decided, and only then answer: even a refusal may rest on events of this batch."""
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

    def _decide(self, request: AnyRequest) -> AppendRequest | AppendResult | MephistoError:
        """Return the append that executes a command, or its outcome if there is nothing to append."""
        command = request.command
        try:
            if request.idempotent and (known := self.log.find(request.id)):
                return AppendResult(known, repeated=True)
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
            outcomes = await self._offload(write)
        results: list[AppendResult] = []
        for outcome in outcomes:
            if isinstance(outcome, AppendRejected):
                # Log and state differ, so nothing more may be decided.
                raise LogError(f"the log refused what the state allowed: {outcome.error}") from outcome.error
            results.append(outcome)
        durable = [recorded for result in results if not result.repeated for recorded in result.events]
        for subscriber in tuple(self._subscribers):
            subscriber(durable)
        return results

    def _settle(self, pending: PendingCommand, result: AppendResult | MephistoError) -> None:
        if pending.request.idempotent:
            self._by_id.pop(pending.request.id, None)
        pending.settle(result)
