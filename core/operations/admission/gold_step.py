"""The gold step: mixes units with known answers into workers' ordinary work."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....events import streams
from ....events.engagement import RefusalReason, WorkerAssessed, WorkerRefused
from ....events.ids import GOLD_UNIT_INDEX, WorkerId
from ...abstractions.agent import Update
from ...abstractions.use_gold_unit import Golds, GoldUnitSharedState, GoldWorker
from ...command_issuer import CommandIssuer
from ...commands.admission import DisqualifyWorker, GoldQualifications, RecordAssessment, RefuseWorker
from ...decisions.evaluate_worker import GOLD, known_assessment
from ...errors import ConfigError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.engagement import EngagementState
from ...ports import Ids
from ..launching.assignment_data import is_usable
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_code.calls import call
from ..task_code.timings import UserFunction, timings
from .evaluation_step import NextStep, RequiredUnit

logger = get_logger(__name__)


class GoldStep:
    """Mixes gold units into the work of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids, golds: Golds) -> None:
        shared_state = context.blueprint.shared_state
        if not isinstance(shared_state, GoldUnitSharedState):
            raise ConfigError("gold units take a GoldUnitSharedState", key="shared_state")
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._run = context.task_run
        self._max_item_bytes = context.settings.max_item_bytes
        self._golds = golds
        self._shared_state = shared_state

    def resume(self) -> None:
        """Do nothing: the log holds all that the step needs."""

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """Return the gold unit that a worker has to do first, if one is due."""
        golds, shared = self._golds, self._shared_state
        completed = granted.get(golds.completed_qualification, 0)
        correct, wrong = granted.get(golds.correct_qualification, 0), granted.get(golds.wrong_qualification, 0)
        facts = {"units_completed": completed, "num_correct": correct, "num_incorrect": wrong}
        qualifies = await self._ask(
            worker, "worker_qualifies", shared.worker_qualifies, facts | {"max_incorrect_golds": golds.max_incorrect}
        )
        if qualifies is None:
            return self._refuse(worker, "worker_qualifies", facts)
        if not qualifies.answer:
            ids = self._qualification_ids()
            return DisqualifyWorker(task_run=self._run, worker=worker, assessment=qualifies, golds=ids)
        required = correct < golds.min_golds
        left = golds.max_units - self._ledger.state.runs[self._run].evaluations(GOLD_UNIT_INDEX)
        if left <= 0 and not required:
            return None
        needs = await self._ask(
            worker, "worker_needs_gold", shared.worker_needs_gold, facts | {"min_golds": golds.min_golds}
        )
        if needs is not None and not needs.answer:
            return None
        data = await self._gold_for(worker)
        if data is not None and needs is not None:
            return RequiredUnit(GOLD, data, golds.max_units, required)
        return self._refuse(worker, "gold_data", facts) if required else None

    def return_data(self, data: Update) -> None:
        """Do nothing: the launch script chooses a gold unit for its worker again."""

    async def _gold_for(self, worker: WorkerId) -> Update | None:
        state = self._ledger.state
        engagement = state.engagements.get(streams.engagement(self._run, worker))
        given = engagement.given(GOLD) if engagement else 0
        seed = f"{state.task_runs[streams.task_run(self._run)].seed}/{worker}"
        choose: Callable[[GoldWorker], object] = self._shared_state.get_gold_for_worker
        try:
            with timings().function(UserFunction.GOLD_DATA):
                gold = await call(choose, GoldWorker(worker, given, seed))
        except UserCodeError:
            logger.exception("get_gold_for_worker failed", worker=worker)
            return None
        if gold is not None and not is_usable(gold, self._max_item_bytes):
            logger.error("get_gold_for_worker returned no JSON object", worker=worker, returned=type(gold).__name__)
            return None
        return gold

    async def _ask(
        self, worker: WorkerId, callback: str, ask: Callable[[int, int, int, int], object], facts: dict[str, int]
    ) -> WorkerAssessed | None:
        """Return the answer of the launch script's code about a worker and these facts; None if the code failed."""
        known = known_assessment(self._engagement(worker), callback, facts)
        if known is not None:
            return WorkerAssessed(callback=callback, facts=facts, answer=known)
        try:
            with timings().function(UserFunction.QUALIFIES):
                answer = await call(ask, *facts.values())
        except UserCodeError:
            logger.exception(f"{callback} failed", worker=worker)
            return None
        judged = WorkerAssessed(callback=callback, facts=facts, answer=bool(answer))
        await self._issuer.issue(RecordAssessment(task_run=self._run, worker=worker, assessment=judged))
        return judged

    def _engagement(self, worker: WorkerId) -> EngagementState | None:
        return self._ledger.state.engagements.get(streams.engagement(self._run, worker))

    def _refuse(self, worker: WorkerId, rule: str, facts: Mapping[str, int]) -> NextStep:
        refused = WorkerRefused(rule=rule, inputs=dict(facts), reason=RefusalReason.NO_AVAILABLE_UNITS)
        return RefuseWorker(task_run=self._run, worker=worker, refusal=refused)

    def _qualification_ids(self) -> GoldQualifications:
        names = self._ledger.state.qualifications_by_name
        return GoldQualifications(*(names[name] for name in self._golds.qualifications))
