"""Takes a worker through the steps before it gets a unit: qualification, onboarding, screening, gold, unit.

All steps are optional, independently of each other. A step that refuses a worker records an event with the rule and
its inputs. A step that requires something first gives the worker that instead of an ordinary unit.
"""

from __future__ import annotations

from itertools import islice

import msgspec
import trio
from msgspec.structs import replace

from ....events import streams
from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import AgentId, OnboardingAgentId, TaskRunId, WorkerId
from ....events.unit import UnitCreated
from ...abstractions.shared_task_state import OnboardingSharedState
from ...abstractions.work_data import to_plain
from ...command_issuer import CommandIssuer
from ...commands.admission import Applicant, AssignUnit, RefuseWorker, RequiredEvaluation, StartOnboarding
from ...commands.base import Command
from ...decisions.evaluate_worker import SCREENING
from ...errors import UserCodeError
from ...ledger import Ledger
from ...payloads import seal
from ...ports import AppendResult, Ids, Payload
from ..agent_pages import AgentPages
from ..run_context import RunContext
from ..task_code.user_code import UserCode
from ..task_launcher import TaskLauncher
from .eligibility import Eligibility
from .evaluation_step import EvaluationStep, NextStep, RequiredUnit
from .gold_step import GoldStep
from .screening_step import ScreeningStep

#: Seconds that a worker waits for units that are about to be launched.
OFFER_TIMEOUT_SECONDS = 2.0
#: Seconds that a worker waits for a partner whose page does not answer: long enough for its router to give it up.
PARTNER_TIMEOUT_SECONDS = 20.0
#: Agents waiting for partners whose pages are asked whether they are open; the others count as absent.
MAX_PARTNERS_ASKED = 200
#: The rule that a worker gets no unit whose other workers have closed their pages.
PARTNER_PRESENT = "partner_present"
#: The rule that a worker gets nothing while nobody knows whether it may, because the task's code failed.
CALLBACK_FAILED = "callback_failed"
#: Pages recognize an onboarding by the prefix of its agent's token.
ONBOARDING_PREFIX = "onboarding_"


