"""Decides on the label that a reviewer gives an item after looking at the answers to it."""

from __future__ import annotations

from collections.abc import Iterator

from ....events import streams
from ....events.assignment import AssignmentLabelled, LabelSource
from ....events.ids import WorkerId
from ...commands.review import MAX_QUESTION, LabelAssignment
from ...errors import CommandRefusedError
from ...lifecycles.assignment import AssignmentState
from ...lifecycles.unit import DONE_UNIT_STATUSES
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..worker_rights.consent import check_consent


def decide_label_assignment(state: DecisionState, command: LabelAssignment) -> list[NewEvent]:
    """Decide the answer to a question about an assignment's data, or take such a decision back. It judges no worker.

    Raises:
        UnknownEntityError: there is no such assignment.
        CommandRefusedError: somebody has decided meanwhile, there is nothing to take back, the work that was looked at
            is not submitted work on this assignment, or its worker has not consented.
    """
    run, name = command.task_run, f"assignment-{command.assignment}"
    stream = streams.assignment(run, command.assignment)
    assignment = state.assignments[stream]
    if not 0 < len(command.question) <= MAX_QUESTION:
        raise CommandRefusedError(f"{name} is not labelled: a question has a name of at most {MAX_QUESTION} characters")
    _check_order(assignment, command)
    workers = set(_workers(state, command))
    if command.label is not None and not workers:
        raise CommandRefusedError(f"{name} is not labelled: nobody has submitted anything that could be looked at")
    if command.worker is not None and command.worker not in workers:
        raise CommandRefusedError(f"{name} is not labelled: the work of worker-{command.worker} was not looked at")
    labelled = AssignmentLabelled(
        question=command.question,
        label=command.label,
        source=LabelSource.ADJUDICATION,
        units=command.units,
        reviewer=command.reviewer,
        note=command.note,
        worker=command.worker,
    )
    return [NewEvent(stream, labelled)]


def _check_order(assignment: AssignmentState, command: LabelAssignment) -> None:
    """Check that the reviewer knew the decision that this one replaces.

    Raises:
        CommandRefusedError: it is another one, or there is none to take back.
    """
    known = assignment.label_of(command.question)
    name = f"{command.question!r} of assignment-{command.assignment}"
    if known is not None and known.decisions != command.after:
        raise CommandRefusedError(f"{known.reviewer} has decided on {name} meanwhile: look at it again")
    if known is None and command.after:
        raise CommandRefusedError(f"nobody has decided on {name} yet: look at it again")
    if command.label is None and (known is None or known.is_taken_back):
        raise CommandRefusedError(f"there is no decision on {name} to take back")


def _workers(state: DecisionState, command: LabelAssignment) -> Iterator[WorkerId]:
    """Yield the workers whose work was looked at.

    Raises:
        CommandRefusedError: a unit has no submitted work, is of another assignment, or must not be looked at.
    """
    run = command.task_run
    for number in command.units:
        unit = state.units[streams.unit(run, number)]
        is_other = unit.assignment != command.assignment
        if is_other or unit.status not in DONE_UNIT_STATUSES or unit.worker is None:
            raise CommandRefusedError(
                f"assignment-{command.assignment} is not labelled: unit-{number} is no submitted work on it"
            )
        check_consent(state, run, unit.worker)
        yield unit.worker
