"""Giving out work: a worker's page asks, and gets a unit, an onboarding, or the rule that said no.

Each decision is pure. What it returns is appended as a whole or not at all; a wish that makes no sense now is
refused by raising, and a worker who gets no work is refused by an event that says why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.agent import AgentAccepted, AgentStarted, AgentWaiting
from ...events.engagement import EngagementBarred, EngagementOnboarded, RefusalReason, WorkerRefused, WorkTaken
from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, QualificationId, TaskRunId, UnitId, WorkerId
from ...events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingStarted
from ...events.unit import UnitAssigned, UnitLaunched
from ..lifecycles.agent import AgentState, AgentStatus
from ..lifecycles.engagement import EngagementState
from ..lifecycles.onboarding import OnboardingStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
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


class _Selection(NamedTuple):
    """The unit that a worker gets."""

    unit: UnitId
    assignment: AssignmentId
    #: What has to be done to have it.
    made: Sequence[NewEvent] = ()
    evaluation: str | None = None


def decide_assign_unit(
    state: DecisionState,
    run: TaskRunId,
    applicant: Applicant,
    *,
    concurrent: bool,
    eligible_units: Collection[UnitId] | None,
    more_to_come: bool = False,
    evaluating: Evaluating | None = None,
) -> list[NewEvent]:
    """Give the applicant a unit, or refuse it with the rule that said no.

    Args:
        state: the present state.
        run: the run.
        applicant: who asks.
        concurrent: whether the units of an assignment are worked on together; agents then wait for each other.
        willing: the units that the task's own code allows for this worker; None: it has no say.
        more_to_come: units are just being launched: an applicant for whom there is none is not refused yet.
        evaluating: what the applicant has to show first, if there is work for it at all.

    Returns:
        The events, the last of which tells; none if the same page already has an agent, or has to ask again.
    """
    if _has_agent(state, run, applicant.registration):
        return []
    stream = streams.engagement(run, applicant.worker)
    engagement = state.engagements.get(stream)
    arrival = decide_arrival(state, run, applicant.worker)
    refusal = _refusal(state, run, applicant.worker, engagement)
    unit = None if refusal else _select_unit(state, run, engagement, eligible_units)
    if refusal is None and unit is None:
        if more_to_come:
            return []
        offered = len(state.runs[run].offered)
        refusal = WorkerRefused(
            rule="available_units", inputs={"offered": offered}, reason=RefusalReason.NO_AVAILABLE_UNITS
        )
    if unit is None:
        return [*arrival, NewEvent(stream, refusal)] if refusal else arrival
    chosen = _evaluated(state, run, _Selection(unit, state.runs[run].offered[unit]), evaluating)
    if isinstance(chosen, WorkerRefused):
        return [*arrival, NewEvent(stream, chosen)]
    return [*arrival, *_assign_events(state, run, applicant, chosen, concurrent=concurrent)]


def _evaluated(
    state: DecisionState, run: TaskRunId, ordinary: _Selection, evaluating: Evaluating | None
) -> _Selection | WorkerRefused:
    """What a worker gets in place of an ordinary unit if something has to be seen of it."""
    if evaluating is None:
        return ordinary
    plan = evaluating.assignment
    if plan is None:
        return ordinary._replace(evaluation=evaluating.kind)
    [unit] = plan.units
    index = state.runs[run]
    cost, has = index.budget.cost_of_unit(unit.pay_cents), index.evaluations(unit.unit_index)
    if has < evaluating.most and index.budget.fits(cost):
        launched = NewEvent(streams.unit(run, unit.unit), UnitLaunched())
        made = [*decide_create_assignments(run, [plan]), launched]
        return _Selection(unit.unit, plan.assignment, made, evaluating.kind)
    if not evaluating.required:
        return ordinary
    inputs: dict[str, str | int | bool | None] = {"limit": evaluating.most, "has": has}
    if has < evaluating.most:
        inputs = {"cost_cents": cost, "left_cents": index.budget.left_cents}
        return WorkerRefused(rule="budget", inputs=inputs, reason=RefusalReason.NO_AVAILABLE_UNITS)
    return WorkerRefused(rule=f"max_{evaluating.kind}_units", inputs=inputs, reason=RefusalReason.NO_AVAILABLE_UNITS)


def _assign_events(
    state: DecisionState, run: TaskRunId, applicant: Applicant, chosen: _Selection, *, concurrent: bool
) -> list[NewEvent]:
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
        else _begin(state, run, chosen.assignment, chosen.unit, agent_stream)
    )
    return [
        *chosen.made,
        NewEvent(streams.unit(run, chosen.unit), UnitAssigned(agent=agent, worker=worker)),
        NewEvent(agent_stream, accepted),
        NewEvent(streams.engagement(run, worker), taken),
        *begun,
    ]


def decide_start_onboarding(
    state: DecisionState, run: TaskRunId, applicant: Applicant, agent: OnboardingAgentId
) -> list[NewEvent]:
    """Begin the onboarding of an applicant, or refuse it with the rule that said no.

    Returns:
        The events, the last of which tells; none if the same page already has an agent.
    """
    if state.agent_by_registration(run, applicant.registration) is not None:
        return []
    stream = streams.engagement(run, applicant.worker)
    engagement = state.engagements.get(stream)
    refusal = _refusal(state, run, applicant.worker, engagement)
    if refusal is not None:
        return decide_refuse(state, run, applicant.worker, refusal)
    started = OnboardingStarted(
        agent=agent, worker=applicant.worker, token=applicant.token, registration=applicant.registration
    )
    arrival = decide_arrival(state, run, applicant.worker)
    return [*arrival, NewEvent(streams.onboarding_agent(run, agent), started)]


def decide_onboarding_outcome(
    state: DecisionState, run: TaskRunId, agent: OnboardingAgentId, qualification: QualificationId, *, passed: bool
) -> list[NewEvent]:
    """Let a worker pass the onboarding or not; either way it is known in all later runs by the qualification.

    Raises:
        IllegalStepError: the onboarding was not handed in, or is decided already.
    """
    stream = streams.onboarding_agent(run, agent)
    worker = state.onboardings[stream].worker
    reason = "the onboarding was not passed"
    outcome = OnboardingPassed() if passed else OnboardingFailed(reason=reason)
    engaged = EngagementOnboarded(agent=agent) if passed else EngagementBarred(reason=reason)
    return [
        NewEvent(stream, outcome),
        NewEvent(streams.engagement(run, worker), engaged),
        *decide_grant(state, worker, qualification, int(passed)),
    ]


def _has_agent(state: DecisionState, run: TaskRunId, registration: str) -> bool:
    """Whether the page has an agent already; one that passed its onboarding is about to get another."""
    agent = state.agent_by_registration(run, registration)
    return isinstance(agent, AgentState) or (agent is not None and agent.status is not OnboardingStatus.APPROVED)


def _refusal(
    state: DecisionState, run: TaskRunId, worker: WorkerId, engagement: EngagementState | None
) -> WorkerRefused | None:
    """The rule that keeps the worker from getting any unit, if one does."""
    checks = admission(state.task_runs[streams.task_run(run)], state.workers[streams.worker(worker)], engagement)
    failed = next((check for check in checks if not check.holds), None)
    return failed and WorkerRefused(rule=failed.rule, inputs=dict(failed.inputs), reason=failed.reason)


def _select_unit(
    state: DecisionState, run: TaskRunId, engagement: EngagementState | None, eligible_units: Collection[UnitId] | None
) -> UnitId | None:
    """The first unit on offer of an assignment that is new to the worker, also as something made once more."""
    offered, repeats = state.runs[run].offered, state.runs[run].repeats
    seen: Collection[AssignmentId] = engagement.assignments if engagement else ()
    candidates = offered if eligible_units is None else (unit for unit in eligible_units if unit in offered)
    if not repeats:
        return next((unit for unit in candidates if offered[unit] not in seen), None)
    data_seen = {repeats.get(assignment, assignment) for assignment in seen}
    return next((unit for unit in candidates if repeats.get(offered[unit], offered[unit]) not in data_seen), None)


def _begin(state: DecisionState, run: TaskRunId, assignment: AssignmentId, unit: UnitId, stream: str) -> list[NewEvent]:
    """Let the agent wait; the last agent of an assignment starts them all."""
    waiting = list(state.agents_of_assignment(run, assignment))
    units = [u for u in state.runs[run].units_of[assignment] if u != unit]
    complete = len(waiting) == len(units) and all(agent.status is AgentStatus.WAITING for agent in waiting)
    begins = [NewEvent(streams.agent(run, agent.agent), AgentStarted()) for agent in waiting] if complete else []
    return [NewEvent(stream, AgentWaiting()), *begins, *([NewEvent(stream, AgentStarted())] if complete else [])]
