"""Reads what the launch script said about units that evaluate their workers, such as gold units."""

from __future__ import annotations

from ...core.lifecycles.engagement import ON_SUBMITTED
from ...events import streams
from ...events.engagement import CallbackAnswered, WorkStarted
from ...events.ids import TaskRunId, UnitId, WorkerId
from .as_of import AsOf


class Evaluations:
    """The launch script's answers about units that evaluate workers, read once for each worker."""

    def __init__(self, as_of: AsOf, run: TaskRunId) -> None:
        """Read nothing yet.

        Args:
            as_of: the log as of the position.
            run: the run.
        """
        self._as_of = as_of
        self._run = run
        self._answers: dict[WorkerId, dict[UnitId, bool | None]] = {}

    def passed(self, unit: UnitId, worker: WorkerId | None) -> bool | None:
        """Return whether a worker did a unit well; None if it evaluates nobody, or nobody knows."""
        if worker is None:
            return None
        if worker not in self._answers:
            self._answers[worker] = self._read(worker)
        return self._answers[worker].get(unit)

    def _read(self, worker: WorkerId) -> dict[UnitId, bool | None]:
        evaluated: set[UnitId] = set()
        answers: dict[UnitId, bool | None] = {}
        for recorded in self._as_of.stream(streams.engagement(self._run, worker)):
            match recorded.envelope.event:
                case WorkStarted() as event if event.evaluation is not None:
                    evaluated.add(event.unit)
                case CallbackAnswered() as event if event.callback == ON_SUBMITTED and event.unit in evaluated:
                    answers[event.unit] = event.answer if isinstance(event.answer, bool) else None
        return answers
