"""Decisions over several entities: from a wish and the present state to the events that carry it out.

Each function is pure. What it returns is appended as a whole or not at all; a wish that makes no sense now is
refused by raising, and a worker who gets no work is refused by an event that says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.agent import (
    AgentAccepted,
    AgentDisconnected,
    AgentExpired,
    AgentPartnerLeft,
    AgentReturned,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentTimedOut,
    AgentWaiting,
)
from ...events.assignment import AssignmentCreated
from ...events.base import FileRef, PayloadRef
from ...events.engagement import (
    CallbackAnswered,
    EngagementBarred,
    EngagementOnboarded,
    LastWorkEnded,
    WorkEnded,
    WorkerArrived,
    WorkerRefused,
    WorkTaken,
)
from ...events.ids import (
    AgentId,
    AssignmentId,
    OnboardingAgentId,
    QualificationId,
    TaskRunId,
    UnitId,
    WorkerId,
)
from ...events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingStarted
from ...events.task_run import TaskRunCompleted, TaskRunStopping
from ...events.unit import UnitAssigned, UnitCompleted, UnitCreated, UnitExpired, UnitLaunched, UnitReleased
from ...events.worker import QualificationChanged, QualificationGranted
from ..errors import CommandRefused
from ..ports import NewEvent
from .admission import admission
from .agent import AGENT, AgentState, AgentStatus
from .engagement import Answer, EngagementState
from .market import Market
from .onboarding import OnboardingStatus
from .task_run import TaskRunStatus
from .unit import UNIT, UnitStatus

Leaving = AgentDisconnected | AgentTimedOut | AgentReturned | AgentExpired


class Applicant(NamedTuple):
    """A worker's page that asks for a unit, with the ids its agent would have."""

    worker: WorkerId
    agent: AgentId
    token: str
    registration: str


class UnitPlan(NamedTuple):
    """A unit that is to be created."""

    unit: UnitId
    unit_index: int
    pay_cents: int


class AssignmentPlan(NamedTuple):
    """An assignment that is to be created with its units."""

    assignment: AssignmentId
    number: int
    data: PayloadRef
    units: tuple[UnitPlan, ...]


def decide_create_assignments(run: TaskRunId, plans: Iterable[AssignmentPlan]) -> list[NewEvent]:
    """Create assignments and their units; nothing is on offer yet."""
    events: list[NewEvent] = []
    for plan in plans:
        created = AssignmentCreated(assignment=plan.assignment, number=plan.number, data=plan.data)
        events.append(NewEvent(streams.assignment(run, plan.assignment), created))
        events += [
            NewEvent(
                streams.unit(run, unit.unit),
                UnitCreated(
                    unit=unit.unit, assignment=plan.assignment, index=unit.unit_index, pay_cents=unit.pay_cents
                ),
            )
            for unit in plan.units
        ]
    return events


def decide_launch_units(market: Market, run: TaskRunId, units: Iterable[UnitId]) -> list[NewEvent]:
    """Put created units on offer; those that are not created any more are left as they are."""
    return [
        NewEvent(stream, UnitLaunched())
        for stream in (streams.unit(run, unit) for unit in units)
        if market.units[stream].status is UnitStatus.CREATED
    ]


def decide_take_unit(
    market: Market,
    run: TaskRunId,
    applicant: Applicant,
    *,
    concurrent: bool,
    willing: Collection[UnitId] | None,
    more_to_come: bool = False,
) -> list[NewEvent]:
    """Give the applicant a unit, or refuse it with the rule that said no.

    Args:
        market: the present state.
        run: the run.
        applicant: who asks.
        concurrent: whether the units of an assignment are worked on together; agents then wait for each other.
        willing: the units that the task's own code allows for this worker; None: it has no say.
        more_to_come: units are just being launched: an applicant for whom there is none is not refused yet.

    Returns:
        The events, the last of which tells; none if the same page already has an agent, or has to ask again.
    """
    if _has_agent(market, run, applicant.registration):
        return []
    stream = streams.engagement(run, applicant.worker)
    engagement = market.engagements.get(stream)
    arrival = [] if engagement else [NewEvent(stream, WorkerArrived(worker=applicant.worker))]
    refusal = _refusal(market, run, applicant.worker, engagement)
    unit = None if refusal else _pick(market, run, engagement, willing)
    if refusal is None and unit is None:
        if more_to_come:
            return []
        offered = len(market.runs[run].offered)
        refusal = WorkerRefused(rule="available_units", inputs={"offered": offered}, shown="NO_AVAILABLE_UNITS")
    if unit is None:
        return [*arrival, NewEvent(stream, refusal)] if refusal else arrival
    assignment = market.runs[run].offered[unit]
    agent_stream = streams.agent(run, applicant.agent)
    accepted = AgentAccepted(
        agent=applicant.agent,
        unit=unit,
        assignment=assignment,
        worker=applicant.worker,
        token=applicant.token,
        registration=applicant.registration,
    )
    return [
        *arrival,
        NewEvent(streams.unit(run, unit), UnitAssigned(agent=applicant.agent, worker=applicant.worker)),
        NewEvent(agent_stream, accepted),
        NewEvent(stream, WorkTaken(agent=applicant.agent, unit=unit, assignment=assignment)),
        *_begin(market, run, assignment, unit, agent_stream, concurrent=concurrent),
    ]


