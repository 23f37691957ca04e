"""Calls `on_unit_submitted` once per submission and records its verdict.

The verdict is recorded together with its consequences: whether a worker passed a screening, and how many gold units it
got right. A resumed run makes the calls that its earlier process did not get to.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ....events import streams
from ....events.engagement import CallbackAnswered
from ....events.envelope import RecordedEvent
from ....events.ids import UnitId, WorkerId
from ....events.unit import UnitCompleted
from ...command_issuer import CommandIssuer
from ...commands.admission import GoldQualifications, RecordEvaluation, ScreeningQualifications
from ...errors import UserCodeError
from ...ledger import Ledger
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
    """The submissions of one run that the launch script has not answered yet."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._context = context
        self._run = context.task_run
        self._callback = context.blueprint.shared_state.on_unit_submitted
        self._units = Units(ledger, context.task_run)
        #: Unanswered units, with the workers who submitted them.
        self._unanswered: dict[UnitId, WorkerId] = {}
        self._answered = Signal()

    def resume(self) -> None:
        """Call the launch script for submissions that an earlier process of the run did not get to."""
        state = self._ledger.state
        for stream, unit in state.units.items():
            if unit.status is UnitStatus.COMPLETED and streams.run_of(stream) == self._run and unit.worker is not None:
                engagement = state.engagements[streams.engagement(self._run, unit.worker)]
                if (ON_SUBMITTED, unit.unit) not in engagement.answers:
                    self._call_soon(unit.unit, unit.worker)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow submissions and recorded answers among durable events of the run."""
        for recorded in events:
            event = recorded.envelope.event
            if isinstance(event, UnitCompleted):
                unit = self._ledger.state.units[recorded.envelope.stream]
                if unit.worker is not None:
                    self._call_soon(unit.unit, unit.worker)
            elif isinstance(event, CallbackAnswered) and event.callback == ON_SUBMITTED:
                self._unanswered.pop(event.unit, None)
                self._answered.notify()

    @property
    def all_answered(self) -> bool:
        """True if the launch script has answered every submission."""
        return not self._unanswered

    async def wait_decided(self, worker: WorkerId, seconds: float) -> None:
        """Wait until a worker's submissions are answered, if the run's next step for it depends on that.

        Args:
            worker: the worker.
            seconds: seconds to wait at most.
        """
        if self._context.screening is None and self._context.golds is None:
            return
        with trio.move_on_after(seconds):
            while worker in self._unanswered.values():
                await self._answered.wait()

    def _call_soon(self, unit: UnitId, worker: WorkerId) -> None:
        if self._callback is not None:
            self._unanswered[unit] = worker
            self._context.nursery.start_soon(self._call, unit, worker)

    async def _call(self, unit: UnitId, worker: WorkerId) -> None:
        if self._callback is None:
            return
        verdict: bool | None = None
        try:
            answer = await call(self._callback, self._units.submitted_unit(unit))
            verdict = answer if isinstance(answer, bool) else None
        except UserCodeError:
            logger.exception("on_unit_submitted failed", unit=unit)
        evaluation = RecordEvaluation(
            task_run=self._run,
            unit=unit,
            worker=worker,
            answer=verdict,
            screening=self._screening_qualifications(),
            golds=self._gold_qualifications(),
        )
        await self._issuer.issue(evaluation)

    def _screening_qualifications(self) -> ScreeningQualifications | None:
        screening, names = self._context.screening, self._ledger.state.qualifications_by_name
        if screening is None:
            return None
        return ScreeningQualifications(names[screening.passed_qualification], names[screening.failed_qualification])

    def _gold_qualifications(self) -> GoldQualifications | None:
        golds, names = self._context.golds, self._ledger.state.qualifications_by_name
        return None if golds is None else GoldQualifications(*(names[name] for name in golds.qualifications))
