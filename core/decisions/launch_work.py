"""Decides what is on offer: creates assignments and units, offers, expires and repeats them."""

from __future__ import annotations

from collections.abc import Iterable

from ...events import streams
from ...events.assignment import AssignmentCreated
from ...events.ids import AssignmentId, TaskRunId
from ...events.unit import UnitCreated, UnitExpired, UnitLaunched
from ..commands.task_run import AssignmentPlan, CreateAssignments, ExpireUnits, LaunchUnits, RepeatAssignment
from ..lifecycles.agent import AgentStatus
from ..lifecycles.task_run import GIVING_RUN_STATUSES, TaskRunStatus
from ..lifecycles.unit import UNIT, UnitStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState

#: Statuses of agents that left by themselves; one whose unit was taken from it did not.
_LEFT = (AgentStatus.DISCONNECT, AgentStatus.RETURNED, AgentStatus.TIMEOUT)


def decide_create_assignments(state: DecisionState, command: CreateAssignments) -> list[NewEvent]:
    """Create assignments and their units, none of which is on offer yet; nothing if the run is not live."""
    run = command.task_run
    is_live = state.task_runs[streams.task_run(run)].status is TaskRunStatus.LIVE
    return creation_events(run, command.assignments) if is_live else []


def creation_events(run: TaskRunId, plans: Iterable[AssignmentPlan]) -> list[NewEvent]:
    """Return what creates assignments and their units."""
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


def decide_launch_units(state: DecisionState, command: LaunchUnits) -> list[NewEvent]:
    """Offer created units, in order, as far as the run's budget covers them.

    The budget has to cover an assignment as a whole before any of its units is offered. Units that are not `created`
    are left as they are.
    """
    run = command.task_run
    budget = state.runs[run].budget
    events: list[NewEvent] = []
    covered: set[AssignmentId] = set()
    cost = 0
    for stream in (streams.unit(run, unit) for unit in command.units):
        unit = state.units[stream]
        if unit.status is not UnitStatus.CREATED:
            continue
        if unit.assignment not in covered:
            cost += cost_of_offer(state, run, unit.assignment)
            if not budget.fits(cost):
                break
            covered.add(unit.assignment)
        events.append(NewEvent(stream, UnitLaunched()))
    return events


def cost_of_offer(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> int:
    """Return the cents to reserve before the units of an assignment that are not on offer yet can be offered."""
    index = state.runs[run]
    units = (state.units[streams.unit(run, unit)] for unit in index.units_of[assignment])
    return sum(index.budget.cost_of_unit(unit.pay_cents) for unit in units if unit.status is UnitStatus.CREATED)


def decide_expire_units(state: DecisionState, command: ExpireUnits) -> list[NewEvent]:
    """Expire units that nobody works on; others are left as they are."""
    return [
        NewEvent(stream, UnitExpired(reason=command.reason))
        for stream in (streams.unit(command.task_run, unit) for unit in command.units)
        if state.units[stream].agent is None and UNIT.allows(state.units[stream].status, UnitExpired)
    ]


def wants_repeat(state: DecisionState, run: TaskRunId, assignment: AssignmentId, max_repeats: int) -> bool:
    """Return whether an assignment for several workers is to be created again: one left, or its code failed.

    Args:
        state: the present state.
        run: the run.
        assignment: the assignment.
        max_repeats: number of times that one piece of data may be repeated.
    """
    index = state.runs[run]
    gives = state.task_runs[streams.task_run(run)].status in GIVING_RUN_STATUSES
    left = any(agent.status in _LEFT for agent in state.agents_of_assignment(run, assignment))
    if not (gives and (left or _code_failed(state, run, assignment))) or len(index.units_of[assignment]) < 2:
        return False
    original = index.data_of(assignment)
    again = index.repeated_by.get(original, [])
    return len(again) < max_repeats and assignment == max([original, *again])


def _code_failed(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> bool:
    """Return whether the code of an assignment failed when it was too late to offer its units again."""
    index = state.runs[run]
    units = (state.units[streams.unit(run, unit)] for unit in index.units_of.get(assignment, ()))
    return assignment in index.failed_assignments and any(unit.status is UnitStatus.EXPIRED for unit in units)


def decide_repeat_assignment(state: DecisionState, command: RepeatAssignment) -> list[NewEvent]:
    """Create an assignment again, with the same data and new units; nothing if that was done or is not needed.

    The first attempt stays closed: workers who did their part keep it and are paid.
    """
    wanted = wants_repeat(state, command.task_run, command.assignment, command.max_repeats)
    return creation_events(command.task_run, [command.plan]) if wanted else []


def original_of(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> AssignmentCreated:
    """Return how an assignment was created; for a repeated one, its first attempt.

    Raises:
        UnknownEntityError: there is no such assignment.
    """
    first = state.runs[run].data_of(assignment)
    return state.assignments[streams.assignment(run, first)].created
