"""Which workers may work in a run, and on which of its units: qualifications, and the launch script's own code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice

from ....events import streams
from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import UnitId, WorkerId
from ...abstractions.agent import Unit
from ...abstractions.qualifications import unmet_rules
from ...abstractions.task_runner import TaskRunner
from ...decisions.worker_events import decide_record_answers
from ...errors import UserCodeError
from ...ledger import Command, Ledger
from ...ports import Ids
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_code.calls import call
from ..task_code.timings import UserFunction, timings
from ..task_code.units import Units

#: Units that the task's own code is asked about for one worker at most.
UNITS_ASKED_ABOUT_LIMIT = 50
CAN_DO_UNIT = "worker_can_do_unit"

logger = get_logger(__name__)


class Eligibility:
    """The rules of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._context = context
        self._units = Units(ledger, context.task_run)

    def granted(self, worker: WorkerId) -> dict[str, int]:
        """The worker's qualifications by name."""
        state = self._ledger.state
        names = {number: name for name, number in state.qualifications_by_name.items()}
        held = state.workers[streams.worker(worker)].qualifications
        return {names[number]: value for number, value in held.items()}

    def has_to_be_onboarded(self, worker: WorkerId) -> bool:
        """Whether the run onboards workers, and this one neither passed nor failed."""
        name = self._context.onboarding_qualification
        return name is not None and name not in self.granted(worker)

    def refusal(self, worker: WorkerId) -> WorkerRefused | None:
        """The first rule of the run that the worker does not satisfy, if there is one."""
        rules, onboarding = self._context.qualifications, self._context.onboarding_qualification
        if not (rules or onboarding):
            return None
        granted = self.granted(worker)
        if onboarding and granted.get(onboarding) == 0:
            failed: dict[str, str | int | bool | None] = {"qualification": onboarding, "has": 0}
            return WorkerRefused(rule="onboarding", inputs=failed, reason=RefusalReason.NOT_QUALIFIED)
        for rule in unmet_rules(granted, rules):
            inputs = {
                "qualification": rule.qualification_name,
                "comparator": rule.comparator.value,
                "wanted": str(list(rule.value)) if isinstance(rule.value, tuple) else rule.value,
                "has": granted.get(rule.qualification_name),
            }
            return WorkerRefused(rule="qualification", inputs=inputs, reason=RefusalReason.NOT_QUALIFIED)
        return None

    async def willing_units(self, worker: WorkerId) -> list[UnitId] | None:
        """The units that the task's own code has nothing against, its answers recorded; None: it has no say."""
        runner, ask = self._context.task_runner, self._context.blueprint.shared_state.worker_can_do_unit
        filters = type(runner).filter_units_for_worker is not TaskRunner.filter_units_for_worker
        if ask is None and not filters:
            return None
        offered = self._ledger.state.runs[self._context.task_run].offered
        units = [self._units.unit(unit) for unit in islice(offered, UNITS_ASKED_ABOUT_LIMIT)]
        if filters:
            units = await self._filtered(units, worker)
        if ask is None:
            return [unit.unit_id for unit in units]
        engagement = self._ledger.state.engagements.get(streams.engagement(self._context.task_run, worker))
        answers = {} if engagement is None else {u: a for (c, u), a in engagement.answers.items() if c == CAN_DO_UNIT}
        unasked = [unit for unit in units if unit.unit_id not in answers]
        new = {unit.unit_id: await self._may_do(worker, unit) for unit in unasked}
        if new:
            decide = partial(
                decide_record_answers, run=self._context.task_run, worker=worker, callback=CAN_DO_UNIT, answers=new
            )
            await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))
        return [unit.unit_id for unit in units if {**answers, **new}[unit.unit_id]]

    async def _filtered(self, units: list[Unit], worker: WorkerId) -> list[Unit]:
        try:
            with timings().function(UserFunction.FILTER_UNITS):
                wanted: object = await call(self._context.task_runner.filter_units_for_worker, units, worker)
        except UserCodeError:
            logger.exception("filter_units_for_worker failed: the worker gets no unit", worker=worker)
            return []
        if not isinstance(wanted, Sequence) or not all(isinstance(unit, Unit) for unit in wanted):
            logger.error("filter_units_for_worker gave no sequence of units: the worker gets none", worker=worker)
            return []
        return list(wanted)

    async def _may_do(self, worker: WorkerId, unit: Unit) -> bool:
        ask = self._context.blueprint.shared_state.worker_can_do_unit
        if ask is None:
            return True
        try:
            with timings().function(UserFunction.CAN_DO_UNIT):
                return bool(await call(ask, worker, unit))
        except UserCodeError:
            logger.exception("worker_can_do_unit failed: the worker does not get the unit", worker=worker)
            return False
