"""Base of the services that follow a run's agents and onboarding agents.

Everything here follows durable events. After each batch the handles are brought to what the state says, whatever the
events in between were, so resuming a run from the log is the same as following it from the start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from ....events import streams
from ....events.agent import AgentAccepted, AgentObserved, AgentUpdateReceived
from ....events.base import Event, PayloadRef
from ....events.envelope import RecordedEvent
from ....events.onboarding import OnboardingObserved, OnboardingStarted, OnboardingUpdateReceived
from ...abstractions.agent import Participant, Update
from ...abstractions.callbacks import Callback
from ...command_issuer import CommandIssuer
from ...errors import AgentLeftError, AgentTimeoutError, TaskCodeDivergedError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
from ...lifecycles.onboarding import OnboardingRecord
from ...ports import Ids, WallClock
from ...signal import Signal
from ..agent_pages import AgentPages
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import TimeLimit
from .deadlines import Deadline, Deadlines, paused_us
from .observations import Observations
from .replayer import TaskCodeReplayer, recorded_exchanges
from .user_code import AffectedIds, UserCode

logger = get_logger(__name__)

RecordT = TypeVar("RecordT", bound=AgentRecord | OnboardingRecord)
HandleT = TypeVar("HandleT", bound=Participant)
#: The events by which a participant leaves.
DepartureT = TypeVar("DepartureT", bound=Event)

#: Reason for which agents lose their work when task code fails.
CODE_FAILED = "the task's code failed"

decode_update = msgspec.json.Decoder(dict[str, object]).decode


class RunningCode(NamedTuple):
    """Task code with its arguments bound, and the code that cleans up after it."""

    callback: Callback[None]
    code: Callable[[], object]
    cleanup_callback: Callback[None]
    cleanup: Callable[[], object]
    affected: AffectedIds


class LiveParticipants(ABC, Generic[RecordT, HandleT, DepartureT]):
    """Handles, deadlines, pages and task code of the participants of one kind in a run."""

    #: Event types of the participants' lifecycle.
    EVENTS: ClassVar[frozenset[type[Event]]]

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        pages: AgentPages,
        user_code: UserCode,
    ) -> None:
        self._context = context
        self._user_code = user_code
        self._run = context.task_run
        self._nursery = context.nursery
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._pages = pages
        self._handles: dict[int, HandleT] = {}
        #: Replayers of the task code that was started again, by the agents it runs for.
        self._replayers: dict[int, TaskCodeReplayer] = {}
        self._observations = Observations(ledger, ids, context.task_run)
        self._deadlines = Deadlines(clock)
        #: The end of the time of each live participant.
        self._ends: dict[int, Deadline] = {}
        self._running_codes = 0
        #: The time limit of the task code that runs for each agent, and those of its agents that are at work.
        self._limits: dict[int, tuple[TimeLimit, set[int]]] = {}
        self._code_ended = Signal()

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[HandleT]:
        return iter(tuple(self._handles.values()))

    # What a kind of participants defines ----------------------------------------------------------------------------

    @abstractmethod
    def _stream_of(self, agent_id: int) -> str:
        """Return the stream of a participant."""

    @abstractmethod
    def _record_of(self, stream: str) -> RecordT:
        """Return what the state knows of a participant."""

    @abstractmethod
    def _live_ids(self) -> Iterable[int]:
        """Return the ids of the participants that the state has as live."""

    @abstractmethod
    def _make_handle(self, record: RecordT) -> HandleT:
        """Return a new handle."""

    @abstractmethod
    def _is_live(self, record: RecordT) -> bool:
        """Return whether a participant still has a handle."""

    @abstractmethod
    def _advance(self, handle: HandleT, record: RecordT, *, again: bool) -> None:
        """React to a new status of a live participant.

        Args:
            handle: its handle, which has the new status.
            record: what the state knows of it.
            again: whether an earlier process of the run has reacted to the status already.
        """

    @abstractmethod
    def _on_ended(self, record: RecordT) -> None:
        """React to the end of a participant, which has just lost its handle."""

    @abstractmethod
    def _is_at_work(self, record: RecordT) -> bool:
        """Return whether a participant has neither submitted nor left, so that its task code may take its time."""

    @abstractmethod
    async def release(self, agents: Sequence[int]) -> None:
        """End participants whose task code failed, so that they can begin anew; does nothing for those that ended."""

    @abstractmethod
    def _timed_out(self, reason: str) -> DepartureT:
        """Return the event by which a participant leaves when its time is over."""

    @abstractmethod
    async def end_agent(self, agent_id: int, departure: DepartureT) -> None:
        """End a participant without a submission; does nothing if it has ended."""

    # Handles --------------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Follow the participants that an earlier process of the run left; deadlines are watched from now on."""
        self._nursery.start_soon(self._deadlines.run)
        live = [self._stream_of(agent_id) for agent_id in sorted(self._live_ids())]
        run_history = self._ledger.log.history(streams.task_run(self._context.task_run))
        for stream in live:
            history = self._ledger.log.history(stream)
            started_at = history[0].envelope.at
            # Nobody could go on while the run was paused.
            started_at += paused_us(run_history, since_us=started_at)
            self._adopt(self._record_of(stream), started_at, self._observations.sent_in(history))
        for stream in live:
            self._status_changed(self._record_of(stream), again=True)

    def handle_of(self, record: RecordT) -> HandleT:
        """Return the handle of a participant; one that has ended gets a new handle for the occasion."""
        return self._handles.get(record.agent) or self._make_handle(record)

    def _adopt(self, record: RecordT, started_at: int, sent: Iterable[bytes] = ()) -> None:
        self._handles[record.agent] = self.handle_of(record)
        self._pages.add(record.token, sent)
        seconds = self._context.settings.assignment_duration_in_seconds
        departure = self._timed_out(f"not done within {seconds} s")
        end = partial(self._end_soon, record.agent, departure)
        self._ends[record.agent] = self._deadlines.set_from(started_at, seconds, end)

    def seconds_left(self, agent_id: int) -> int | None:
        """Return the whole seconds until a participant's time is up; None if its work has ended."""
        end = self._ends.get(agent_id)
        return None if end is None else self._deadlines.seconds_until(end.at_us)

    def _end_soon(self, agent_id: int, departure: DepartureT) -> None:
        if agent_id in self._handles and self._is_at_work(self._record_of(self._stream_of(agent_id))):
            self._nursery.start_soon(self.end_agent, agent_id, departure)

    # Following ------------------------------------------------------------------------------------------------------

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Bring handles, pages and task code up to date with durable events of the run."""
        touched: dict[str, None] = {}
        for recorded in events:
            event, stream = recorded.envelope.event, recorded.envelope.stream
            if type(event) not in self.EVENTS:
                continue
            touched[stream] = None
            if isinstance(event, AgentAccepted | OnboardingStarted):
                self._adopt(self._record_of(stream), recorded.envelope.at)
            elif isinstance(event, AgentUpdateReceived | OnboardingUpdateReceived):
                self._deliver(self._record_of(stream), event.update)
            elif isinstance(event, AgentObserved | OnboardingObserved):
                self._send(self._record_of(stream), event.update)
        for stream in touched:
            self._status_changed(self._record_of(stream))

    def _deliver(self, record: RecordT, update: PayloadRef) -> None:
        handle, body = self._handles.get(record.agent), self._ledger.log.payload(update)
        if handle is None or body is None:
            return
        replayer = self._replayers.get(record.agent)
        if replayer is None or replayer.caught_up:
            handle.deliver(decode_update(body))
        else:
            replayer.buffer(record.agent, decode_update(body))

    def _send(self, record: RecordT, update: PayloadRef) -> None:
        body = self._ledger.log.payload(update)
        if body is not None:
            self._pages.send_update(record.token, body)

    def _status_changed(self, record: RecordT, *, again: bool = False) -> None:
        status = record.status.value
        handle = self._handles.get(record.agent)
        if handle is None or handle.has_noticed(status):
            return
        self._pages.send_status(record.token, status)
        handle.notice(status)
        if not self._is_at_work(record):
            self._limit_code_of(record.agent)
        if self._is_live(record):
            self._advance(handle, record, again=again)
        else:
            del self._handles[record.agent]
            end = self._ends.pop(record.agent, None)
            if end is not None:
                self._deadlines.cancel(end)
            self._pages.drop(record.token)
            self._on_ended(record)

    async def _observe(self, agent_id: int, update: Update) -> None:
        """Record an update from task code to a page; it is sent once it is durable."""
        replayer = self._replayers.get(agent_id)
        if replayer is not None and await replayer.on_observe(agent_id, update):
            return
        await self._observations.record(self._record_of(self._stream_of(agent_id)), update)

    # Task code ------------------------------------------------------------------------------------------------------

    def _replay(self, agents: Sequence[HandleT], on_caught_up: Callable[[], None]) -> None:
        """Make the task code of some agents, which is about to start again, go through what was recorded."""
        histories = [(agent.agent_id, self._ledger.log.history(self._stream_of(agent.agent_id))) for agent in agents]
        by_id = {agent.agent_id: agent for agent in agents}
        replayer = TaskCodeReplayer(
            recorded_exchanges(histories, self._ledger.log.payload),
            deliver=lambda agent_id, update: by_id[agent_id].deliver(update),
            on_caught_up=on_caught_up,
        )
        self._replayers.update((agent.agent_id, replayer) for agent in agents)

    def _start_code(self, code: RunningCode, agents: Sequence[HandleT]) -> None:
        self._running_codes += 1
        self._nursery.start_soon(self._run_code, code, agents)

    async def _run_code(self, code: RunningCode, agents: Sequence[HandleT]) -> None:
        """Run task code to its end, and clean up after code that did not get there."""
        limit = self._user_code.time_after_work()
        ids = [agent.agent_id for agent in agents]
        at_work = {agent for agent in ids if self._is_at_work(self._record_of(self._stream_of(agent)))}
        self._limits.update((agent, (limit, at_work)) for agent in ids)
        try:
            await self._user_code.ask(code.callback, code.code, code.affected, limit=limit)
            await self._after_code(agents)
        except AgentLeftError as left:
            logger.info("an agent left", reason=str(left))
            await self._end_late(left)
            await self._clean_up(code)
        except UserCodeError:
            await self.release(ids)
            await self._clean_up(code)
        except TaskCodeDivergedError:
            logger.exception("the task's code takes another path than before the restart", at=code.callback.name)
            await self.release(ids)
            await self._clean_up(code)
        finally:
            for agent in ids:
                self._limits.pop(agent, None)
                self._replayers.pop(agent, None)
            self._running_codes -= 1
            self._code_ended.notify()

    async def _end_late(self, left: AgentLeftError) -> None:
        """End an agent that task code did not wait for any longer, if it is still at work."""
        agent_id = left.agent_id
        if not isinstance(left, AgentTimeoutError) or agent_id not in self._handles:
            return
        if self._is_at_work(self._record_of(self._stream_of(agent_id))):
            await self.end_agent(agent_id, self._timed_out("the task's code did not wait any longer"))

    async def _clean_up(self, code: RunningCode) -> None:
        """Clean up after task code; a failure is only recorded."""
        try:
            await self._user_code.ask(code.cleanup_callback, code.cleanup, code.affected)
        except (UserCodeError, AgentLeftError, TaskCodeDivergedError) as error:
            logger.warning("the cleanup did not succeed", reason=str(error))

    def _limit_code_of(self, agent_id: int) -> None:
        """Limit the time of task code once none of its agents is at work."""
        limit, at_work = self._limits.get(agent_id, (None, set()))
        at_work.discard(agent_id)
        if limit is not None and not at_work:
            limit.begin()

    async def _after_code(self, agents: Sequence[HandleT]) -> None:
        """Continue with agents whose task code has returned.

        Raises:
            AgentLeftError: one of them left.
        """

    async def wait_for_code(self) -> None:
        """Wait until no task code is running any more, its cleanup included."""
        while self._running_codes:
            await self._code_ended.wait()
