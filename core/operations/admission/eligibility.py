"""Decides which units a worker may take: qualification rules first, then the launch script's callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from ....events import streams
from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import UnitId, WorkerId
from ...abstractions.agent import Unit, Worker
from ...abstractions.callbacks import FILTER_UNITS, WORKER_CAN_DO_UNIT
from ...abstractions.qualifications import unmet_rules
from ...abstractions.task_runner import TaskRunner
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordAnswers
from ...decisions.admission_rules import ADMISSION_OPEN
from ...errors import UserCodeError
from ...ledger import Ledger
from ...lifecycles.engagement import Answer
from ...ports import Ids
from ..run_context import RunContext
from ..task_code.timings import UserFunction
from ..task_code.units import Units
from ..task_code.user_code import AffectedIds, UserCode

#: Maximum number of units per request that the task's code is asked about.
MAX_UNITS_ASKED_ABOUT = 50
CAN_DO_UNIT = WORKER_CAN_DO_UNIT.name

CanDoUnit = Callable[[Worker, Unit], bool | Awaitable[bool]]


class EligibleUnits(NamedTuple):
    """The units that a worker may take according to the task's code."""

    units: tuple[UnitId, ...]
    #: The function that failed, so that nobody knows about the other units; None if none did.
    failed: str | None = None


class Eligibility:
    """The eligibility rules of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids, user_code: UserCode) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._context = context
        self._user_code = user_code
        self._units = Units(ledger, context, ids)
        #: Units that `worker_can_do_unit` failed on.
        self._failed_on: set[UnitId] = set()

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
        paused_by = self._ledger.state.task_runs[streams.task_run(self._context.task_run)].admission_paused_by
        if paused_by is not None:
            # As the rule of the same name, but before the task's code is asked anything.
            return WorkerRefused(rule=ADMISSION_OPEN, inputs={"failed": paused_by}, reason=RefusalReason.PAUSED)
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

    async def eligible_units(self, worker: WorkerId) -> EligibleUnits | None:
        """Return the units that the task's code allows a worker to take, and record its answers.

        Returns:
            The units, in the order of preference; None if the task has no such code.
        """
        runner, ask = self._context.task_runner, self._context.blueprint.shared_state.worker_can_do_unit
        filters = type(runner).filter_units_for_worker is not TaskRunner.filter_units_for_worker
        if ask is None and not filters:
            return None
        # The code may read about the worker, who may have been registered a moment ago.
        await self._ledger.wait_durable(streams.worker(worker))
        offered = self._ledger.state.runs[self._context.task_run].in_order_of_offer()
        units = [self._units.unit(unit) for unit in islice(offered, MAX_UNITS_ASKED_ABOUT)]
        if filters:
            code = partial(runner.filter_units_for_worker, units, self._units.worker(worker))
            affected = AffectedIds(worker=worker)
            try:
                units = await self._user_code.ask(FILTER_UNITS, code, affected, timed_as=UserFunction.FILTER_UNITS)
            except UserCodeError:
                return EligibleUnits((), failed=FILTER_UNITS.name)
        if ask is None:
            return EligibleUnits(tuple(unit.unit_id for unit in units))
        return await self._units_that(ask, worker, units)

    async def _units_that(self, ask: CanDoUnit, worker: WorkerId, units: Sequence[Unit]) -> EligibleUnits:
        """Return the units that a worker may take according to the launch script."""
        run = self._context.task_run
        engagement = self._ledger.state.engagements.get(streams.engagement(run, worker))
        answers: dict[UnitId, Answer] = {}
        if engagement is not None:
            answers = {unit: yes for (name, unit), yes in engagement.answers.items() if name == CAN_DO_UNIT}
        new: dict[UnitId, Answer] = {}
        failed: str | None = None
        # Those that the code failed on come last, so that they do not keep the others from being asked about.
        unasked = (unit for unit in units if unit.unit_id not in answers)
        for unit in sorted(unasked, key=lambda one: one.unit_id in self._failed_on):
            affected = AffectedIds(worker=worker, unit=unit.unit_id, assignment=unit.assignment.assignment_id)
            code = partial(ask, self._units.worker(worker), unit)
            try:
                new[unit.unit_id] = await self._user_code.ask(
                    WORKER_CAN_DO_UNIT, code, affected, timed_as=UserFunction.CAN_DO_UNIT
                )
            except UserCodeError:
                self._failed_on.add(unit.unit_id)
                failed = WORKER_CAN_DO_UNIT.name
                break
        if new:
            await self._issuer.issue(RecordAnswers(task_run=run, worker=worker, callback=CAN_DO_UNIT, answers=new))
        known = answers | new
        return EligibleUnits(tuple(unit.unit_id for unit in units if known.get(unit.unit_id)), failed)
