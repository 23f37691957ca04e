"""Whether a run ever spoke for more money than it had, worked out anew from its units and payments."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from ....core.operations.configuration.money import amount
from ....core.state.budget import RESERVING_UNIT_STATUSES, Budget
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.ids import TaskRunId
from ....events.pay import PaymentOwed
from ....events.task_run import TaskRunCreated
from ....events.unit import UnitCreated
from ..as_of import AsOf

_RESERVING = frozenset(status.value for status in RESERVING_UNIT_STATUSES)


def overspent(as_of: AsOf, run: TaskRunId) -> Iterator[str]:
    """Each event after which what is owed and kept back began to exceed a run's budget; in sentences.

    A run without a budget has none.
    """
    created = as_of.stream(streams.task_run(run))[0].envelope.event
    if not isinstance(created, TaskRunCreated) or created.budget_cents is None:
        return
    budget = Budget(created.budget_cents, created.fee_percent, created.bonus_limit_cents)
    cost: dict[str, int] = {}
    kept_back: set[str] = set()
    fitted = True
    units, payments = as_of.under(f"unit/{run}/"), as_of.under(f"payment/{run}/")
    for recorded in merge(units, payments, key=lambda one: one.seq):
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if isinstance(event, PaymentOwed):
            budget.committed_cents += budget.with_fee(event.amount_cents)
        elif isinstance(event, UnitCreated):
            cost[stream] = budget.cost_of_unit(event.pay_cents)
        elif (STATUS_AFTER.get(type(event)) in _RESERVING) != (stream in kept_back):
            kept_back ^= {stream}
            budget.reserved_cents += cost[stream] if stream in kept_back else -cost[stream]
        fits = budget.fits(0)
        if fitted and not fits:
            spoken_for = budget.committed_cents + budget.reserved_cents
            yield (
                f"seq {recorded.seq:,} ({stream}): {amount(spoken_for)} are owed or kept back, "
                f"and the budget is {amount(created.budget_cents)}"
            )
        fitted = fits
