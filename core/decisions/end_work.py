"""How work ends, handed in or not, and how the run ends that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from ...events import streams
from ...events.agent import (
    AgentDisconnected,
    AgentExpired,
    AgentPartnerLeft,
    AgentReturned,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentTimedOut,
)
from ...events.base import FileRef, PayloadRef
from ...events.engagement import LastWorkEnded, WorkEnded
from ...events.ids import AgentId, TaskRunId
from ...events.task_run import TaskRunCompleted, TaskRunStopping
from ...events.unit import UnitCompleted, UnitExpired, UnitReleased
from ..errors import CommandRefusedError
from ..lifecycles.agent import AGENT, AgentState, AgentStatus
from ..lifecycles.task_run import GIVING_RUN_STATUSES, TaskRunStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState

DepartureEvent = AgentDisconnected | AgentTimedOut | AgentReturned | AgentExpired


def decide_submit(
    state: DecisionState, run: TaskRunId, agent_id: AgentId, submission: PayloadRef, files: tuple[FileRef, ...]
) -> list[NewEvent]:
    """Take a submission: the first one completes the unit, a later one is only kept.

    Raises:
        IllegalStepError: the agent has not begun.
    """
    stream = streams.agent(run, agent_id)
    agent = state.agents[stream]
    if AGENT.allows(agent.status, AgentSubmittedAgain):
        return [NewEvent(stream, AgentSubmittedAgain(submission=submission, files=files))]
    submitted = AgentSubmitted(submission=submission, files=files)
    outcome = AGENT.after(agent.status, submitted, stream)
    return [
        NewEvent(stream, submitted),
        NewEvent(streams.unit(run, agent.unit), UnitCompleted(agent=agent_id)),
        _work_ended(state, run, agent, outcome),
    ]


def decide_leave(
    state: DecisionState, run: TaskRunId, agent_id: AgentId, leaving: DepartureEvent, *, concurrent: bool
) -> list[NewEvent]:
    """Let an agent go without a submission.

    Its unit is offered again, unless the run gives out no more work, the unit was made for this worker, or it belongs
    to a group that has begun: then it expires, and the partners learn that they are alone.

    Raises:
        IllegalStepError: the agent is not at work.
    """
    stream = streams.agent(run, agent_id)
    agent = state.agents[stream]
    outcome = AGENT.after(agent.status, leaving, stream)
    unit_stream = streams.unit(run, agent.unit)
    begun = concurrent and agent.status is not AgentStatus.WAITING
    stopping = state.task_runs[streams.task_run(run)].status not in GIVING_RUN_STATUSES
    unit_event = (
        UnitExpired(reason=leaving.reason)
        if begun or stopping or state.units[unit_stream].index < 0 or isinstance(leaving, AgentExpired)
        else UnitReleased(agent=agent_id, reason=leaving.reason)
    )
    partners = [
        NewEvent(streams.agent(run, partner.agent), AgentPartnerLeft(partner=agent_id))
        for partner in state.agents_of_assignment(run, agent.assignment)
        if begun and partner.agent != agent_id and AGENT.allows(partner.status, AgentPartnerLeft)
    ]
    return [
        NewEvent(stream, leaving),
        NewEvent(unit_stream, unit_event),
        _work_ended(state, run, agent, outcome),
        *partners,
    ]


def _work_ended(state: DecisionState, run: TaskRunId, agent: AgentState, outcome: AgentStatus) -> NewEvent:
    stream = streams.engagement(run, agent.worker)
    last = state.engagements[stream].live == {agent.agent}
    ended = LastWorkEnded if last else WorkEnded
    return NewEvent(stream, ended(agent=agent.agent, outcome=outcome.value))


def decide_stop(state: DecisionState, run: TaskRunId, reason: str) -> list[NewEvent]:
    """Give out no more work; nothing if the run is stopping or has ended already."""
    stream = streams.task_run(run)
    live = state.task_runs[stream].status is TaskRunStatus.LIVE
    return [NewEvent(stream, TaskRunStopping(reason=reason))] if live else []


def decide_complete(state: DecisionState, run: TaskRunId) -> Sequence[NewEvent]:
    """End a stopping run.

    Raises:
        CommandRefusedError: something is still open; the sentence says what.
    """
    index = state.runs[run]
    if not index.is_idle:
        raise CommandRefusedError(
            f"run {run} is not done: {len(index.open_units)} units are open, "
            f"{len(index.live_agents)} agents and {len(index.live_onboardings)} onboardings are at work"
        )
    return [NewEvent(streams.task_run(run), TaskRunCompleted())]
