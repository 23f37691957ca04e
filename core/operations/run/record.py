"""Records what happens to task runs."""

from __future__ import annotations

import msgspec
import trio

from ....events import streams
from ....events.ids import ProjectId, RequesterId, TaskId, TaskRunId
from ....events.task_run import TaskRunCreated, TaskRunEvent, TaskRunRecovering
from ...command_issuer import OPERATOR, CommandIssuer
from ...commands.task_run import (
    CompleteRun,
    CreateRun,
    DrainRun,
    PauseRun,
    ProjectPlan,
    RecordRunEvent,
    ResumeAdmission,
    SeenRun,
    StopRun,
)
from ...errors import RunExistsError
from ...ledger import Ledger
from ...lifecycles.task_run import TaskRunStatus
from ...ports import Ids
from ...redaction import redacted
from ..launching.owners import RunOwners
from .plan import RunPlan

#: Seconds in which a pause is recorded before the operator leaves without a record.
RECORD_SECONDS = 10.0


class RunRecord:
    """Writes the history of task runs. Every method returns when its events are durable."""

    def __init__(self, ledger: Ledger, ids: Ids, owners: RunOwners | None = None) -> None:
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        self._ids = ids
        self._owners = owners

    async def create(self, plan: RunPlan) -> TaskRunId:
        """Create a run, with its task and requester if they are new.

        Raises:
            RunExistsError: another operator has launched a run of the task since the plan was made.
        """
        run, provider_type = TaskRunId(self._ids.next_id("task_run")), plan.provider_class.PROVIDER_TYPE
        if self._owners is not None:
            # Before others see it.
            await self._owners.take(run)
        created = TaskRunCreated(
            task_run=run,
            task=TaskId(self._ids.next_id("task")),
            requester=RequesterId(self._ids.next_id("requester")),
            blueprint_type=plan.blueprint_class.BLUEPRINT_TYPE,
            architect_type=plan.architect_class.ARCHITECT_TYPE,
            provider_type=provider_type,
            config=msgspec.json.encode(redacted(plan.config)).decode(),
            allowed_concurrent=plan.settings.allowed_concurrent,
            maximum_units_per_worker=plan.settings.maximum_units_per_worker,
            maximum_is_per_task=plan.settings.maximum_units_scope == "task",
            given_by_script=plan.given_by_script,
            budget_cents=plan.settings.budget_cents,
            fee_percent=plan.settings.provider_fee_percent,
            bonus_limit_cents=plan.settings.bonus_limit_cents,
            pay_for_time_cents=plan.settings.pay_for_time_cents,
            pay_for_time_limit_cents=plan.settings.time_limit_cents,
            consent=plan.settings.version_of_consent,
        )
        requester_name = str(plan.config.provider.requester_name or f"{provider_type}_requester")
        project_name = plan.settings.project_name
        project = ProjectPlan(project_name, ProjectId(self._ids.next_id("project"))) if project_name else None
        create = CreateRun(
            created=created,
            task_name=plan.task_name,
            requester_name=requester_name,
            project=project,
            known_runs=plan.known_runs,
        )
        await self._create(create, run)
        return run

    async def _create(self, create: CreateRun, run: TaskRunId) -> None:
        try:
            await self._issuer.issue(create)
        except RunExistsError:
            if self._owners is not None:
                await self._owners.give(run)
            raise

    async def record_event(self, run: TaskRunId, event: TaskRunEvent) -> None:
        """Record that something happened to a run.

        Raises:
            IllegalStepError: it cannot happen to the run now.
        """
        await self._issuer.issue(RecordRunEvent(task_run=run, event=event))

    async def recover(self, run: TaskRunId, reason: str) -> None:
        """Record that a process resumes a run; code of the task that has failed is asked again.

        Raises:
            IllegalStepError: the run cannot be resumed.
        """
        await self.record_event(run, TaskRunRecovering(reason=reason))
        await self._issuer.issue(ResumeAdmission(task_run=run, reason=reason))

    async def resume_admission(self, run: TaskRunId, reason: str, author: str) -> bool:
        """Record that newcomers get work again; return False if no code has failed since it last succeeded.

        Raises:
            CommandRefusedError: the run has ended, or has no server yet.
        """
        resume = ResumeAdmission(task_run=run, reason=reason)
        return bool((await self._issuer.issue(resume, actor=author)).events)

    async def stop(
        self, run: TaskRunId, reason: str, author: str = OPERATOR, *, at_once: bool = False, seen: SeenRun | None = None
    ) -> bool:
        """Record that a run gives out no more work; does nothing if it is not live, or was changed.

        Args:
            run: the run.
            reason: recorded, as is the author.
            author: who wants it.
            at_once: take their work from the people at work.
            seen: the run as it was when the reason was found; None if a change does not matter.

        Returns:
            True if the run is not live any more.
        """
        await self._issuer.issue(StopRun(task_run=run, reason=reason, at_once=at_once, seen=seen), actor=author)
        return self._ledger.state.task_runs[streams.task_run(run)].status is not TaskRunStatus.LIVE

    async def pause(self, run: TaskRunId, reason: str, author: str = OPERATOR) -> None:
        """Record that the operator leaves a run, which can be resumed; does nothing if it is not under way.

        If nothing can be written for a while, because another program has locked the log, the operator leaves without
        a record, as after a crash: such a run can be resumed, too.
        """
        with trio.move_on_after(RECORD_SECONDS):
            await self._issuer.issue(PauseRun(task_run=run, reason=reason), actor=author)

    async def pause_live(self, run: TaskRunId, reason: str, author: str) -> None:
        """Have the operator of a run leave it, wherever it is; does nothing if the run is not live."""
        await self._issuer.issue(PauseRun(task_run=run, reason=reason, only_live=True), actor=author)

    async def drain(self, run: TaskRunId, reason: str, author: str) -> None:
        """Record that a run waits for the people at work before it is paused; does nothing if that is recorded."""
        await self._issuer.issue(DrainRun(task_run=run, reason=reason), actor=author)

    async def complete(self, run: TaskRunId) -> None:
        """Record that a run is completed.

        Raises:
            CommandRefusedError: something is still open.
        """
        await self._issuer.issue(CompleteRun(task_run=run))
