"""What of a run's money is spoken for: owed by verdicts, or kept back for work that is out.

Each payment is rounded up to whole cents with its fee, one by one; so what is kept back for a unit covers whatever its
verdict owes, as long as the bonus keeps to the limit.
"""

from __future__ import annotations

import msgspec

from ..lifecycles.unit import UnitStatus

#: Statuses of units that money is kept back for: there may be a verdict by which they are paid.
RESERVING_UNIT_STATUSES = frozenset({UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED})


class Budget(msgspec.Struct):
    """The money of one run, in cents. With a limit, committed and reserved together never exceed it."""

    #: None: there is no limit.
    limit_cents: int | None = None
    #: What the provider takes on top of each payment.
    fee_percent: int = 0
    #: The bonus that is kept back for each unit.
    bonus_limit_cents: int = 0
    #: Owed by verdicts, whether it is paid yet or not, with fees.
    committed_cents: int = 0
    #: Kept back for units that are on offer, in work, or wait for review.
    reserved_cents: int = 0

    @property
    def left_cents(self) -> int | None:
        """What is not spoken for; None: there is no limit."""
        return None if self.limit_cents is None else self.limit_cents - self.committed_cents - self.reserved_cents

    def with_fee(self, cents: int) -> int:
        """What a payment costs in all."""
        return cents - -cents * self.fee_percent // 100

    def cost_of_unit(self, pay_cents: int) -> int:
        """What a unit may come to cost: its pay and the highest bonus, with their fees."""
        return self.with_fee(pay_cents) + self.with_fee(self.bonus_limit_cents)

    def fits(self, cents: int) -> bool:
        """Whether so much can be spoken for in addition."""
        return self.left_cents is None or cents <= self.left_cents
