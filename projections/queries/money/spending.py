"""A run's budget, and what of it is spoken for at a moment."""

from __future__ import annotations

import msgspec

from ....core.lifecycles.agent import AgentStatus
from ....core.state.budget import RESERVING_UNIT_STATUSES, Budget
from ....events import streams
from ....events.ids import TaskRunId
from ....events.task_run import TaskRunCreated
from ..as_of import AsOf

_OUT = tuple(status.value for status in RESERVING_UNIT_STATUSES)
#: Statuses of agents whose unit's pay is owed.
_PAID = (AgentStatus.APPROVED.value, AgentStatus.SOFT_REJECTED.value)

_KEPT_BACK_FOR = f"""
    SELECT pay_cents, count(*) FROM units
    WHERE task_run_id = ? AND status IN ({", ".join("?" * len(_OUT))}) GROUP BY pay_cents
"""
_OWED = f"""
    SELECT pay_cents, count(*) FROM agents JOIN units USING (unit_id)
    WHERE agents.task_run_id = ? AND agents.status IN ({", ".join("?" * len(_PAID))}) GROUP BY pay_cents
"""
_BONUSES = """
    SELECT bonus_cents, count(*) FROM agent_bonuses JOIN agents USING (agent_id)
    WHERE task_run_id = ? GROUP BY bonus_cents
"""


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may cost, in cents; fees are in all figures."""

    budget_cents: int
    #: Owed by verdicts, whether it is paid yet or not.
    committed_cents: int
    #: Kept back for units that are on offer, in work, or wait for review.
    reserved_cents: int
    left_cents: int


def spending(as_of: AsOf, run: TaskRunId) -> Spending | None:
    """What of a run's budget is spoken for; None if it has no budget."""
    created = as_of.stream(streams.task_run(run))[0].envelope.event
    if not isinstance(created, TaskRunCreated) or created.budget_cents is None:
        return None
    budget = Budget(created.budget_cents, created.fee_percent, created.bonus_limit_cents)
    owed = [*as_of.db.execute(_OWED, (run, *_PAID)), *as_of.db.execute(_BONUSES, (run,))]
    kept_back_for = as_of.db.execute(_KEPT_BACK_FOR, (run, *_OUT))
    committed = sum(count * budget.with_fee(cents) for cents, count in owed)
    reserved = sum(count * budget.cost_of_unit(cents) for cents, count in kept_back_for)
    return Spending(
        budget_cents=created.budget_cents,
        committed_cents=committed,
        reserved_cents=reserved,
        left_cents=created.budget_cents - committed - reserved,
    )
