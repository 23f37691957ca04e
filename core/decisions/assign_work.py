"""Giving out work: a worker's page asks, and gets a unit, an onboarding, or the rule that said no.

Each decision is pure. What it returns is appended as a whole or not at all; a wish that makes no sense now is
refused by raising, and a worker who gets no work is refused by an event that says why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.agent import AgentAccepted, AgentStarted, AgentWaiting
from ...events.engagement import EngagementBarred, EngagementOnboarded, WorkerRefused, WorkTaken
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, QualificationId, TaskRunId, UnitId, WorkerId
from ...events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingStarted
from ...events.unit import UnitAssigned, UnitLaunched
from ..lifecycles.agent import AgentState, AgentStatus
from ..lifecycles.engagement import EngagementState
from ..lifecycles.onboarding import OnboardingStatus
from ..ports import NewEvent
from ..state.decision_state import Market
from .admission_rules import admission
from .launch_work import AssignmentPlan, decide_create_assignments
from .worker_events import decide_arrival, decide_grant, decide_refuse


class Applicant(NamedTuple):
    """A worker's page that asks for a unit, with the ids its agent would have."""

    worker: WorkerId
    agent: AgentId
    token: str
    registration: str


class Evaluating(NamedTuple):
    """What a worker has to show before ordinary work, or between it."""

    #: `screening` or `gold`.
    kind: str
    #: What is made for the worker; None: a unit on offer serves as well.
    assignment: AssignmentPlan | None = None
    #: How many units of this kind there may be in the run.
    most: int = 0
    #: Whether a worker gets nothing when there are as many as there may be; otherwise it goes without.
    required: bool = True


class _Choice(NamedTuple):
    """The unit that a worker gets."""

    unit: UnitId
    assignment: AssignmentId
    #: What has to be done to have it.
    made: Sequence[NewEvent] = ()
    evaluation: str | None = None


def decide_take_unit(
    market: Market,
    run: TaskRunId,
    applicant: Applicant,
    *,
    concurrent: bool,
    willing: Collection[UnitId] | None,
    more_to_come: bool = False,
    evaluating: Evaluating | None = None,
) -> list[NewEvent]:
    """Give the applicant a unit, or refuse it with the rule that said no.

    Args:
        market: the present state.
        run: the run.
        applicant: who asks.
        concurrent: whether the units of an assignment are worked on together; agents then wait for each other.
        willing: the units that the task's own code allows for this worker; None: it has no say.
        more_to_come: units are just being launched: an applicant for whom there is none is not refused yet.
        evaluating: what the applicant has to show first, if there is work for it at all.

    Returns:
        The events, the last of which tells; none if the same page already has an agent, or has to ask again.
    """
    if _has_agent(market, run, applicant.registration):
        return []
    stream = streams.engagement(run, applicant.worker)
    engagement = market.engagements.get(stream)
    arrival = decide_arrival(market, run, applicant.worker)
    refusal = _refusal(market, run, applicant.worker, engagement)
    unit = None if refusal else _pick(market, run, engagement, willing)
    if refusal is None and unit is None:
        if more_to_come:
            return []
        offered = len(market.runs[run].offered)
        refusal = WorkerRefused(rule="available_units", inputs={"offered": offered}, shown="NO_AVAILABLE_UNITS")
    if unit is None:
        return [*arrival, NewEvent(stream, refusal)] if refusal else arrival
    chosen = _evaluated(market, run, _Choice(unit, market.runs[run].offered[unit]), evaluating)
    if isinstance(chosen, WorkerRefused):
        return [*arrival, NewEvent(stream, chosen)]
    return [*arrival, *_give(market, run, applicant, chosen, concurrent=concurrent)]


def _evaluated(
    market: Market, run: TaskRunId, ordinary: _Choice, evaluating: Evaluating | None
) -> _Choice | WorkerRefused:
    """What a worker gets in place of an ordinary unit if something has to be seen of it."""
    if evaluating is None:
        return ordinary
    plan = evaluating.assignment
    if plan is None:
        return ordinary._replace(evaluation=evaluating.kind)
    [unit] = plan.units
    index = market.runs[run]
    cost, has = index.budget.cost_of_unit(unit.pay_cents), index.evaluations(unit.unit_index)
    if has < evaluating.most and index.budget.fits(cost):
        launched = NewEvent(streams.unit(run, unit.unit), UnitLaunched())
        made = [*decide_create_assignments(run, [plan]), launched]
        return _Choice(unit.unit, plan.assignment, made, evaluating.kind)
    if not evaluating.required:
        return ordinary
    inputs: dict[str, str | int | bool | None] = {"limit": evaluating.most, "has": has}
    if has < evaluating.most:
        inputs = {"cost_cents": cost, "left_cents": index.budget.left_cents}
        return WorkerRefused(rule="budget", inputs=inputs, shown="NO_AVAILABLE_UNITS")
    return WorkerRefused(rule=f"max_{evaluating.kind}_units", inputs=inputs, shown="NO_AVAILABLE_UNITS")


def _give(market: Market, run: TaskRunId, applicant: Applicant, chosen: _Choice, *, concurrent: bool) -> list[NewEvent]:
    agent, worker = applicant.agent, applicant.worker
    agent_stream = streams.agent(run, agent)
    accepted = AgentAccepted(
        agent=agent,
        unit=chosen.unit,
        assignment=chosen.assignment,
        worker=worker,
        token=applicant.token,
        registration=applicant.registration,
    )
    taken = WorkTaken(
        agent=agent,
        unit=chosen.unit,
        assignment=chosen.assignment,
        evaluation=chosen.evaluation,
        counts=not chosen.made,
    )
    begun = (
        [NewEvent(agent_stream, AgentStarted())]
        if chosen.made or not concurrent
        else _begin(market, run, chosen.assignment, chosen.unit, agent_stream)
    )
    return [
        *chosen.made,
        NewEvent(streams.unit(run, chosen.unit), UnitAssigned(agent=agent, worker=worker)),
        NewEvent(agent_stream, accepted),
        NewEvent(streams.engagement(run, worker), taken),
        *begun,
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
    arrival = decide_arrival(market, run, applicant.worker)
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
    """The first unit on offer of an assignment that is new to the worker, also as something made once more."""
    offered, repeats = market.runs[run].offered, market.runs[run].repeats
    seen: Collection[AssignmentId] = engagement.assignments if engagement else ()
    candidates = offered if willing is None else (unit for unit in willing if unit in offered)
    if not repeats:
        return next((unit for unit in candidates if offered[unit] not in seen), None)
    data_seen = {repeats.get(assignment, assignment) for assignment in seen}
    return next((unit for unit in candidates if repeats.get(offered[unit], offered[unit]) not in data_seen), None)


def _begin(market: Market, run: TaskRunId, assignment: AssignmentId, unit: UnitId, stream: str) -> list[NewEvent]:
    """Let the agent wait; the last agent of an assignment starts them all."""
    waiting = list(market.agents_of_assignment(run, assignment))
    units = [u for u in market.runs[run].units_of[assignment] if u != unit]
    complete = len(waiting) == len(units) and all(agent.status is AgentStatus.WAITING for agent in waiting)
    begins = [NewEvent(streams.agent(run, agent.agent), AgentStarted()) for agent in waiting] if complete else []
    return [NewEvent(stream, AgentWaiting()), *begins, *([NewEvent(stream, AgentStarted())] if complete else [])]
