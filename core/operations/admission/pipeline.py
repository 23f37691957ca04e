"""The steps that a worker passes before it gets a unit: qualification, onboarding, screening, gold, unit.

Each can be there or not, whichever others are. A step that says no ends in an event that names the rule and what it
looked at; one that wants something of the worker first gives it that instead of a unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

import trio

from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import AgentId, OnboardingAgentId, WorkerId
from ....events.unit import UnitCreated
from ...abstractions.agent import Update
from ...decisions.assign_work import Applicant, Evaluating, decide_assign_unit, decide_start_onboarding
from ...decisions.evaluate_worker import SCREENING
from ...decisions.launch_work import AssignmentPlan
from ...decisions.worker_events import decide_refuse
from ...ledger import Command, Decide, Ledger
from ...ports import AppendResult, Ids, NewEvent
from ...state.decision_state import DecisionState
from ..run_context import RunContext
from ..task_launcher import TaskLauncher
from .eligibility import Eligibility
from .evaluation_step import NextStep, RequiredUnit
from .gold_step import GoldStep
from .screening_step import ScreeningStep

#: Seconds that a worker waits for units that are just being launched.
OFFER_PATIENCE_SECONDS = 2.0
#: Pages tell an onboarding by the beginning of its agent's id.
ONBOARDING_PREFIX = "onboarding_"


class EvaluationStep(Protocol):
    """A step that may want a worker to show something before ordinary work."""

    def resume(self) -> None:
        """Continue where an earlier process of the run stood."""

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """What the worker, who has these qualifications, has to do first."""

    def return_data(self, data: Update) -> None:
        """Take data back that came to no unit."""


class Admission:
    """Admits workers to the units of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids, launcher: TaskLauncher) -> None:
        self._ledger = ledger
        self._ids = ids
        self._context = context
        self._run = context.task_run
        self._launcher = launcher
        self._eligibility = Eligibility(context, ledger, ids)
        self._steps: list[EvaluationStep] = []
        if context.screening is not None:
            self._steps.append(ScreeningStep(context, ledger, context.screening))
        if context.golds is not None:
            self._steps.append(GoldStep(context, ledger, ids, context.golds))

    def resume(self) -> None:
        """Let the steps continue where an earlier process of the run stood."""
        for step in self._steps:
            step.resume()

    async def admit(self, worker: WorkerId, registration: str) -> RefusalReason | None:
        """Make a page an agent if it has none and may have one; the reason if it gets none."""
        refused = self._eligibility.refusal(worker)
        if refused is not None:
            return await self._take(worker, partial(decide_refuse, run=self._run, worker=worker, refused=refused))
        applicant = Applicant(worker, AgentId(self._ids.next_id("agent")), self._ids.token(), registration)
        if self._eligibility.has_to_be_onboarded(worker):
            onboarding = OnboardingAgentId(self._ids.next_id("onboarding_agent"))
            applicant = applicant._replace(token=f"{ONBOARDING_PREFIX}{applicant.token}")
            decide = partial(decide_start_onboarding, run=self._run, applicant=applicant, agent=onboarding)
            return await self._take(worker, decide)
        return await self._take_unit(applicant)

    async def _take_unit(self, applicant: Applicant) -> RefusalReason | None:
        """Reserve a unit for the applicant; one who comes while units are being launched is not sent away."""
        launcher = self._launcher
        patience = trio.current_time() + OFFER_PATIENCE_SECONDS
        while launcher.is_about_to_launch and trio.current_time() < patience:
            # Taken before it is tried: what changes meanwhile is reason enough to try again.
            change = launcher.next_change()
            reason = await self._try_to_take_unit(applicant, more_to_come=True)
            if reason or self._ledger.state.agent_by_registration(self._run, applicant.registration) is not None:
                return reason
            # The wait alone is cut short: a launch script that was asked something is heard.
            with trio.move_on_at(patience):
                await change.wait()
        return await self._try_to_take_unit(applicant, more_to_come=False)

    async def _try_to_take_unit(self, applicant: Applicant, *, more_to_come: bool) -> RefusalReason | None:
        worker = applicant.worker
        eligible_units = await self._eligibility.willing_units(worker)
        decide = partial(
            decide_assign_unit,
            run=self._run,
            applicant=applicant,
            concurrent=self._context.task_runner.is_concurrent,
            eligible_units=eligible_units,
            more_to_come=more_to_come,
        )
        for step in self._steps:
            wanted = await step.next_requirement(worker, self._eligibility.granted(worker))
            if isinstance(wanted, RequiredUnit):
                return await self._evaluate(worker, step, wanted, decide)
            if wanted is not None:
                return await self._take(worker, wanted)
        return await self._take(worker, decide)

    async def _evaluate(
        self, worker: WorkerId, step: EvaluationStep, wanted: RequiredUnit, decide: partial[list[NewEvent]]
    ) -> RefusalReason | None:
        """Have a unit made for the worker, which it gets instead of the ordinary one that it could have."""
        kind, data = wanted.kind, wanted.data
        if data is None:
            return await self._take(worker, partial(decide, evaluating=Evaluating(kind)))
        launcher = self._launcher
        launch = launcher.launch_screening_unit if kind == SCREENING else launcher.launch_gold_unit

        def take(state: DecisionState, plan: AssignmentPlan) -> list[NewEvent]:
            return decide(state, evaluating=Evaluating(kind, plan, wanted.most, wanted.required))

        receipt = await launch(data, take, actor=f"worker/{worker}")
        if not any(isinstance(recorded.envelope.event, UnitCreated) for recorded in receipt.events):
            step.return_data(data)
        return _refusal_reason(receipt)

    async def _take(self, worker: WorkerId, decide: Decide) -> RefusalReason | None:
        """Have it decided what a worker gets; the reason if it gets nothing."""
        return _refusal_reason(await self._ledger.execute(Command(self._ids.command_id(), f"worker/{worker}", decide)))


def _refusal_reason(receipt: AppendResult) -> RefusalReason | None:
    last = receipt.events[-1].envelope.event if receipt.events else None
    return last.reason if isinstance(last, WorkerRefused) else None
