"""Checks whether a run ever committed more money than its budget, recomputed from its units and payments."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from ....core.operations.configuration.money import amount
from ....core.state.budget import RESERVING_UNIT_STATUSES, Budget
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.agent import AgentModelReplied
from ....events.ids import TaskRunId
from ....events.payment import PaymentOwed, PaymentWithdrawn
from ....events.task_run import TaskRunBudgetChanged, TaskRunCreated
from ....events.unit import UnitCreated
from ..as_of import AsOf

_RESERVING = frozenset(status.value for status in RESERVING_UNIT_STATUSES)


def find_overspending(as_of: AsOf, run: TaskRunId) -> Iterator[str]:
    """Yield a sentence for each event after which owed and reserved money exceeded the budget of a run.

    A run without a budget has none. Each event is compared with the budget at that time.
    """
    history = as_of.stream(streams.task_run(run))
    created = history[0].envelope.event
    if not isinstance(created, TaskRunCreated):
        return
    budget = Budget(created.budget_cents, created.fee_percent, created.bonus_limit_cents)
    cost: dict[str, int] = {}
    reserved: set[str] = set()
    was_within = True
    units, payments, agents = (as_of.under(f"{kind}/{run}/") for kind in ("unit", "payment", "agent"))
    for recorded in merge(history, units, payments, agents, key=lambda one: one.seq):
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if isinstance(event, TaskRunBudgetChanged):
            budget.limit_cents = event.budget_cents
        elif isinstance(event, PaymentOwed):
            budget.committed_cents += budget.with_fee(event.amount_cents)
        elif isinstance(event, PaymentWithdrawn):
            budget.committed_cents -= budget.with_fee(event.amount_cents)
        elif isinstance(event, AgentModelReplied):
            budget.committed_cents += event.cost_cents
        elif isinstance(event, UnitCreated):
            cost[stream] = budget.cost_of_unit(event.pay_cents)
        elif stream in cost and (STATUS_AFTER.get(type(event)) in _RESERVING) != (stream in reserved):
            reserved ^= {stream}
            budget.reserved_cents += cost[stream] if stream in reserved else -cost[stream]
        is_within = budget.fits(0)
        if was_within and not is_within and budget.limit_cents is not None:
            total = budget.committed_cents + budget.reserved_cents
            yield (
                f"seq {recorded.seq:,} ({stream}): {amount(total)} are owed or reserved, "
                f"but the budget is {amount(budget.limit_cents)}"
            )
        was_within = is_within
