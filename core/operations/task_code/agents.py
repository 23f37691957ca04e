"""Follows the agents of a run that have a unit, and runs the task's code for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import trio

from ....events import streams
from ....events.agent import AgentExpired, AgentReturned, AgentTimedOut
from ....events.ids import AgentId, AssignmentId
from ...abstractions.agent import Agent
from ...abstractions.callbacks import CHECK_SUBMISSION, CLEANUP_ASSIGNMENT, CLEANUP_UNIT, RUN_ASSIGNMENT, RUN_UNIT
from ...commands.agent import AgentDeparture, EndAgent, ReleaseWork
from ...errors import CommandRefusedError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.agent import AGENT, AT_WORK_STATUSES, AgentRecord, AgentStatus
from ...lifecycles.worker import WorkerStatus
from ...ports import Ids, WallClock
from ..agent_pages import AgentPages
from ..logger_core import get_logger
from ..run_context import RunContext
from ..services.model_calls import ModelCalls
from .participants import CODE_FAILED, LiveParticipants, RunningCode
from .plain_agents import agent_for
from .units import Units
from .user_code import AffectedIds, UserCode

logger = get_logger(__name__)

_STARTED = (
    AgentStatus.IN_TASK,
    AgentStatus.COMPLETED,
    AgentStatus.APPROVED,
    AgentStatus.SOFT_REJECTED,
    AgentStatus.REJECTED,
)


class LiveAgents(LiveParticipants[AgentRecord, Agent, AgentDeparture]):
    """The agents of one run that have a unit now."""

    EVENTS = AGENT.events

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        pages: AgentPages,
        user_code: UserCode,
    ) -> None:
        super().__init__(context, ledger, ids, clock, pages, user_code)
        self._running_assignments: set[AssignmentId] = set()
        self._units = Units(ledger, context, ids)
        self._models = ModelCalls(ledger, ids, context.task_run)

    def get(self, agent_id: AgentId) -> Agent | None:
        """Return the handle of an agent that has a unit now."""
        return self._handles.get(agent_id)

    # Handles --------------------------------------------------------------------------------------------------------

    def _stream_of(self, agent_id: int) -> str:
        return streams.agent(self._run, AgentId(agent_id))

    def _record_of(self, stream: str) -> AgentRecord:
        return self._ledger.state.agents[stream]

    def _live_ids(self) -> Iterable[AgentId]:
        return self._ledger.state.runs[self._run].live_agents

    def _is_live(self, record: AgentRecord) -> bool:
        return record.status in AT_WORK_STATUSES

    def _make_handle(self, record: AgentRecord) -> Agent:
        return Agent(
            record.agent,
            self._units.unit(record.unit),
            record.worker,
            record.token,
            record.status.value,
            partial(self._observe, record.agent),
            partial(self._units.past_updates, record.agent),
            self._units,
            partial(self._models.ask, record),
            partial(self._user_code.ask, affected=self.affected(record)),
        )

    # Task code ------------------------------------------------------------------------------------------------------

    def _advance(self, handle: Agent, record: AgentRecord, *, again: bool) -> None:
        """Start the code for an agent that has started, or for its assignment once all its agents have."""
        if record.status is not AgentStatus.IN_TASK:
            return
        runner, unit = self._context.task_runner, handle.unit
        if not runner.is_concurrent or unit.unit_index < 0:
            # A unit that evaluates its worker is done alone.
            agents = [handle]
            run = partial(runner.run_unit, unit, agent_for(runner.run_unit, handle))
            cleanup = partial(runner.cleanup_unit, unit)
            code = RunningCode(RUN_UNIT, run, CLEANUP_UNIT, cleanup, self.affected(record))
        else:
            assignment = unit.assignment
            records = list(self._ledger.state.agents_of_assignment(self._run, assignment.assignment_id))
            started = all(one.status in _STARTED for one in records)
            if not started or assignment.assignment_id in self._running_assignments:
                return
            self._running_assignments.add(assignment.assignment_id)
            agents = [self.handle_of(one) for one in records]
            given = [agent_for(runner.run_assignment, agent) for agent in agents]
            together = partial(runner.run_assignment, assignment, given)
            cleanup = partial(runner.cleanup_assignment, assignment)
            code = RunningCode(RUN_ASSIGNMENT, together, CLEANUP_ASSIGNMENT, cleanup, self.affected(*records))
        if again:
            self._replay_code(agents)
        self._start_code(code, agents)

    def affected(self, *records: AgentRecord) -> AffectedIds:
        """Return the ids that a failure of code about agents names: one agent, or those of an assignment."""
        agents = tuple(record.agent for record in records)
        first, *others = records
        if others:
            return AffectedIds(assignment=first.assignment, agents=agents)
        return AffectedIds(worker=first.worker, unit=first.unit, assignment=first.assignment, agents=agents)

    def check_submission(self, agent: AgentRecord, answers: object) -> tuple[str, ...]:
        """Return what the blueprint finds wrong with submitted work; nothing if its code fails, which is recorded."""
        code = partial(self._context.blueprint.check_submission, answers)
        try:
            return self._user_code.ask_nowait(CHECK_SUBMISSION, code, self.affected(agent))
        except UserCodeError:
            return ()

    def _replay_code(self, agents: Sequence[Agent]) -> None:
        submitted = [agent for agent in agents if agent.has_submitted]
        for agent in submitted:
            # The code learns of the submission when it has caught up.
            agent.notice(AgentStatus.IN_TASK.value)
        self._replay(agents, partial(_notice_all, submitted, AgentStatus.COMPLETED))

    async def _after_code(self, agents: Sequence[Agent]) -> None:
        """Give the agents time to submit, and end those who do not.

        Raises:
            AgentLeftError: one of them left.
        """
        seconds = self._context.settings.submission_timeout
        for agent in agents:
            if not await agent.await_submit(seconds):
                await self.end_agent(agent.agent_id, AgentTimedOut(reason=f"nothing submitted within {seconds} s"))

    # Ending ---------------------------------------------------------------------------------------------------------

    def _is_at_work(self, record: AgentRecord) -> bool:
        return record.status in AT_WORK_STATUSES

    async def release(self, agents: Sequence[int]) -> None:
        """Put the units of agents back on offer because the task's code failed; does nothing for those that ended."""
        await self._release(agents, CODE_FAILED)

    async def _release(self, agents: Sequence[int], reason: str) -> None:
        concurrent = self._context.task_runner.is_concurrent
        self._running_assignments.difference_update(
            self._record_of(self._stream_of(agent)).assignment for agent in agents
        )
        await self._issuer.issue(
            ReleaseWork(
                task_run=self._run,
                agents=tuple(AgentId(agent) for agent in agents),
                reason=reason,
                concurrent=concurrent,
            )
        )

    def _timed_out(self, reason: str) -> AgentDeparture:
        return AgentTimedOut(reason=reason)

    def _on_ended(self, record: AgentRecord) -> None:
        pass

    async def end_agent(self, agent_id: int, departure: AgentDeparture) -> None:
        """End an agent without a submission; does nothing if it has ended."""
        concurrent, known = self._context.task_runner.is_concurrent, AgentId(agent_id)
        command = EndAgent(task_run=self._run, agent=known, departure=departure, concurrent=concurrent)
        try:
            await self._issuer.issue(command)
        except CommandRefusedError as error:
            logger.warning("an agent could not be ended", agent=agent_id, error=str(error))

    async def end_waiting(self, reason: str) -> None:
        """End the agents that wait for partners, when no more work is given out; returns once that is durable."""
        await self._end_those(AgentExpired(reason=reason), AgentStatus.WAITING)

    async def end_all(self, reason: str) -> None:
        """Take their units from all agents; returns once that is durable."""
        await self._end_those(AgentExpired(reason=reason), *AT_WORK_STATUSES)

    async def return_all(self, reason: str) -> None:
        """Take their units from all agents and put them back on offer; returns once that is durable.

        Those who work together end together: nobody is left by a partner.
        """
        state = self._ledger.state
        groups: dict[AssignmentId, list[AgentId]] = {}
        for agent_id in sorted(state.runs[self._run].live_agents):
            groups.setdefault(state.agents[self._stream_of(agent_id)].assignment, []).append(agent_id)
        async with trio.open_nursery() as nursery:
            for agents in groups.values():
                if self._context.task_runner.is_concurrent and len(agents) > 1:
                    nursery.start_soon(self._release, agents, reason)
                else:
                    for agent_id in agents:
                        nursery.start_soon(self.end_agent, agent_id, AgentReturned(reason=reason))

    async def end_blocked(self, reason: str) -> None:
        """End the agents of blocked workers; their units are offered again if the run still gives out work."""
        state = self._ledger.state
        for agent_id in sorted(state.runs[self._run].live_agents):
            worker = state.agents[self._stream_of(agent_id)].worker
            if state.workers[streams.worker(worker)].status is WorkerStatus.BLOCKED:
                await self.end_agent(agent_id, AgentReturned(reason=f"the worker is blocked, and {reason}"))

    async def _end_those(self, leaving: AgentDeparture, *statuses: AgentStatus) -> None:
        state = self._ledger.state
        # Not from the handles: the state also has agents whose events are not durable yet.
        agents = sorted(state.runs[self._run].live_agents)
        async with trio.open_nursery() as nursery:
            for agent_id in agents:
                if state.agents[self._stream_of(agent_id)].status in statuses:
                    nursery.start_soon(self.end_agent, agent_id, leaving)


def _notice_all(agents: Sequence[Agent], status: AgentStatus) -> None:
    for agent in agents:
        agent.notice(status.value)
