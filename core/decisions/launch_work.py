"""Decisions about what there is to do: assignments and units are created, put on offer, made once more, taken off.

Each function is pure. What it returns is appended as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.assignment import AssignmentCreated
from ...events.base import PayloadRef
from ...events.ids import AssignmentId, TaskRunId, UnitId
from ...events.unit import UnitCreated, UnitExpired, UnitLaunched
from ..errors import UnknownEntityError
from ..lifecycles.agent import AgentStatus
from ..lifecycles.task_run import GIVING_RUN_STATUSES
from ..lifecycles.unit import UNIT, UnitStatus
from ..ports import NewEvent
from ..state.decision_state import DecisionState

#: How an agent ends that went away; one whose unit was taken from it did not.
_LEFT = (AgentStatus.DISCONNECT, AgentStatus.RETURNED, AgentStatus.TIMEOUT)


class UnitPlan(NamedTuple):
    """A unit that is to be created."""

    unit: UnitId
    unit_index: int
    pay_cents: int


class AssignmentPlan(NamedTuple):
    """An assignment that is to be created with its units."""

    assignment: AssignmentId
    #: Place in the run's data; the index of its unit, which is negative, if it is made for one worker.
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


def decide_launch_units(state: DecisionState, run: TaskRunId, units: Iterable[UnitId]) -> list[NewEvent]:
    """Put created units on offer, in order, as far as the run's budget pays for them.

    An assignment is paid for as a whole, or nobody is asked for a part of it. Units that are not created any more are
    left as they are.
    """
    budget = state.runs[run].budget
    events: list[NewEvent] = []
    paid_for: set[AssignmentId] = set()
    cost = 0
    for stream in (streams.unit(run, unit) for unit in units):
        unit = state.units[stream]
        if unit.status is not UnitStatus.CREATED:
            continue
        if unit.assignment not in paid_for:
            cost += cost_of_offer(state, run, unit.assignment)
            if not budget.fits(cost):
                break
            paid_for.add(unit.assignment)
        events.append(NewEvent(stream, UnitLaunched()))
    return events


def cost_of_offer(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> int:
    """What has to be kept back to put those units of an assignment on offer that are not yet, in cents."""
    index = state.runs[run]
    units = (state.units[streams.unit(run, unit)] for unit in index.units_of[assignment])
    return sum(index.budget.cost_of_unit(unit.pay_cents) for unit in units if unit.status is UnitStatus.CREATED)


def decide_expire_units(state: DecisionState, run: TaskRunId, units: Iterable[UnitId], reason: str) -> list[NewEvent]:
    """Take units off the market that nobody works on; others are left as they are."""
    return [
        NewEvent(stream, UnitExpired(reason=reason))
        for stream in (streams.unit(run, unit) for unit in units)
        if state.units[stream].agent is None and UNIT.allows(state.units[stream].status, UnitExpired)
    ]


def wants_repeat(state: DecisionState, run: TaskRunId, assignment: AssignmentId, most: int) -> bool:
    """Whether an assignment for several came to nothing because somebody left, and is to be made once more.

    Args:
        state: the present state.
        run: the run.
        assignment: the assignment.
        most: how often one piece of data may be made an assignment again.
    """
    index = state.runs[run]
    gives = state.task_runs[streams.task_run(run)].status in GIVING_RUN_STATUSES
    left = any(agent.status in _LEFT for agent in state.agents_of_assignment(run, assignment))
    if not (gives and left) or len(index.units_of[assignment]) < 2:
        return False
    original = index.repeats.get(assignment, assignment)
    again = [repeat for repeat, first in index.repeats.items() if first == original]
    return len(again) < most and assignment == max([original, *again])


def decide_repeat_assignment(
    state: DecisionState, run: TaskRunId, assignment: AssignmentId, plan: AssignmentPlan, most: int
) -> Sequence[NewEvent]:
    """Make an assignment once more, with the same data and fresh units; nothing if that was done or is not wanted.

    What is left of it is closed: those who did their part keep it, and it is paid.
    """
    return decide_create_assignments(run, [plan]) if wants_repeat(state, run, assignment, most) else []


def original_of(state: DecisionState, run: TaskRunId, assignment: AssignmentId) -> AssignmentCreated:
    """How an assignment came to be; of one that was made again, its first time.

    Raises:
        UnknownEntityError: there is no such assignment.
    """
    first = state.runs[run].repeats.get(assignment, assignment)
    stream = streams.assignment(run, first)
    fact = state.records[stream].fact
    if not isinstance(fact, AssignmentCreated):
        raise UnknownEntityError(stream)
    return fact
