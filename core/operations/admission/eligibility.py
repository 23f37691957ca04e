"""Decides which units a worker may take: qualification rules first, then the launch script's callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ....events import streams
from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import UnitId, WorkerId
from ...abstractions.agent import Unit
from ...abstractions.qualifications import unmet_rules
from ...abstractions.task_runner import TaskRunner
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordAnswers
from ...errors import UserCodeError
from ...ledger import Ledger
from ...ports import Ids
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_code.calls import call
from ..task_code.timings import UserFunction, timings
from ..task_code.units import Units

#: Maximum number of units per request that the task's code is asked about.
MAX_UNITS_ASKED_ABOUT = 50
CAN_DO_UNIT = "worker_can_do_unit"

logger = get_logger(__name__)


class Eligibility:
    """The eligibility rules of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._context = context
        self._units = Units(ledger, context.task_run)

    def granted(self, worker: WorkerId) -> dict[str, int]:
        """Return a worker's qualifications by name."""
        state = self._ledger.state
        names = {number: name for name, number in state.qualifications_by_name.items()}
        held = state.workers[streams.worker(worker)].qualifications
        return {names[number]: value for number, value in held.items()}

    def has_to_be_onboarded(self, worker: WorkerId) -> bool:
        """Return whether the run has an onboarding that this worker has neither passed nor failed."""
        name = self._context.onboarding_qualification
        return name is not None and name not in self.granted(worker)

    def refusal(self, worker: WorkerId) -> WorkerRefused | None:
        """Return the refusal by the first rule that the worker does not satisfy, if there is one."""
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

    async def eligible_units(self, worker: WorkerId) -> list[UnitId] | None:
        """Return the units that the task's code allows a worker to take, and record its answers.

        Returns:
            The units, in the order of preference; None if the task has no such code.
        """
        runner, ask = self._context.task_runner, self._context.blueprint.shared_state.worker_can_do_unit
        filters = type(runner).filter_units_for_worker is not TaskRunner.filter_units_for_worker
        if ask is None and not filters:
            return None
        offered = self._ledger.state.runs[self._context.task_run].offered
        units = [self._units.unit(unit) for unit in islice(offered, MAX_UNITS_ASKED_ABOUT)]
        if filters:
            units = await self._filtered(units, worker)
        if ask is None:
            return [unit.unit_id for unit in units]
        engagement = self._ledger.state.engagements.get(streams.engagement(self._context.task_run, worker))
        answers = {} if engagement is None else {u: a for (c, u), a in engagement.answers.items() if c == CAN_DO_UNIT}
        unasked = [unit for unit in units if unit.unit_id not in answers]
        new = {unit.unit_id: await self._may_do(worker, unit) for unit in unasked}
        if new:
            await self._issuer.issue(
                RecordAnswers(task_run=self._context.task_run, worker=worker, callback=CAN_DO_UNIT, answers=new)
            )
        return [unit.unit_id for unit in units if {**answers, **new}[unit.unit_id]]

    async def _filtered(self, units: list[Unit], worker: WorkerId) -> list[Unit]:
        try:
            with timings().function(UserFunction.FILTER_UNITS):
                filtered: object = await call(self._context.task_runner.filter_units_for_worker, units, worker)
        except UserCodeError:
            logger.exception("filter_units_for_worker failed: the worker gets no unit", worker=worker)
            return []
        if not isinstance(filtered, Sequence) or not all(isinstance(unit, Unit) for unit in filtered):
            logger.error("filter_units_for_worker returned no sequence of units: the worker gets none", worker=worker)
            return []
        return list(filtered)

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
