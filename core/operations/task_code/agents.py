"""The agents at work in a run: their handles, their deadlines, and the tasks that run the task's code for them.

Everything here follows durable events. After a batch the handles are brought to what the state says, whatever the
events in between were; so taking up a run from the log is the same as following it from the start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec
import trio

from ....events import streams
from ....events.agent import AgentAccepted, AgentExpired, AgentObserved, AgentTimedOut, AgentUpdateReceived
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, AssignmentId
from ...abstractions.agent import Agent, PastUpdate, Update
from ...decisions.end_work import DepartureEvent, decide_leave
from ...errors import AgentLeftError, CommandRefusedError, TaskCodeDivergedError, UserCodeError
from ...ledger import Command, Ledger
from ...lifecycles.agent import AGENT, LIVE_AGENT_STATUSES, AgentState, AgentStatus
from ...ports import Ids, NewEvent, WallClock
from ...state.decision_state import DecisionState
from ..agent_pages import AgentPages
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import call, clean_up
from .deadlines import Deadlines
from .observations import Observations
from .replayer import TaskCodeReplayer, recorded_lines
from .submission_callbacks import SubmissionCallbacks
from .tasks import TaskCode
from .units import Units

logger = get_logger(__name__)

#: A piece of task code with its arguments.
Code = Callable[[], Awaitable[None]]

_BEGUN = (
    AgentStatus.IN_TASK,
    AgentStatus.COMPLETED,
    AgentStatus.APPROVED,
    AgentStatus.SOFT_REJECTED,
    AgentStatus.REJECTED,
)
_AT_WORK = (*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT)
_update = msgspec.json.Decoder(dict[str, object])


class LiveAgents:
    """The agents of one run that have a unit now.

    Attributes:
        submissions: what they handed in, for the launch script.
        code: the task's code that runs with them.
    """

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids, clock: WallClock, pages: AgentPages) -> None:
        self._ledger = ledger
        self._ids = ids
        self._context = context
        self._pages = pages
        self._run = context.task_run
        self._handles: dict[AgentId, Agent] = {}
        self._running_assignments: set[AssignmentId] = set()
        self._replayers: dict[AgentId, TaskCodeReplayer] = {}
        self._observations = Observations(ledger, ids)
        self._units = Units(ledger, context.task_run)
        self.submissions = SubmissionCallbacks(context, ledger, ids)
        self._deadlines = Deadlines(clock)
        self._nursery = context.nursery
        self._nursery.start_soon(self._deadlines.run)
        self.code = TaskCode(self._nursery)

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[Agent]:
        return iter(tuple(self._handles.values()))

    def get(self, agent_id: AgentId) -> Agent | None:
        """The handle of an agent that has a unit now."""
        return self._handles.get(agent_id)

    def resume(self) -> None:
        """Follow the agents that the market has at work already; for a run that is taken up again."""
        state = self._ledger.state
        at_work = [streams.agent(self._run, agent) for agent in sorted(state.runs[self._run].live_agents)]
        for stream in at_work:
            history = self._ledger.log.history(stream)
            self._adopt(state.agents[stream], history[0].envelope.at, self._observations.sent_in(history))
        for stream in at_work:
            self._status_changed(state.agents[stream], again=True)

    # Handles --------------------------------------------------------------------------------------------------------

    def handle_of(self, state: AgentState) -> Agent:
        """The handle of an agent, made for the occasion if it has no unit any more."""
        return self._handles.get(state.agent) or Agent(
            state.agent,
            self._units.unit(state.unit),
            state.worker,
            state.token,
            state.status.value,
            partial(self._observe, state.agent),
            partial(self._recall, state.agent),
        )

    def _adopt(self, state: AgentState, started_at: int, sent: Iterable[bytes] = ()) -> None:
        self._handles[state.agent] = self.handle_of(state)
        self._pages.add(state.token, sent)
        seconds = self._context.settings.assignment_duration_in_seconds
        late = AgentTimedOut(reason=f"not done within {seconds} s")
        self._deadlines.set_from(started_at, seconds, partial(self._let_go_soon, state.agent, late))

    async def _observe(self, agent_id: AgentId, update: Update) -> None:
        """Record what task code sends to a page; it goes out once it is durable."""
        replayer = self._replayers.get(agent_id)
        if replayer is not None and await replayer.on_observe(agent_id, update):
            return
        stream = streams.agent(self._run, agent_id)
        state = self._ledger.state.agents[stream]
        await self._observations.record(stream, state.observed, state.worker, update, AgentObserved)

    def _recall(self, agent_id: AgentId) -> list[PastUpdate]:
        """What was said between an agent's page and the task's code, from the log."""
        said: list[PastUpdate] = []
        for _, envelope in self._ledger.log.history(streams.agent(self._run, agent_id)):
            event = envelope.event
            if isinstance(event, AgentUpdateReceived | AgentObserved):
                body = self._ledger.log.payload(event.update)
                if body is not None:
                    by_page = isinstance(event, AgentUpdateReceived)
                    said.append(PastUpdate(by_page, _update.decode(body), envelope.at / 1_000_000))
        return said

    # Following ------------------------------------------------------------------------------------------------------

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Bring handles, pages and task code to what has become durable. For the run's subscription."""
        state = self._ledger.state
        touched: dict[str, None] = {}
        for recorded in events:
            event, stream = recorded.envelope.event, recorded.envelope.stream
            if type(event) in AGENT.events:
                touched[stream] = None
            if isinstance(event, AgentAccepted):
                self._adopt(state.agents[stream], recorded.envelope.at)
            elif isinstance(event, AgentUpdateReceived):
                self._deliver(state.agents[stream], event.update)
            elif isinstance(event, AgentObserved):
                self._send(state.agents[stream], event.update)
        for stream in touched:
            self._status_changed(state.agents[stream])
        self.submissions.on_committed(events)

    def _deliver(self, state: AgentState, update: PayloadRef) -> None:
        handle, body = self._handles.get(state.agent), self._ledger.log.payload(update)
        if handle is None or body is None:
            return
        replayer = self._replayers.get(state.agent)
        if replayer is None or replayer.caught_up:
            handle.deliver(_update.decode(body))
        else:
            replayer.buffer(state.agent, _update.decode(body))

    def _send(self, state: AgentState, update: PayloadRef) -> None:
        body = self._ledger.log.payload(update)
        if body is not None:
            self._pages.send_update(state.token, body)

    def _status_changed(self, state: AgentState, *, again: bool = False) -> None:
        handle = self._handles.get(state.agent)
        if handle is None or handle.is_told(state.status.value):
            return
        self._pages.send_status(state.token, state.status.value)
        handle.notice(state.status.value)
        if state.status is AgentStatus.IN_TASK:
            self._start(handle, again=again)
        elif state.status not in _AT_WORK:
            del self._handles[state.agent]
            self._pages.drop(state.token)

    # Task code ------------------------------------------------------------------------------------------------------

    def _start(self, agent: Agent, *, again: bool) -> None:
        """Start the code for an agent, or for its whole assignment once all are in.

        Args:
            agent: the agent that has just begun.
            again: an earlier process had started it already.
        """
        runner = self._context.task_runner
        if not runner.is_concurrent or agent.unit.unit_index < 0:
            # What evaluates a worker is done alone.
            code, cleanup = partial(runner.run_unit, agent.unit, agent), partial(runner.cleanup_unit, agent.unit)
            self._start_code(code, cleanup, [agent], again=again)
            return
        assignment = agent.unit.assignment
        states = list(self._ledger.state.agents_of_assignment(self._run, assignment.assignment_id))
        begun = all(state.status in _BEGUN for state in states)
        if begun and assignment.assignment_id not in self._running_assignments:
            self._running_assignments.add(assignment.assignment_id)
            agents = [self.handle_of(state) for state in states]
            code = partial(runner.run_assignment, assignment, agents)
            self._start_code(code, partial(runner.cleanup_assignment, assignment), agents, again=again)

    def _start_code(self, code: Code, cleanup: Code, agents: Sequence[Agent], *, again: bool) -> None:
        if again:
            histories = [
                (agent.agent_id, self._ledger.log.history(streams.agent(self._run, agent.agent_id))) for agent in agents
            ]
            by_id: dict[int, Agent] = {agent.agent_id: agent for agent in agents}
            lines = recorded_lines(histories, self._ledger.log.payload)
            submitted = [agent for agent in agents if agent.has_submitted]
            for agent in submitted:
                # That it handed in is for the code to learn when it is where it was.
                agent.notice(AgentStatus.IN_TASK.value)
            replayer = TaskCodeReplayer(
                lines,
                deliver=lambda agent_id, update: by_id[agent_id].deliver(update),
                on_over=lambda: _tell_all(submitted, AgentStatus.COMPLETED),
            )
            self._replayers.update((agent.agent_id, replayer) for agent in agents)
        self.code.start_soon(self._run_code, code, cleanup, agents)

    async def _run_code(self, code: Code, cleanup: Code, agents: Sequence[Agent]) -> None:
        """Run a piece of task code to its end, and then give its agents the time to press the submit button."""
        patience = self._context.settings.submission_timeout
        try:
            await call(code)
            for agent in agents:
                if not await agent.await_submit(patience):
                    await self.end_agent(agent.agent_id, AgentTimedOut(reason=f"nothing handed in within {patience} s"))
        except AgentLeftError as left:
            logger.info("an agent left", reason=str(left))
            await clean_up(cleanup)
        except (UserCodeError, TaskCodeDivergedError):
            logger.exception("the task's code failed", agents=[agent.agent_id for agent in agents])
            for agent in agents:
                await self.end_agent(agent.agent_id, AgentExpired(reason="the task's code failed"))
            await clean_up(cleanup)
        finally:
            for agent in agents:
                self._running_assignments.discard(agent.unit.assignment.assignment_id)
                self._replayers.pop(agent.agent_id, None)

    # Leaving --------------------------------------------------------------------------------------------------------

    async def end_agent(self, agent_id: AgentId, leaving: DepartureEvent) -> None:
        """Let an agent go without a submission; does nothing if it is done already."""
        concurrent = self._context.task_runner.is_concurrent

        def decide(state: DecisionState) -> list[NewEvent]:
            agent = state.agents[streams.agent(self._run, agent_id)]
            if agent.status not in _AT_WORK:
                return []
            return decide_leave(state, self._run, agent_id, leaving, concurrent=concurrent)

        try:
            await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))
        except CommandRefusedError as error:
            logger.warning("an agent could not be let go", agent=agent_id, error=str(error))

    def _let_go_soon(self, agent_id: AgentId, leaving: DepartureEvent) -> None:
        if agent_id in self._handles:
            self._nursery.start_soon(self.end_agent, agent_id, leaving)

    async def end_waiting(self, reason: str) -> None:
        """Let go who waits for partners, as nobody is given work any more; returns when that is durable."""
        await self._let_go_from(reason, AgentStatus.WAITING)

    async def end_all(self, reason: str) -> None:
        """Take their units from all agents; returns when that is durable."""
        await self._let_go_from(reason, *_AT_WORK)

    async def _let_go_from(self, reason: str, *statuses: AgentStatus) -> None:
        state = self._ledger.state
        # The state also has those of whom nobody here was told any more.
        agents = sorted(state.runs[self._run].live_agents)
        async with trio.open_nursery() as nursery:
            for agent_id in agents:
                if state.agents[streams.agent(self._run, agent_id)].status in statuses:
                    nursery.start_soon(self.end_agent, agent_id, AgentExpired(reason=reason))


def _tell_all(agents: Sequence[Agent], status: AgentStatus) -> None:
    for agent in agents:
        agent.notice(status.value)
