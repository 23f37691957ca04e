"""Computes the committed, reserved and remaining part of a run's budget."""

from __future__ import annotations

import msgspec

from ....core.lifecycles.agent import AgentStatus
from ....core.state.budget import RESERVING_UNIT_STATUSES, Budget
from ....events import streams
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunBudgetChanged, TaskRunCreated
from ..as_of import AsOf

_RESERVING = tuple(status.value for status in RESERVING_UNIT_STATUSES)
#: Statuses of agents who are owed the pay of their unit.
_PAID = (AgentStatus.APPROVED.value, AgentStatus.SOFT_REJECTED.value)

_RESERVED = f"""
    SELECT pay_cents, count(*) FROM units
    WHERE task_run_id = ? AND status IN ({", ".join("?" * len(_RESERVING))}) GROUP BY pay_cents
"""
_OWED = f"""
    SELECT pay_cents, count(*) FROM agents JOIN units USING (unit_id)
    WHERE agents.task_run_id = ? AND agents.status IN ({", ".join("?" * len(_PAID))}) GROUP BY pay_cents
"""
_BONUSES = """
    SELECT bonus_cents, count(*) FROM agent_bonuses JOIN agents USING (agent_id)
    WHERE task_run_id = ? GROUP BY bonus_cents
"""

_MODELS = """
    SELECT coalesce(sum(cost_cents), 0) FROM model_replies JOIN agents USING (agent_id) WHERE task_run_id = ?
"""


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of a run in cents. All figures include fees."""

    budget_cents: int
    #: Owed because of verdicts, whether already paid or not, and the cost of language models.
    committed_cents: int
    #: Reserved for units that are offered, in work, or waiting for review.
    reserved_cents: int
    left_cents: int


def budget_of(as_of: AsOf, run: TaskRunId) -> Budget:
    """Return the terms of a run's budget, with the limit that it has now and nothing spent."""
    budget = Budget()
    for recorded in as_of.stream(streams.task_run(run)):
        match recorded.envelope.event:
            case TaskRunCreated() as created:
                budget = Budget(created.budget_cents, created.fee_percent, created.bonus_limit_cents)
            case TaskRunBudgetChanged(budget_cents=limit_cents):
                budget.limit_cents = limit_cents
    return budget


def spending(as_of: AsOf, run: TaskRunId) -> Spending | None:
    """Return the state of a run's budget, or None if it has none."""
    budget = budget_of(as_of, run)
    if budget.limit_cents is None:
        return None
    owed = [*as_of.db.execute(_OWED, (run, *_PAID)), *as_of.db.execute(_BONUSES, (run,))]
    reserved_for = as_of.db.execute(_RESERVED, (run, *_RESERVING))
    ((models,),) = as_of.db.execute(_MODELS, (run,))
    committed = models + sum(count * budget.with_fee(cents) for cents, count in owed)
    reserved = sum(count * budget.cost_of_unit(cents) for cents, count in reserved_for)
    return Spending(
        budget_cents=budget.limit_cents,
        committed_cents=committed,
        reserved_cents=reserved,
        left_cents=budget.limit_cents - committed - reserved,
    )
