"""What the steps before a worker's ordinary work have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...abstractions.agent import Update
from ...ports import NewEvent
from ...state.decision_state import DecisionState

#: Carries out that a worker gets nothing, and why.
Refuse = Callable[[DecisionState], list[NewEvent]]


class RequiredUnit(NamedTuple):
    """What a worker has to do before it gets ordinary work."""

    #: `screening` or `gold`.
    kind: str
    #: The data of a unit that is made for it; None: the worker's next ordinary unit serves.
    data: Update | None
    #: Units of this kind in the run at most.
    most: int
    #: Whether the worker gets nothing if there may be no more; otherwise it goes without.
    required: bool


#: None: nothing, the worker may go on.
NextStep = RequiredUnit | Refuse | None
