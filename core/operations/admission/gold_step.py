"""The gold step: mixes units with known answers into workers' ordinary work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ....events import streams
from ....events.engagement import RefusalReason, WorkerAssessed, WorkerRefused
from ....events.ids import GOLD_UNIT_INDEX, WorkerId
from ...abstractions.agent import Update
from ...abstractions.callbacks import GET_GOLD, WORKER_NEEDS_GOLD, WORKER_QUALIFIES, Callback
from ...abstractions.use_gold_unit import Golds, GoldUnitSharedState, GoldWorker
from ...command_issuer import CommandIssuer
from ...commands.admission import DisqualifyWorker, GoldQualifications, RecordAssessment, RefuseWorker
from ...decisions.evaluate_worker import GOLD, known_assessment
from ...errors import ConfigError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.engagement import EngagementState
from ...ports import Ids
from ..run_context import RunContext
from ..task_code.timings import UserFunction
from ..task_code.units import Units
from ..task_code.user_code import AffectedIds, UserCode
from .evaluation_step import NextStep, RequiredUnit


class GoldStep:
    """Mixes gold units into the work of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids, golds: Golds, user_code: UserCode) -> None:
        shared_state = context.blueprint.shared_state
        if not isinstance(shared_state, GoldUnitSharedState):
            raise ConfigError("gold units take a GoldUnitSharedState", key="shared_state")
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._run = context.task_run
        self._golds = golds
        self._user_code = user_code
        self._shared_state = shared_state
        self._units = Units(ledger, context, ids)

    def resume(self) -> None:
        """Do nothing: the log holds all that the step needs."""

    def retry(self) -> None:
        """Do nothing: the launch script is asked for each worker anyway."""

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """Return the gold unit that a worker has to do first, if one is due.

        Raises:
            UserCodeError: the launch script's code failed. If no gold unit could be chosen for a worker who has shown
                enough already, it gets ordinary work instead.
        """
        golds, shared = self._golds, self._shared_state
        completed = granted.get(golds.completed_qualification, 0)
        correct, wrong = granted.get(golds.correct_qualification, 0), granted.get(golds.wrong_qualification, 0)
        facts = {"units_completed": completed, "num_correct": correct, "num_incorrect": wrong}
        allowed = facts | {"max_incorrect_golds": golds.max_incorrect}
        qualifies = await self._ask(worker, WORKER_QUALIFIES, shared.worker_qualifies, allowed)
        if not qualifies.answer:
            ids = self._qualification_ids()
            return DisqualifyWorker(task_run=self._run, worker=worker, assessment=qualifies, golds=ids)
        required = correct < golds.min_golds
        left = golds.max_units - self._ledger.state.runs[self._run].evaluations(GOLD_UNIT_INDEX)
        if left <= 0 and not required:
            return None
        needed = facts | {"min_golds": golds.min_golds}
        needs = await self._ask(worker, WORKER_NEEDS_GOLD, shared.worker_needs_gold, needed)
        if not needs.answer:
            return None
        try:
            data = await self._gold_for(worker)
        except UserCodeError:
            if required:
                raise
            return None
        if data is not None:
            return RequiredUnit(GOLD, data, golds.max_units, required)
        return self._refuse(worker, "gold_data", facts) if required else None

    def return_data(self, data: Update) -> None:
        """Do nothing: the launch script chooses a gold unit for its worker again."""

    async def _gold_for(self, worker: WorkerId) -> Update | None:
        state = self._ledger.state
        engagement = state.engagements.get(streams.engagement(self._run, worker))
        given = engagement.given(GOLD) if engagement else 0
        seed = f"{state.task_runs[streams.task_run(self._run)].seed}/{worker}"
        choose = partial(self._shared_state.get_gold_for_worker, GoldWorker(worker, given, seed, self._units))
        affected = AffectedIds(worker=worker)
        return await self._user_code.ask(GET_GOLD, choose, affected, timed_as=UserFunction.GOLD_DATA)

    async def _ask(
        self,
        worker: WorkerId,
        callback: Callback[bool],
        ask: Callable[[int, int, int, int], object],
        facts: dict[str, int],
    ) -> WorkerAssessed:
        """Return the answer of the launch script's code about a worker and these facts.

        Raises:
            UserCodeError: the code failed.
        """
        known = known_assessment(self._engagement(worker), callback.name, facts)
        if known is not None:
            return WorkerAssessed(callback=callback.name, facts=facts, answer=known)
        code, affected = partial(ask, *facts.values()), AffectedIds(worker=worker)
        answer = await self._user_code.ask(callback, code, affected, timed_as=UserFunction.QUALIFIES)
        assessed = WorkerAssessed(callback=callback.name, facts=facts, answer=answer)
        await self._issuer.issue(RecordAssessment(task_run=self._run, worker=worker, assessment=assessed))
        return assessed

    def _engagement(self, worker: WorkerId) -> EngagementState | None:
        return self._ledger.state.engagements.get(streams.engagement(self._run, worker))

    def _refuse(self, worker: WorkerId, rule: str, facts: Mapping[str, int]) -> NextStep:
        refused = WorkerRefused(rule=rule, inputs=dict(facts), reason=RefusalReason.NO_AVAILABLE_UNITS)
        return RefuseWorker(task_run=self._run, worker=worker, refusal=refused)

    def _qualification_ids(self) -> GoldQualifications:
        names = self._ledger.state.qualifications_by_name
        return GoldQualifications(*(names[name] for name in self._golds.qualifications))
