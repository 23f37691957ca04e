"""Decides how work ends: with a submission, or without one."""

from __future__ import annotations

from collections.abc import Collection

from ...events import streams
from ...events.agent import (
    AgentCompletedAlone,
    AgentExpired,
    AgentPartnerLeft,
    AgentReturned,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
)
from ...events.engagement import AllWorkEnded, WorkEnded
from ...events.ids import AgentId, AssignmentId, TaskRunId
from ...events.unit import UnitCompleted, UnitExpired, UnitReleased
from ..commands.agent import AgentDeparture, EndAgent, EndOnboarding, ReleaseWork, ReturnUnit, SubmitUnit
from ..lifecycles.agent import AGENT, AT_WORK_STATUSES, AgentRecord, AgentStatus
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ..lifecycles.task_run import GIVING_RUN_STATUSES
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from .worker_rights.consent import check_kept, check_not_withdrawn


def decide_submit_unit(state: DecisionState, command: SubmitUnit) -> list[NewEvent]:
    """Complete the unit with the first submission. One that comes later, or after the work ended, is only recorded.

    Raises:
        UnknownEntityError: there is no such agent.
        IllegalStepError: the agent has not started.
        CommandRefusedError: the worker was erased, or has withdrawn the consent.
    """
    run = command.task_run
    stream = streams.agent(run, command.agent)
    agent = state.agents[stream]
    # What a site knows of the work has none of the worker's words.
    (check_not_withdrawn if command.from_site else check_kept)(state, run, agent.worker)
    if AGENT.allows(agent.status, AgentSubmittedAgain):
        again = AgentSubmittedAgain(
            submission=command.submission, files=command.files, file_details=command.file_details
        )
        return [NewEvent(stream, again)]
    if AGENT.allows(agent.status, AgentSubmittedLate):
        late = AgentSubmittedLate(
            submission=command.submission,
            files=command.files,
            file_details=command.file_details,
            problems=command.problems,
            from_site=command.from_site,
        )
        return [NewEvent(stream, late)]
    submitted = AgentSubmitted(
        submission=command.submission,
        files=command.files,
        file_details=command.file_details,
        problems=command.problems,
        from_site=command.from_site,
    )
    return _completion_events(state, run, agent, submitted)


def _completion_events(
    state: DecisionState, run: TaskRunId, agent: AgentRecord, completion: AgentSubmitted | AgentCompletedAlone
) -> list[NewEvent]:
    """Return what completes an agent's unit.

    If the agent's partner had left, the unit does not count against the worker's maximum: the worker may have another.

    Raises:
        IllegalStepError: the agent cannot complete its unit now.
    """
    stream = streams.agent(run, agent.agent)
    outcome = AGENT.after(agent.status, completion, stream)
    return [
        NewEvent(stream, completion),
        NewEvent(streams.unit(run, agent.unit), UnitCompleted(agent=agent.agent)),
        _work_ended(state, run, agent, agent.status if agent.was_left else outcome),
    ]


def decide_return_unit(state: DecisionState, command: ReturnUnit) -> list[NewEvent]:
    """End an agent whose worker returns the unit.

    Raises:
        UnknownEntityError: there is no such agent.
        IllegalStepError: the agent is not at work.
    """
    agent = state.agents[streams.agent(command.task_run, command.agent)]
    returned = AgentReturned(reason="the worker returned the unit")
    return _departure_events(state, command.task_run, agent, returned, concurrent=command.concurrent)


def decide_end_agent(state: DecisionState, command: EndAgent) -> list[NewEvent]:
    """End an agent without a submission; nothing if it is not at work.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    agent = state.agents[streams.agent(command.task_run, command.agent)]
    if agent.status not in AT_WORK_STATUSES:
        return []
    return _departure_events(state, command.task_run, agent, command.departure, concurrent=command.concurrent)


def decide_release_work(state: DecisionState, command: ReleaseWork) -> list[NewEvent]:
    """End agents whose task code failed, and put their units back on offer; nothing for those that are not at work.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    run, departure = command.task_run, AgentExpired(reason=command.reason, may_retry=True)
    agents = (state.agents[streams.agent(run, agent)] for agent in command.agents)
    leaving = {agent.agent: agent for agent in agents if agent.status in AT_WORK_STATUSES}
    return [
        event
        for agent in leaving.values()
        for event in _departure_events(state, run, agent, departure, concurrent=command.concurrent, together=leaving)
    ]


def decide_end_onboarding(state: DecisionState, command: EndOnboarding) -> list[NewEvent]:
    """End an onboarding that is not decided; nothing if it is.

    Raises:
        UnknownEntityError: there is no such onboarding agent.
    """
    stream = streams.onboarding_agent(command.task_run, command.agent)
    live = state.onboardings[stream].status in LIVE_ONBOARDING_STATUSES
    return [NewEvent(stream, command.departure)] if live else []


def _departure_events(
    state: DecisionState,
    run: TaskRunId,
    agent: AgentRecord,
    departure: AgentDeparture,
    *,
    concurrent: bool,
    together: Collection[AgentId] = (),
) -> list[NewEvent]:
    """Return what ends an agent, and what becomes of its unit and its partners.

    The unit of an agent whose partner has left is completed, because it could not be done any better.
    The unit is offered again, with three exceptions: the run gives out no more work, the unit was created for this
    worker, or it belongs to a group that has started. Then it expires, and the partners are notified. If the task's
    code failed for a whole group, of which nobody has submitted or left, its units are offered again.

    Args:
        state: the present state.
        run: the run.
        agent: the agent.
        departure: the event by which it ends.
        concurrent: True if the units of an assignment are worked on together.
        together: the agents that end with it.

    Raises:
        IllegalStepError: the agent is not at work.
    """
    stream = streams.agent(run, agent.agent)
    outcome = AGENT.after(agent.status, departure, stream)
    if agent.status is AgentStatus.PARTNER_DISCONNECT:
        return _completion_events(state, run, agent, AgentCompletedAlone(reason=departure.reason))
    unit_stream = streams.unit(run, agent.unit)
    others = [
        one for one in state.agents_of_assignment(run, agent.assignment) if one.agent not in {*together, agent.agent}
    ]
    started = concurrent and agent.status is not AgentStatus.WAITING
    may_retry = isinstance(departure, AgentExpired) and departure.may_retry
    breaks_group = started and not (may_retry and not others)
    stopping = state.task_runs[streams.task_run(run)].status not in GIVING_RUN_STATUSES
    is_taken_away = isinstance(departure, AgentExpired) and not may_retry
    unit_event = (
        UnitExpired(reason=departure.reason)
        if breaks_group or stopping or state.units[unit_stream].index < 0 or is_taken_away
        else UnitReleased(agent=agent.agent, reason=departure.reason)
    )
    partners = [
        NewEvent(streams.agent(run, partner.agent), AgentPartnerLeft(partner=agent.agent))
        for partner in others
        if started and AGENT.allows(partner.status, AgentPartnerLeft)
    ]
    return [
        NewEvent(stream, departure),
        NewEvent(unit_stream, unit_event),
        _work_ended(state, run, agent, outcome, agent.assignment if may_retry else None),
        *partners,
    ]


def _work_ended(
    state: DecisionState,
    run: TaskRunId,
    agent: AgentRecord,
    outcome: AgentStatus,
    may_retry: AssignmentId | None = None,
) -> NewEvent:
    stream = streams.engagement(run, agent.worker)
    last = state.engagements[stream].live == {agent.agent}
    ended = AllWorkEnded if last else WorkEnded
    return NewEvent(stream, ended(agent=agent.agent, outcome=outcome.value, may_retry=may_retry))