def decide_start_onboarding(
    market: Market, run: TaskRunId, applicant: Applicant, agent: OnboardingAgentId
) -> list[NewEvent]:
    """Begin the onboarding of an applicant, or refuse it with the rule that said no.

    Returns:
        The events, the last of which tells; none if the same page already has an agent.
    """
    if market.agent_by_registration(run, applicant.registration) is not None:
        return []
    stream = streams.engagement(run, applicant.worker)
    engagement = market.engagements.get(stream)
    refusal = _refusal(market, run, applicant.worker, engagement)
    if refusal is not None:
        return decide_refuse(market, run, applicant.worker, refusal)
    started = OnboardingStarted(
        agent=agent, worker=applicant.worker, token=applicant.token, registration=applicant.registration
    )
    arrival = [] if engagement else [NewEvent(stream, WorkerArrived(worker=applicant.worker))]
    return [*arrival, NewEvent(streams.onboarding_agent(run, agent), started)]


def decide_onboarding_outcome(
    market: Market, run: TaskRunId, agent: OnboardingAgentId, qualification: QualificationId, *, passed: bool
) -> list[NewEvent]:
    """Let a worker pass the onboarding or not; either way it is known in all later runs by the qualification.

    Raises:
        IllegalStep: the onboarding was not handed in, or is decided already.
    """
    stream = streams.onboarding_agent(run, agent)
    worker = market.onboardings[stream].worker
    reason = "the onboarding was not passed"
    outcome = OnboardingPassed() if passed else OnboardingFailed(reason=reason)
    engaged = EngagementOnboarded(agent=agent) if passed else EngagementBarred(reason=reason)
    return [
        NewEvent(stream, outcome),
        NewEvent(streams.engagement(run, worker), engaged),
        *decide_grant(market, worker, qualification, int(passed)),
    ]


def decide_grant(market: Market, worker: WorkerId, qualification: QualificationId, value: int) -> list[NewEvent]:
    """Give a worker a qualification, or another value of one it has; nothing if it has just that."""
    stream = streams.worker(worker)
    held = market.workers[stream].qualifications.get(qualification)
    if held == value:
        return []
    change = QualificationGranted if held is None else QualificationChanged
    return [NewEvent(stream, change(qualification=qualification, value=value))]


def decide_refuse(market: Market, run: TaskRunId, worker: WorkerId, refused: WorkerRefused) -> list[NewEvent]:
    """Put down that a worker was refused, and why."""
    stream = streams.engagement(run, worker)
    arrival = [] if market.engagements.get(stream) else [NewEvent(stream, WorkerArrived(worker=worker))]
    return [*arrival, NewEvent(stream, refused)]


def decide_record_answers(
    market: Market, run: TaskRunId, worker: WorkerId, callback: str, answers: Mapping[UnitId, Answer]
) -> list[NewEvent]:
    """Put down what the launch script's own code answered about a worker; the first answer stands."""
    stream = streams.engagement(run, worker)
    engagement = market.engagements.get(stream)
    known = engagement.answers if engagement else {}
    arrival = [] if engagement else [NewEvent(stream, WorkerArrived(worker=worker))]
    answered = [
        NewEvent(stream, CallbackAnswered(callback=callback, unit=unit, answer=answer))
        for unit, answer in answers.items()
        if (callback, unit) not in known
    ]
    return [*arrival, *answered]


def _has_agent(market: Market, run: TaskRunId, registration: str) -> bool:
    """Whether the page has an agent already; one that passed its onboarding is about to get another."""
    agent = market.agent_by_registration(run, registration)
    return isinstance(agent, AgentState) or (agent is not None and agent.status is not OnboardingStatus.APPROVED)


def _refusal(
    market: Market, run: TaskRunId, worker: WorkerId, engagement: EngagementState | None
) -> WorkerRefused | None:
    """The rule that keeps the worker from getting any unit, if one does."""
    checks = admission(market.task_runs[streams.task_run(run)], market.workers[streams.worker(worker)], engagement)
    failed = next((check for check in checks if not check.holds), None)
    return failed and WorkerRefused(rule=failed.rule, inputs=dict(failed.inputs), shown=failed.shown)


def _pick(
    market: Market, run: TaskRunId, engagement: EngagementState | None, willing: Collection[UnitId] | None
) -> UnitId | None:
    """The first unit on offer of an assignment that is new to the worker."""
    offered = market.runs[run].offered
    seen = engagement.assignments if engagement else frozenset()
    candidates = offered if willing is None else (unit for unit in willing if unit in offered)
    return next((unit for unit in candidates if offered[unit] not in seen), None)


