"""The agents at work in a run: their handles, their deadlines, and the tasks that run the task's code for them.

Everything here follows durable events. After a batch the handles are brought to what the market says, whatever the
events in between were; so taking up a run from the log is the same as following it from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
import trio

from ...events import streams
from ...events.agent import (
    AgentAccepted,
    AgentExpired,
    AgentObserved,
    AgentTimedOut,
    AgentUpdateReceived,
)
from ...events.assignment import AssignmentCreated
from ...events.base import PayloadRef
from ...events.envelope import Recorded
from ...events.ids import AgentId, AssignmentId, UnitId
from ...events.unit import UnitCompleted
from ..abstractions.agent import Agent, Assignment, InitializationData, Unit, Update
from ..errors import AgentLeft, CommandRefused
from ..ledger import Command, Ledger
from ..lifecycles.agent import AGENT, LIVE_AGENT_STATUSES, AgentState, AgentStatus
from ..lifecycles.decisions import Leaving, decide_leave
from ..lifecycles.market import Market
from ..payloads import pseudonym, seal
from ..ports import Ids, NewEvent, WallClock
from .callbacks import call
from .datatypes import LiveTaskRun
from .deadlines import Deadlines
from .logger_core import get_logger

logger = get_logger(__name__)

_AT_WORK = (*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT)
_init_data = msgspec.json.Decoder(InitializationData)
_update = msgspec.json.Decoder(dict[str, object])


class LiveAgents:
    """The agents of one run that have a unit now."""

    def __init__(self, ledger: Ledger, ids: Ids, clock: WallClock, live_run: LiveTaskRun) -> None:
        self._ledger = ledger
        self._ids = ids
        self._live_run = live_run
        self._run = live_run.task_run
        self._handles: dict[AgentId, Agent] = {}
        self._running_assignments: set[AssignmentId] = set()
        self._deadlines = Deadlines(clock)
        self._nursery = live_run.nursery
        self._nursery.start_soon(self._deadlines.run)

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterable[Agent]:
        return iter(tuple(self._handles.values()))

    def get(self, agent_id: AgentId) -> Agent | None:
        """The handle of an agent that has a unit now."""
        return self._handles.get(agent_id)

    def take_up(self) -> None:
        """Follow the agents that the market has at work already; for a run that is taken up again."""
        market = self._ledger.market
        for agent_id in sorted(market.runs[self._run].live_agents):
            state = market.agents[streams.agent(self._run, agent_id)]
            self._adopt(state, market.started_at[streams.agent(self._run, agent_id)])
            self._status_changed(state)

    # Handles --------------------------------------------------------------------------------------------------------

    def handle_of(self, state: AgentState) -> Agent:
        """The handle of an agent, made for the occasion if it has no unit any more."""
        return self._handles.get(state.agent) or Agent(
            state.agent,
            self.unit(state.unit),
            state.worker,
            state.token,
            state.status.value,
            partial(self._observe, state.agent),
        )

    def unit(self, unit_id: UnitId) -> Unit:
        """A unit of the run with its data."""
        state = self._ledger.market.units[streams.unit(self._run, unit_id)]
        return Unit(unit_id, state.index, self._assignment(state.assignment))

    def _assignment(self, assignment_id: AssignmentId) -> Assignment:
        fact = self._ledger.market.records[streams.assignment(self._run, assignment_id)].fact
        if not isinstance(fact, AssignmentCreated):
            raise TypeError(f"assignment {assignment_id} is recorded as {type(fact).__name__}")
        body = self._ledger.log.payload(fact.data)
        return Assignment(assignment_id, _init_data.decode(body) if body else InitializationData(shared={}))

    def _adopt(self, state: AgentState, started_at: int) -> None:
        handle = self._handles[state.agent] = self.handle_of(state)
        handle.observed = state.observed
        seconds = self._live_run.settings.assignment_duration_in_seconds
        late = AgentTimedOut(reason=f"not done within {seconds} s")
        self._deadlines.set(started_at + seconds * 1_000_000, partial(self._let_go_soon, state.agent, late))

    async def _observe(self, agent_id: AgentId, update: Update) -> None:
        """Record what task code sends to a page; it goes out once it is durable."""
        stream = streams.agent(self._run, agent_id)
        handle = self._handles[agent_id]
        handle.observed = number = handle.observed + 1
        key = self._ledger.log.pseudonym_key
        update_id = str(update.get("update_id") or pseudonym(key, "update", f"{stream}/{number}"))
        body = msgspec.json.encode({**update, "update_id": update_id})
        payload = seal(body, self._ids.salt(), handle.worker_id)
        event = AgentObserved(number=number, update_id=update_id, update=payload.ref)
        command = Command(self._ids.command_id(), "operator", lambda _: [NewEvent(stream, event)], payloads=(payload,))
        await self._ledger.execute(command)

    # Following ------------------------------------------------------------------------------------------------------

    def on_committed(self, events: Sequence[Recorded]) -> None:
        """Bring handles, pages and task code to what has become durable. For the run's subscription."""
        market = self._ledger.market
        touched: dict[str, None] = {}
        for recorded in events:
            event, stream = recorded.envelope.event, recorded.envelope.stream
            if type(event) in AGENT.events:
                touched[stream] = None
            if isinstance(event, AgentAccepted):
                self._adopt(market.agents[stream], recorded.envelope.at)
            elif isinstance(event, AgentUpdateReceived):
                self._deliver(market.agents[stream], event.update)
            elif isinstance(event, AgentObserved):
                self._send(market.agents[stream], event.update)
            elif isinstance(event, UnitCompleted):
                self._nursery.start_soon(self._tell_submitted, self.unit(market.units[stream].unit))
        for stream in touched:
            self._status_changed(market.agents[stream])

    def _deliver(self, state: AgentState, update: PayloadRef) -> None:
        handle, body = self._handles.get(state.agent), self._ledger.log.payload(update)
        if handle is not None and body is not None:
            handle.deliver(_update.decode(body))

    def _send(self, state: AgentState, update: PayloadRef) -> None:
        body = self._ledger.log.payload(update)
        if body is not None:
            self._live_run.client_io.send_live_update(state.token, body)

    def _status_changed(self, state: AgentState) -> None:
        handle = self._handles.get(state.agent)
        if handle is None or handle.is_told(state.status.value):
            return
        self._live_run.client_io.send_status_update(state.token, state.status.value)
        handle.notice(state.status.value)
        if state.status is AgentStatus.IN_TASK:
            self._start(handle)
        elif state.status not in _AT_WORK:
            del self._handles[state.agent]

    # Task code ------------------------------------------------------------------------------------------------------

    def _start(self, agent: Agent) -> None:
        runner = self._live_run.task_runner
        if not runner.is_concurrent:
            unit = agent.unit
            cleanup = partial(runner.cleanup_unit, unit)
            self._nursery.start_soon(self._run_code, partial(runner.run_unit, unit, agent), cleanup, [agent])
            return
        assignment = agent.unit.assignment
        states = list(self._ledger.market.agents_of_assignment(self._run, assignment.assignment_id))
        agents = [self._handles[state.agent] for state in states if state.agent in self._handles]
        begun = all(state.status is AgentStatus.IN_TASK for state in states)
        if begun and assignment.assignment_id not in self._running_assignments:
            self._running_assignments.add(assignment.assignment_id)
            cleanup = partial(runner.cleanup_assignment, assignment)
            self._nursery.start_soon(
                self._run_code, partial(runner.run_assignment, assignment, agents), cleanup, agents
            )

    async def _run_code(
        self, code: Callable[[], object], cleanup: Callable[[], object], agents: Sequence[Agent]
    ) -> None:
        """Run a piece of task code to its end, and then give its agents the time to press the submit button."""
        patience = self._live_run.settings.submission_timeout
        try:
            await call(code)
            for agent in agents:
                if not await agent.await_submit(patience):
                    await self.let_go(agent.agent_id, AgentTimedOut(reason=f"nothing handed in within {patience} s"))
        except AgentLeft as left:
            logger.info("an agent left", reason=str(left))
            await call(cleanup)
        except Exception:  # whatever a user's code raises ends its own work, not the run
            logger.exception("the task's code failed", agents=[agent.agent_id for agent in agents])
            for agent in agents:
                await self.let_go(agent.agent_id, AgentExpired(reason="the task's code failed"))
            await call(cleanup)
        finally:
            self._running_assignments -= {agent.unit.assignment.assignment_id for agent in agents}

    async def _tell_submitted(self, unit: Unit) -> None:
        callback = self._live_run.blueprint.shared_state.on_unit_submitted
        if callback is None:
            return
        try:
            await call(callback, unit)
        except Exception:  # whatever a user's code raises ends its own work, not the run
            logger.exception("on_unit_submitted failed", unit=unit.unit_id)

    # Leaving --------------------------------------------------------------------------------------------------------

    async def let_go(self, agent_id: AgentId, leaving: Leaving) -> None:
        """Let an agent go without a submission; does nothing if it is done already."""
        concurrent = self._live_run.task_runner.is_concurrent

        def decide(market: Market) -> list[NewEvent]:
            state = market.agents[streams.agent(self._run, agent_id)]
            if state.status not in _AT_WORK:
                return []
            return decide_leave(market, self._run, agent_id, leaving, concurrent=concurrent)

        try:
            await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))
        except CommandRefused as error:
            logger.warning("an agent could not be let go", agent=agent_id, error=str(error))

    def _let_go_soon(self, agent_id: AgentId, leaving: Leaving) -> None:
        if agent_id in self._handles:
            self._nursery.start_soon(self.let_go, agent_id, leaving)

    async def let_all_go(self, reason: str) -> None:
        """Take their units from all agents; returns when that is durable."""
        async with trio.open_nursery() as nursery:
            for agent_id in tuple(self._handles):
                nursery.start_soon(self.let_go, agent_id, AgentExpired(reason=reason))