class Admission:
    """Admits workers to the units of one run."""

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        launcher: TaskLauncher,
        pages: AgentPages,
        user_code: UserCode,
    ) -> None:
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._context = context
        self._run = context.task_run
        self._launcher = launcher
        self._pages = pages
        self._user_code = user_code
        self._eligibility = Eligibility(context, ledger, ids, user_code)
        self._onboarding_inputs = _onboarding_inputs(context, ids)
        self._steps: list[EvaluationStep] = []
        if context.screening is not None:
            self._steps.append(ScreeningStep(context, ledger, context.screening, user_code))
        if context.golds is not None:
            self._steps.append(GoldStep(context, ledger, ids, context.golds, user_code))

    def resume(self) -> None:
        """Let the steps continue where an earlier process of the run stood."""
        for step in self._steps:
            step.resume()

    def retry(self) -> None:
        """Let the steps ask code again that has failed before."""
        for step in self._steps:
            step.retry()

    async def admit(self, worker: WorkerId, registration: str) -> RefusalReason | None:
        """Give a page that has no agent an agent, if its worker may have one.

        Args:
            worker: the worker.
            registration: identifies the page.

        Returns:
            The reason if the page gets none.
        """
        refused = self._eligibility.refusal(worker)
        if refused is not None:
            return await self._issue(RefuseWorker(task_run=self._run, worker=worker, refusal=refused), worker)
        applicant = Applicant(worker, self._ids.token(), registration)
        if self._eligibility.has_to_be_onboarded(worker):
            onboarding = OnboardingAgentId(self._ids.next_id("onboarding_agent"))
            applicant = replace(applicant, token=f"{ONBOARDING_PREFIX}{applicant.token}")
            inputs = self._onboarding_inputs
            ref = None if inputs is None else inputs.ref
            start = StartOnboarding(task_run=self._run, applicant=applicant, agent=onboarding, inputs=ref)
            return await self._issue(start, worker, *([] if inputs is None else [inputs]))
        return await self._assign_unit(applicant)

    async def _assign_unit(self, applicant: Applicant) -> RefusalReason | None:
        """Reserve a unit for the applicant; while units are being launched, it waits instead of being refused."""
        launcher, agent = self._launcher, AgentId(self._ids.next_id("agent"))
        deadline = trio.current_time() + OFFER_TIMEOUT_SECONDS
        while launcher.is_about_to_launch and trio.current_time() < deadline:
            # Taken before the attempt: a change during it is a reason to try again.
            change = launcher.next_change()
            reason = await self._try_to_assign_unit(applicant, agent, more_to_come=True)
            if reason or self._ledger.state.agent_by_registration(self._run, applicant.registration) is not None:
                return reason
            # Only the wait has a deadline: calls of the launch script's code are not cut short.
            with trio.move_on_at(deadline):
                await change.wait()
        deadline = trio.current_time() + PARTNER_TIMEOUT_SECONDS
        while trio.current_time() < deadline:
            reason = await self._try_to_assign_unit(applicant, agent, more_to_come=False)
            if reason or self._ledger.state.agent_by_registration(self._run, applicant.registration) is not None:
                return reason
            # All units left are those of partners who are not there; each attempt has waited for them.
        refused = WorkerRefused(rule=PARTNER_PRESENT, inputs={}, reason=RefusalReason.NO_AVAILABLE_UNITS)
        return await self._issue(
            RefuseWorker(task_run=self._run, worker=applicant.worker, refusal=refused), applicant.worker
        )

    async def _requirement(self, step: EvaluationStep, worker: WorkerId) -> NextStep:
        """Return what a worker has to do first.

        The step is asked again if the worker was judged while the launch script's code was choosing.

        Raises:
            UserCodeError: the task's code failed, so nobody knows.
        """
        while True:
            granted = self._eligibility.granted(worker)
            requirement = await step.next_requirement(worker, granted)
            if self._eligibility.granted(worker) == granted:
                return requirement
            if isinstance(requirement, RequiredUnit) and requirement.data is not None:
                step.return_data(requirement.data)

    async def _absent_partners(self) -> tuple[AgentId, ...]:
        """Return the agents that wait for partners and whose pages do not answer."""
        state, run = self._ledger.state, self._run
        waiting = tuple(state.runs[run].waiting)
        asked = {state.agents[streams.agent(run, agent)].token: agent for agent in islice(waiting, MAX_PARTNERS_ASKED)}
        absent = await self._pages.absent(asked.keys())
        return (*(asked[token] for token in absent), *waiting[MAX_PARTNERS_ASKED:])

    def _counted_runs(self) -> tuple[TaskRunId, ...]:
        """Return the other runs whose units count against the maximum of a worker."""
        run = self._ledger.state.task_runs[streams.task_run(self._run)]
        if not (run.maximum_units_per_worker and run.maximum_is_per_task):
            return ()
        return tuple(one for one in self._ledger.state.runs_of_task[run.task] if one != self._run)

    async def _try_to_assign_unit(
        self, applicant: Applicant, agent: AgentId, *, more_to_come: bool
    ) -> RefusalReason | None:
        worker = applicant.worker
        eligible = await self._eligibility.eligible_units(worker)
        if eligible is not None and eligible.failed and not eligible.units:
            return await self.refuse_for_now(worker, eligible.failed)
        assign = AssignUnit(
            task_run=self._run,
            applicant=applicant,
            agent=agent,
            concurrent=self._context.task_runner.is_concurrent,
            eligible_units=None if eligible is None else eligible.units,
            more_to_come=more_to_come,
            absent=await self._absent_partners(),
            counted_runs=self._counted_runs(),
        )
        for step in self._steps:
            try:
                requirement = await self._requirement(step, worker)
            except UserCodeError as error:
                return await self.refuse_for_now(worker, error.function)
            if isinstance(requirement, RequiredUnit):
                return await self._evaluate(step, requirement, assign)
            if requirement is not None:
                return await self._issue(requirement, worker)
        return await self._issue(assign, worker)

    async def refuse_for_now(self, worker: WorkerId, function: str) -> RefusalReason:
        """Refuse a worker because a function of the task's code failed; returns the reason."""
        reason = RefusalReason.PAUSED if self._user_code.is_admission_paused else RefusalReason.TECHNICAL_PROBLEM
        refused = WorkerRefused(rule=CALLBACK_FAILED, inputs={"function": function}, reason=reason)
        await self._issue(RefuseWorker(task_run=self._run, worker=worker, refusal=refused), worker)
        return reason

    async def _evaluate(
        self, step: EvaluationStep, requirement: RequiredUnit, assign: AssignUnit
    ) -> RefusalReason | None:
        """Make a unit for the worker, who gets it instead of an ordinary one."""
        kind, data = requirement.kind, requirement.data
        if data is None:
            return await self._issue(replace(assign, evaluation=RequiredEvaluation(kind)), assign.applicant.worker)
        launcher = self._launcher
        launch = launcher.launch_screening_unit if kind == SCREENING else launcher.launch_gold_unit
        evaluation = RequiredEvaluation(kind, maximum=requirement.maximum, required=requirement.required)
        result = await launch(data, replace(assign, evaluation=evaluation))
        if not any(isinstance(recorded.envelope.event, UnitCreated) for recorded in result.events):
            step.return_data(data)
        return _refusal_reason(result)

    async def _issue(self, command: Command, worker: WorkerId, *payloads: Payload) -> RefusalReason | None:
        """Issue a command about what a worker gets; returns the reason if it gets nothing."""
        return _refusal_reason(await self._issuer.issue(command, *payloads, actor=f"worker/{worker}"))


def _onboarding_inputs(context: RunContext, ids: Ids) -> Payload | None:
    """Return what the page of an onboarding is given; None if the script gives nothing.

    It belongs to no worker: all onboardings of this process refer to the same bytes.
    """
    shared = context.blueprint.shared_state
    data = shared.onboarding_data if isinstance(shared, OnboardingSharedState) else {}
    return seal(msgspec.json.encode(data, enc_hook=to_plain), ids.salt()) if data else None


def _refusal_reason(result: AppendResult) -> RefusalReason | None:
    last = result.events[-1].envelope.event if result.events else None
    return last.reason if isinstance(last, WorkerRefused) else None