def _begin(
    market: Market, run: TaskRunId, assignment: AssignmentId, unit: UnitId, stream: str, *, concurrent: bool
) -> list[NewEvent]:
    """Start the agent, or let it wait; the last agent of an assignment starts them all."""
    if not concurrent:
        return [NewEvent(stream, AgentStarted())]
    waiting = list(market.agents_of_assignment(run, assignment))
    units = [u for u in market.runs[run].units_of[assignment] if u != unit]
    complete = len(waiting) == len(units) and all(agent.status is AgentStatus.WAITING for agent in waiting)
    begins = [NewEvent(streams.agent(run, agent.agent), AgentStarted()) for agent in waiting] if complete else []
    return [NewEvent(stream, AgentWaiting()), *begins, *([NewEvent(stream, AgentStarted())] if complete else [])]


def decide_submit(
    market: Market, run: TaskRunId, agent_id: AgentId, submission: PayloadRef, files: tuple[FileRef, ...]
) -> list[NewEvent]:
    """Take a submission: the first one completes the unit, a later one is only kept.

    Raises:
        IllegalStep: the agent has not begun.
    """
    stream = streams.agent(run, agent_id)
    agent = market.agents[stream]
    if AGENT.allows(agent.status, AgentSubmittedAgain):
        return [NewEvent(stream, AgentSubmittedAgain(submission=submission, files=files))]
    submitted = AgentSubmitted(submission=submission, files=files)
    outcome = AGENT.after(agent.status, submitted, stream)
    return [
        NewEvent(stream, submitted),
        NewEvent(streams.unit(run, agent.unit), UnitCompleted(agent=agent_id)),
        _work_ended(market, run, agent, outcome),
    ]


def decide_leave(
    market: Market, run: TaskRunId, agent_id: AgentId, leaving: Leaving, *, concurrent: bool
) -> list[NewEvent]:
    """Let an agent go without a submission.

    Its unit is offered again, unless the run gives out no more work or the unit belongs to a group that has
    begun: then it expires, and the partners learn that they are alone.

    Raises:
        IllegalStep: the agent is not at work.
    """
    stream = streams.agent(run, agent_id)
    agent = market.agents[stream]
    outcome = AGENT.after(agent.status, leaving, stream)
    unit_stream = streams.unit(run, agent.unit)
    begun = concurrent and agent.status is not AgentStatus.WAITING
    stopping = market.task_runs[streams.task_run(run)].status is not TaskRunStatus.LIVE
    fate = (
        UnitExpired(reason=leaving.reason)
        if begun or stopping or isinstance(leaving, AgentExpired)
        else UnitReleased(agent=agent_id, reason=leaving.reason)
    )
    partners = [
        NewEvent(streams.agent(run, partner.agent), AgentPartnerLeft(partner=agent_id))
        for partner in market.agents_of_assignment(run, agent.assignment)
        if begun and partner.agent != agent_id and AGENT.allows(partner.status, AgentPartnerLeft)
    ]
    return [NewEvent(stream, leaving), NewEvent(unit_stream, fate), _work_ended(market, run, agent, outcome), *partners]


def _work_ended(market: Market, run: TaskRunId, agent: AgentState, outcome: AgentStatus) -> NewEvent:
    stream = streams.engagement(run, agent.worker)
    last = market.engagements[stream].live == {agent.agent}
    ended = LastWorkEnded if last else WorkEnded
    return NewEvent(stream, ended(agent=agent.agent, outcome=outcome.value))


def decide_expire_units(market: Market, run: TaskRunId, units: Iterable[UnitId], reason: str) -> list[NewEvent]:
    """Take units off the market that nobody works on; others are left as they are."""
    return [
        NewEvent(stream, UnitExpired(reason=reason))
        for stream in (streams.unit(run, unit) for unit in units)
        if market.units[stream].agent is None and UNIT.allows(market.units[stream].status, UnitExpired)
    ]


def decide_stop(market: Market, run: TaskRunId, reason: str) -> list[NewEvent]:
    """Give out no more work; nothing if the run is stopping or has ended already."""
    stream = streams.task_run(run)
    live = market.task_runs[stream].status is TaskRunStatus.LIVE
    return [NewEvent(stream, TaskRunStopping(reason=reason))] if live else []


def decide_complete(market: Market, run: TaskRunId) -> Sequence[NewEvent]:
    """End a stopping run.

    Raises:
        CommandRefused: something is still open; the sentence says what.
    """
    index = market.runs[run]
    if not index.is_idle:
        raise CommandRefused(
            f"run {run} is not done: {len(index.open_units)} units are open, "
            f"{len(index.live_agents)} agents and {len(index.live_onboardings)} onboardings are at work"
        )
    return [NewEvent(streams.task_run(run), TaskRunCompleted())]
