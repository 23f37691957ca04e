"""The interface of the steps that evaluate a worker before, or between, its ordinary work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ....events.ids import WorkerId
from ...abstractions.agent import Update
from ...commands.admission import DisqualifyWorker, RefuseWorker

#: Commands by which a worker gets nothing.
Refusal = RefuseWorker | DisqualifyWorker


class RequiredUnit(NamedTuple):
    """A unit that a worker must do before it gets ordinary work."""

    #: `screening` or `gold`.
    kind: str
    #: Data of the unit that is made for the worker; None if its next ordinary unit serves as the evaluation.
    data: Update | None
    #: Maximum number of units of this kind in the run.
    maximum: int
    #: True if the worker gets nothing once that maximum is reached, False if it then gets ordinary work.
    required: bool


#: None if the worker may continue.
NextStep = RequiredUnit | Refusal | None


class EvaluationStep(Protocol):
    """A step that may require something of a worker before ordinary work."""

    def resume(self) -> None:
        """Continue where an earlier process of the run stood."""

    def retry(self) -> None:
        """Ask code again that has failed before."""

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """Return what a worker has to do first.

        Args:
            worker: the worker.
            granted: its qualifications by name.

        Raises:
            UserCodeError: the task's code failed, so nobody knows.
        """

    def return_data(self, data: Update) -> None:
        """Take back data of a `RequiredUnit` that was not made."""
