"""The history of a run itself: that it was created, deployed, went live, ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ....events import streams
from ....events.directory import RequesterRegistered, TaskRegistered
from ....events.ids import RequesterId, TaskId, TaskRunId
from ....events.task_run import TaskRunCreated, TaskRunEvent
from ...ledger import Command, Ledger
from ...ports import Ids, NewEvent
from ...redaction import redacted
from ...state.decision_state import DecisionState
from .plan import RunPlan


class RunRecord:
    """Writes what happens to runs."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids

    async def create(self, plan: RunPlan) -> TaskRunId:
        """Record a new run, with its task and requester if they are new."""
        run = TaskRunId(self._ids.next_id("task_run"))
        task, requester = TaskId(self._ids.next_id("task")), RequesterId(self._ids.next_id("requester"))
        provider_type = plan.provider_class.PROVIDER_TYPE
        name = str(plan.config.provider.requester_name or f"{provider_type}_requester")

        def decide(state: DecisionState) -> list[NewEvent]:
            known_task = state.tasks_by_name.get(plan.task_name)
            known_requester = state.requesters_by_name.get((provider_type, name))
            created = TaskRunCreated(
                task_run=run,
                task=known_task or task,
                requester=known_requester or requester,
                blueprint_type=plan.blueprint_class.BLUEPRINT_TYPE,
                architect_type=plan.architect_class.ARCHITECT_TYPE,
                provider_type=provider_type,
                config=msgspec.json.encode(redacted(plan.config)).decode(),
                allowed_concurrent=plan.settings.allowed_concurrent,
                maximum_units_per_worker=plan.settings.maximum_units_per_worker,
                given_by_script=plan.given_by_script,
                budget_cents=plan.settings.budget_cents,
                fee_percent=plan.settings.provider_fee_percent,
                bonus_limit_cents=plan.settings.bonus_limit_cents,
            )
            registered = TaskRegistered(task=task, name=plan.task_name, task_type=created.blueprint_type)
            account = RequesterRegistered(requester=requester, name=name, provider_type=provider_type)
            return [
                *([] if known_task else [NewEvent(streams.task(task), registered)]),
                *([] if known_requester else [NewEvent(streams.requester(requester), account)]),
                NewEvent(streams.task_run(run), created),
            ]

        await self.run_decision(decide)
        return run

    async def record_event(self, run: TaskRunId, event: TaskRunEvent) -> None:
        """Record something that happened to a run."""
        await self.run_decision(lambda _: [NewEvent(streams.task_run(run), event)])

    async def run_decision(self, decide: Callable[[DecisionState], Sequence[NewEvent]]) -> None:
        """Carry a decision about a run out.

        Raises:
            CommandRefusedError: it said no.
        """
        await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))
