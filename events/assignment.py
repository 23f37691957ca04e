"""What happens to an assignment: one piece of input data, with a unit for each worker it needs."""

from __future__ import annotations

from .base import Event, PayloadRef
from .ids import AssignmentId


class AssignmentCreated(Event, frozen=True, kw_only=True, tag="assignment_created"):
    """A piece of input data was taken from the run's source."""

    assignment: AssignmentId
    #: Place in the run's data: 0, 1, 2 ...
    number: int
    data: PayloadRef


AssignmentEvent = AssignmentCreated
