"""Decides what a worker who asks for work gets: a unit, an onboarding, or the rule that was not met.

A command that makes no sense in the present state is refused by raising. A worker who gets no work is refused by an
event that says why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.agent import AgentAccepted, AgentStarted, AgentWaiting
from ...events.engagement import (
    RefusalReason,
    VisitAdmitted,
    WorkerExcluded,
    WorkerOnboarded,
    WorkerRefused,
    WorkStarted,
)
from ...events.ids import AssignmentId, TaskRunId, UnitId, WorkerId
from ...events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingStarted
from ...events.unit import UnitAssigned, UnitLaunched
from ..commands.admission import (
    AdmitVisit,
    AssignUnit,
    RecordOnboardingOutcome,
    RefuseWorker,
    RequiredEvaluation,
    StartOnboarding,
)
from ..commands.base import Command
from ..lifecycles.agent import AgentRecord, AgentStatus
from ..lifecycles.engagement import EXCLUSIONS, EngagementState
from ..lifecycles.onboarding import OnboardingStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from ..state.run_index import RunIndex
from .admission_rules import admission
from .launch_work import creation_events
from .worker_events import arrival_events, grant_events


class _Selection(NamedTuple):
    """The unit that a worker gets."""

    unit: UnitId
    assignment: AssignmentId
    #: Events that create the unit if it is made for this worker.
    created: Sequence[NewEvent] = ()
    evaluation: str | None = None


def decide_assign_unit(state: DecisionState, command: AssignUnit) -> list[NewEvent]:
    """Assign a unit to the applicant, or refuse the applicant with the first rule that is not met.

    Returns:
        The events, the last of which is the outcome; none if the page has an agent already, or has to ask again:
        because units are being launched, or the only ones are those of agents whose pages do not answer.
    """
    run, worker = command.task_run, command.applicant.worker
    if _has_agent(state, run, command.applicant.registration):
        return []
    stream = streams.engagement(run, worker)
    arrival = arrival_events(state, run, worker)
    refusal = _refusal(state, run, worker, state.engagements.get(stream))
    unit, is_withheld = (None, False) if refusal else _select_unit(state, command)
    if refusal is None and unit is None:
        if command.more_to_come or is_withheld:
            return []
        offered = len(state.runs[run].offered)
        refusal = WorkerRefused(
            rule="available_units", inputs={"offered": offered}, reason=RefusalReason.NO_AVAILABLE_UNITS
        )
    if unit is None:
        return [*arrival, NewEvent(stream, refusal)] if refusal else arrival
    selected = _evaluation(state, run, _Selection(unit, state.runs[run].offered[unit]), command.evaluation)
    if isinstance(selected, WorkerRefused):
        return [*arrival, NewEvent(stream, selected)]
    return [*arrival, *_assign_events(state, command, selected)]


def _evaluation(
    state: DecisionState, run: TaskRunId, ordinary: _Selection, required: RequiredEvaluation | None
) -> _Selection | WorkerRefused:
    """Replace the ordinary unit by the evaluation that is required of the worker, if one is."""
    if required is None or required.assignment is None:
        return ordinary if required is None else ordinary._replace(evaluation=required.kind)
    plan = required.assignment
    [unit] = plan.units
    index = state.runs[run]
    cost, has = index.budget.cost_of_unit(unit.pay_cents), index.evaluations(unit.unit_index)
    if has < required.maximum and index.budget.fits(cost):
        launched = NewEvent(streams.unit(run, unit.unit), UnitLaunched())
        return _Selection(unit.unit, plan.assignment, [*creation_events(run, [plan]), launched], required.kind)
    if not required.required:
        return ordinary
    inputs: dict[str, str | int | bool | None] = {"limit": required.maximum, "has": has}
    if has < required.maximum:
        inputs = {"cost_cents": cost, "left_cents": index.budget.left_cents}
        return WorkerRefused(rule="budget", inputs=inputs, reason=RefusalReason.NO_AVAILABLE_UNITS)
    return WorkerRefused(rule=f"max_{required.kind}_units", inputs=inputs, reason=RefusalReason.NO_AVAILABLE_UNITS)


def _assign_events(state: DecisionState, command: AssignUnit, selected: _Selection) -> list[NewEvent]:
    run, agent, worker = command.task_run, command.agent, command.applicant.worker
    agent_stream = streams.agent(run, agent)
    accepted = AgentAccepted(
        agent=agent,
        unit=selected.unit,
        assignment=selected.assignment,
        worker=worker,
        token=command.applicant.token,
        registration=command.applicant.registration,
    )
    taken = WorkStarted(
        agent=agent,
        unit=selected.unit,
        assignment=selected.assignment,
        evaluation=selected.evaluation,
        counts=not selected.created,
    )
    begun = (
        [NewEvent(agent_stream, AgentStarted())]
        if selected.created or not command.concurrent
        else _wait_or_start(state, run, selected, agent_stream)
    )
    return [
        *selected.created,
        NewEvent(streams.unit(run, selected.unit), UnitAssigned(agent=agent, worker=worker)),
        NewEvent(agent_stream, accepted),
        NewEvent(streams.engagement(run, worker), taken),
        *begun,
    ]


def decide_start_onboarding(state: DecisionState, command: StartOnboarding) -> list[NewEvent]:
    """Start the onboarding of the applicant, or refuse the applicant with the first rule that is not met.

    Returns:
        The events, the last of which is the outcome; none if the page has an agent already.
    """
    run, applicant = command.task_run, command.applicant
    if state.agent_by_registration(run, applicant.registration) is not None:
        return []
    stream = streams.engagement(run, applicant.worker)
    arrival = arrival_events(state, run, applicant.worker)
    refusal = _refusal(state, run, applicant.worker, state.engagements.get(stream))
    if refusal is not None:
        return [*arrival, NewEvent(stream, refusal)]
    started = OnboardingStarted(
        agent=command.agent,
        worker=applicant.worker,
        token=applicant.token,
        registration=applicant.registration,
        inputs=command.inputs,
    )
    return [*arrival, NewEvent(streams.onboarding_agent(run, command.agent), started)]


def decide_record_onboarding_outcome(state: DecisionState, command: RecordOnboardingOutcome) -> list[NewEvent]:
    """Record whether a worker passed the onboarding; the qualification says so in all later runs.

    Raises:
        IllegalStepError: the onboarding was not submitted, or is decided already.
    """
    run = command.task_run
    stream = streams.onboarding_agent(run, command.agent)
    worker = state.onboardings[stream].worker
    reason = EXCLUSIONS["validate_onboarding"]
    outcome = OnboardingPassed() if command.passed else OnboardingFailed(reason=reason)
    engaged = WorkerOnboarded(agent=command.agent) if command.passed else WorkerExcluded(reason=reason)
    return [
        NewEvent(stream, outcome),
        NewEvent(streams.engagement(run, worker), engaged),
        *grant_events(state, worker, command.qualification, int(command.passed)),
    ]


def decide_admit_visit(state: DecisionState, command: AdmitVisit) -> list[NewEvent]:
    """Let a worker in, or refuse the worker: an invitation is for one browser, and a link has room for some people.

    Returns:
        The events, the last of which is the outcome; none if the worker was let in before.
    """
    run, worker = command.task_run, command.worker
    index, stream = state.runs[run], streams.engagement(run, worker)
    arrival = arrival_events(state, run, worker)
    holder = None if command.invitation is None else index.invitations.get(command.invitation)
    if holder is not None and holder != command.session:
        used = WorkerRefused(rule="invitation_unused", inputs={}, reason=RefusalReason.INVITATION_USED)
        return [*arrival, NewEvent(stream, used)]
    is_new = worker not in index.admitted
    if is_new and command.max_people is not None and len(index.admitted) >= command.max_people:
        inputs: dict[str, str | int | bool | None] = {"limit": command.max_people, "has": len(index.admitted)}
        full = WorkerRefused(rule="link_has_room", inputs=inputs, reason=RefusalReason.ENOUGH_PEOPLE)
        return [*arrival, NewEvent(stream, full)]
    if not is_new and (command.invitation is None or holder is not None):
        return []
    return [*arrival, NewEvent(stream, VisitAdmitted(invitation=command.invitation, session=command.session))]


def decide_refuse_worker(state: DecisionState, command: RefuseWorker) -> list[NewEvent]:
    """Record that a worker was refused, and why."""
    refused = NewEvent(streams.engagement(command.task_run, command.worker), command.refusal)
    return [*arrival_events(state, command.task_run, command.worker), refused]


def _has_agent(state: DecisionState, run: TaskRunId, registration: str) -> bool:
    """Return whether the page has an agent already; one that passed its onboarding is about to get another."""
    agent = state.agent_by_registration(run, registration)
    return isinstance(agent, AgentRecord) or (agent is not None and agent.status is not OnboardingStatus.APPROVED)


def _refusal(
    state: DecisionState, run: TaskRunId, worker: WorkerId, engagement: EngagementState | None
) -> WorkerRefused | None:
    """Return the first rule that keeps the worker from getting any unit, if one does."""
    run_state, counted = state.task_runs[streams.task_run(run)], state.counted_units(run, worker)
    checks = admission(run_state, state.workers[streams.worker(worker)], engagement, counted)
    failed = next((check for check in checks if not check.holds), None)
    return failed and WorkerRefused(rule=failed.rule, inputs=dict(failed.inputs), reason=failed.reason)


def _select_unit(state: DecisionState, command: AssignUnit) -> tuple[UnitId | None, bool]:
    """Return the first unit for the applicant, and whether others were withheld because a partner is absent."""
    index = state.runs[command.task_run]
    withheld = {index.waiting[agent] for agent in command.absent if agent in index.waiting}
    is_withheld = False
    for unit in selectable_units(index, command.applicant.worker, command.eligible_units):
        if index.offered[unit] not in withheld:
            return unit, is_withheld
        is_withheld = True
    return None, is_withheld


def selectable_units(index: RunIndex, worker: WorkerId, eligible_units: Collection[UnitId] | None) -> Iterator[UnitId]:
    """Yield the units on offer whose data is new to the worker; a repeated assignment has the same data."""
    offered = index.offered
    seen: Collection[AssignmentId] = index.seen.get(worker, ())
    candidates = index.in_order_of_offer() if eligible_units is None else eligible_units
    for unit in candidates:
        if unit in offered and index.data_of(offered[unit]) not in seen:
            yield unit


def _wait_or_start(state: DecisionState, run: TaskRunId, selected: _Selection, stream: str) -> list[NewEvent]:
    """Let the new agent wait for its partners; the last agent of an assignment starts them all."""
    waiting = list(state.agents_of_assignment(run, selected.assignment))
    others = [unit for unit in state.runs[run].units_of[selected.assignment] if unit != selected.unit]
    complete = len(waiting) == len(others) and all(agent.status is AgentStatus.WAITING for agent in waiting)
    waits = NewEvent(stream, AgentWaiting())
    if not complete:
        return [waits]
    starts = [NewEvent(streams.agent(run, agent.agent), AgentStarted()) for agent in waiting]
    return [waits, *starts, NewEvent(stream, AgentStarted())]


def partitions_to_lock(state: DecisionState, command: Command) -> tuple[str, ...]:
    """Return the partitions that no other writer may write to while a command is decided.

    In a task whose workers have a maximum over all of its runs, work is given out in one run at a time: operators of
    two runs would otherwise both give a worker the last unit. They meet at the directory, which belongs to no run.

    Args:
        state: the state as of the last turn; a maximum is never changed.
        command: the command.
    """
    if type(command) is AssignUnit:
        run = state.task_runs.get(streams.task_run(command.task_run))
        if run is not None and run.maximum_is_per_task:
            return (streams.DIRECTORY, *command.partitions)
    return command.partitions
