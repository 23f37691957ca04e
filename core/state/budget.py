"""Tracks committed and reserved cents of a run against its limit.

Each payment is rounded up to whole cents with its fee, one by one; so what is reserved for a unit covers whatever its
verdict owes, as long as the bonus is within its limit.
"""

from __future__ import annotations

import msgspec

from ..lifecycles.unit import UnitStatus

#: Statuses of units that money is reserved for: a verdict may make them payable.
RESERVING_UNIT_STATUSES = frozenset({UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED})


class Budget(msgspec.Struct):
    """The money of one run, in cents. With a limit, committed and reserved together never exceed it."""

    #: None if there is no limit.
    limit_cents: int | None = None
    #: Fee of the provider on top of each payment, in percent.
    fee_percent: int = 0
    #: Bonus that is reserved for each unit.
    bonus_limit_cents: int = 0
    #: Owed by verdicts and bonuses, paid or not, with fees.
    committed_cents: int = 0
    #: Cost of language models in millionths of the currency's main unit; in whole cents it is committed.
    model_micros: int = 0
    #: Reserved for units that are on offer, in progress, or wait for review.
    reserved_cents: int = 0

    @property
    def left_cents(self) -> int | None:
        """Cents that are neither committed nor reserved; None if there is no limit."""
        return None if self.limit_cents is None else self.limit_cents - self.committed_cents - self.reserved_cents

    def cents_of_micros(self, micros: int) -> int:
        """Return the cents by which a cost of models makes the whole cents of all of them grow."""
        return _cents_up(self.model_micros + micros) - _cents_up(self.model_micros)

    def commit_model(self, micros: int, cents: int) -> None:
        """Count the cost of a language model, in both units."""
        self.model_micros += micros
        self.committed_cents += cents

    def with_fee(self, cents: int) -> int:
        """Return the cost of a payment with its fee."""
        return cents - -cents * self.fee_percent // 100

    def cost_of_unit(self, pay_cents: int) -> int:
        """Return the maximum cost of a unit: its pay and the highest bonus, with their fees."""
        return self.with_fee(pay_cents) + self.with_fee(self.bonus_limit_cents)

    def fits(self, cents: int) -> bool:
        """Return whether so much can be committed or reserved in addition."""
        return self.left_cents is None or cents <= self.left_cents


def _cents_up(micros: int) -> int:
    return -(-micros // 10_000)
