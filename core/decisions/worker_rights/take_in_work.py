"""Decides on work that a worker completed at the provider's site and that no page has submitted."""

from __future__ import annotations

from ....events import streams
from ....events.agent import AgentAccepted, AgentStarted, AgentSubmitted
from ....events.engagement import AllWorkEnded, WorkEnded, WorkStarted
from ....events.unit import UnitAssigned, UnitCompleted
from ...commands.admission import RecordPlace, TakeInWork
from ...commands.agent import SubmitUnit
from ...errors import CommandRefusedError
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...lifecycles.onboarding import OnboardingStatus
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..assign_work import selectable_units
from ..end_work import decide_submit_unit
from ..record_facts import decide_record_place
from .consent import check_not_withdrawn

#: Shown to whoever reviews the work.
WITHOUT_ANSWERS = "it was taken in from the provider's site, which has no answers"


def decide_take_in_work(state: DecisionState, command: TakeInWork) -> list[NewEvent]:
    """Complete a unit with what the site shows; work of an agent that has ended is recorded as late.

    Returns:
        The events; none if the work was submitted meanwhile.

    Raises:
        UnknownEntityError: the worker is not registered.
        IllegalStepError: the worker's agent waits for partners.
        CommandRefusedError: the worker did not pass the onboarding, has withdrawn the consent, or no unit is on offer.
    """
    run, worker = command.task_run, state.workers[streams.worker(command.applicant.worker)].worker
    found = state.agent_by_registration(run, command.applicant.registration)
    if isinstance(found, AgentRecord):
        submit = SubmitUnit(
            task_run=run,
            agent=found.agent,
            submission=command.submission,
            problems=(WITHOUT_ANSWERS,),
            from_site=True,
        )
        return decide_submit_unit(state, submit) if found.submission is None else []
    if found is not None and found.status is not OnboardingStatus.APPROVED:
        raise CommandRefusedError(f"worker-{worker} has not passed the onboarding: decide about the work on the site")
    check_not_withdrawn(state, run, worker)
    engagement = state.engagements.get(streams.engagement(run, worker))
    unit = next(selectable_units(state.runs[run], worker, None), None)
    if unit is None:
        raise CommandRefusedError(f"no unit is on offer for worker-{worker}: `mephisto-es extend {run}` adds some")
    assignment, agent = state.runs[run].offered[unit], command.agent
    agent_stream, engagement_stream = streams.agent(run, agent), streams.engagement(run, worker)
    accepted = AgentAccepted(
        agent=agent,
        unit=unit,
        assignment=assignment,
        worker=worker,
        token=command.applicant.token,
        registration=command.applicant.registration,
    )
    submitted = AgentSubmitted(submission=command.submission, problems=(WITHOUT_ANSWERS,), from_site=True)
    ended = WorkEnded if engagement is not None and engagement.live else AllWorkEnded
    return [
        *_place_events(state, command),
        NewEvent(streams.unit(run, unit), UnitAssigned(agent=agent, worker=worker)),
        NewEvent(agent_stream, accepted),
        NewEvent(engagement_stream, WorkStarted(agent=agent, unit=unit, assignment=assignment)),
        NewEvent(agent_stream, AgentStarted()),
        NewEvent(agent_stream, submitted),
        NewEvent(streams.unit(run, unit), UnitCompleted(agent=agent)),
        NewEvent(engagement_stream, ended(agent=agent, outcome=AgentStatus.COMPLETED.value)),
    ]


def _place_events(state: DecisionState, command: TakeInWork) -> list[NewEvent]:
    """Return what records the place of the work at the provider; nothing if it is recorded."""
    if command.handle is None:
        return []
    place = RecordPlace(
        task_run=command.task_run,
        worker=command.applicant.worker,
        registration=command.applicant.registration,
        handle=command.handle,
        study=command.study,
    )
    return decide_record_place(state, place)
