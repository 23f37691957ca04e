"""Tells the launch script of each submission, once, and acts on what it answers.

The answer is recorded together with what follows from it: whether a worker passed a screening, and how many gold units
it got right. A run that is taken up again tells of what its earlier process could not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

from ....events import streams
from ....events.engagement import CallbackAnswered
from ....events.envelope import RecordedEvent
from ....events.ids import UnitId, WorkerId
from ....events.unit import UnitCompleted
from ...decisions.evaluate_worker import GoldQualifications, ScreeningQualifications, decide_record_evaluation
from ...errors import UserCodeError
from ...ledger import Command, Ledger
from ...lifecycles.engagement import ON_SUBMITTED
from ...lifecycles.unit import UnitStatus
from ...ports import Ids
from ...signal import Signal
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import call
from .units import Units

logger = get_logger(__name__)


class SubmissionCallbacks:
    """What was handed in in one run, and what the launch script says to it."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._context = context
        self._run = context.task_run
        self._callback = context.blueprint.shared_state.on_unit_submitted
        self._units = Units(ledger, context.task_run)
        #: Who handed in the units that the launch script has not answered to.
        self._untold: dict[UnitId, WorkerId] = {}
        self._told = Signal()

    def resume(self) -> None:
        """Tell of the submissions that an earlier process of the run has not told of."""
        state = self._ledger.state
        for stream, unit in state.units.items():
            if unit.status is UnitStatus.COMPLETED and streams.run_of(stream) == self._run and unit.worker is not None:
                engagement = state.engagements[streams.engagement(self._run, unit.worker)]
                if (ON_SUBMITTED, unit.unit) not in engagement.answers:
                    self._tell_soon(unit.unit, unit.worker)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow durable events of the run. For the run's subscription."""
        for recorded in events:
            event = recorded.envelope.event
            if isinstance(event, UnitCompleted):
                unit = self._ledger.state.units[recorded.envelope.stream]
                if unit.worker is not None:
                    self._tell_soon(unit.unit, unit.worker)
            elif isinstance(event, CallbackAnswered) and event.callback == ON_SUBMITTED:
                self._untold.pop(event.unit, None)
                self._told.notify()

    @property
    def all_answered(self) -> bool:
        """Whether the launch script has answered to all that was handed in."""
        return not self._untold

    async def wait_decided(self, worker: WorkerId, seconds: float) -> None:
        """Wait while something that a worker handed in is being looked at, if its next step depends on that.

        Args:
            worker: the worker.
            seconds: how long to wait at most.
        """
        if self._context.screening is None and self._context.golds is None:
            return
        with trio.move_on_after(seconds):
            while worker in self._untold.values():
                await self._told.wait()

    def _tell_soon(self, unit: UnitId, worker: WorkerId) -> None:
        if self._callback is not None:
            self._untold[unit] = worker
            self._context.nursery.start_soon(self._tell, unit, worker)

    async def _tell(self, unit: UnitId, worker: WorkerId) -> None:
        if self._callback is None:
            return
        verdict: bool | None = None
        try:
            answer = await call(self._callback, self._units.submitted_unit(unit))
            verdict = answer if isinstance(answer, bool) else None
        except UserCodeError:
            logger.exception("on_unit_submitted failed", unit=unit)
        told = partial(
            decide_record_evaluation,
            run=self._run,
            unit=unit,
            worker=worker,
            answer=verdict,
            screening=self._screening_marks(),
            golds=self._gold_marks(),
        )
        await self._ledger.execute(Command(self._ids.command_id(), "operator", told))

    def _screening_marks(self) -> ScreeningQualifications | None:
        screening, names = self._context.screening, self._ledger.state.qualifications_by_name
        if screening is None:
            return None
        return ScreeningQualifications(names[screening.passed_qualification], names[screening.failed_qualification])

    def _gold_marks(self) -> GoldQualifications | None:
        golds, names = self._context.golds, self._ledger.state.qualifications_by_name
        return None if golds is None else GoldQualifications(*(names[name] for name in golds.qualifications))
