"""Computes pay for working time, in whole cents: what time is worth, what the budget covers, what an hour brings.

All times are microseconds, as the log has them, and nothing is computed with fractions: a worker gets the next whole
cent, and a limit is never exceeded.
"""

from __future__ import annotations

import msgspec

from .budget import Budget

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


class TimePay(msgspec.Struct, frozen=True):
    """Terms on which a run pays for time that led to nothing through no fault of the worker."""

    cents_per_minute: int = 0
    #: The most for one piece of work.
    limit_cents: int = 0

    def cents_for(self, worked_us: int) -> int:
        """Return the pay for some time, rounded up and limited."""
        return min(self.limit_cents, -(-max(0, worked_us) * self.cents_per_minute // MINUTE_US))


def affordable_cents(budget: Budget, cents: int) -> int:
    """Return as much of an amount as the budget covers together with its fee."""
    left = budget.left_cents
    if left is None or left >= budget.with_fee(cents):
        return cents
    # One cent too little at most, because the fee is rounded up.
    covered = max(0, left) * 100 // (100 + budget.fee_percent)
    return covered + (budget.with_fee(covered + 1) <= left)


def hourly_cents(paid_cents: int, worked_us: int) -> int | None:
    """Return the pay of an hour at this rate, rounded down; None if no time was worked."""
    return paid_cents * HOUR_US // worked_us if worked_us > 0 else None


def top_up_cents(minimum_hourly_cents: int, worked_us: int, paid_cents: int) -> int:
    """Return what is missing to a minimum hourly pay, rounded up; 0 if nothing is.

    Args:
        minimum_hourly_cents: the minimum.
        worked_us: the time worked.
        paid_cents: what is promised or paid for it; never reduced.
    """
    return max(0, -(-minimum_hourly_cents * max(0, worked_us) // HOUR_US) - paid_cents)
