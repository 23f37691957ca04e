"""Adds up what verdicts commit a run to pay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ....core.commands.review import Verdict
from ....core.operations.configuration.money import amount
from ....core.operations.control.requests import AcceptLateRequest, ReviewRequest, VerdictRequest
from ....events.ids import TaskRunId
from ....projections.mephisto_db.rows import AgentRow, UnitRow
from ....projections.queries.money.spending import budget_of
from ...log.sqlite.as_of import open_as_of

_PAYING = frozenset({Verdict.APPROVED, Verdict.SOFT_REJECTED})


class PaySum(NamedTuple):
    """The amounts that verdicts commit a run to pay, in cents."""

    #: Pieces of work that are paid.
    pieces: int
    pay_cents: int
    bonus_cents: int
    #: 0 also if the provider's fee is not known.
    fee_percent: int
    #: Each payment with its fee is rounded up to a whole cent.
    fee_cents: int

    @property
    def text(self) -> str:
        """The sum in words: `12 pieces of work, pay 3.00, bonuses 0.50, fees (20 %) 0.70, total 4.20`."""
        pieces = "1 piece" if self.pieces == 1 else f"{self.pieces:,} pieces"
        parts = [
            f"pay {amount(self.pay_cents)}",
            *([f"bonuses {amount(self.bonus_cents)}"] if self.bonus_cents else []),
            *([f"fees ({self.fee_percent} %) {amount(self.fee_cents)}"] if self.fee_percent else []),
        ]
        if len(parts) > 1:
            parts.append(f"total {amount(self.pay_cents + self.bonus_cents + self.fee_cents)}")
        return f"{pieces} of work, {', '.join(parts)}"


def pay_sum(database: Path, run: TaskRunId, decisions: Sequence[ReviewRequest]) -> PaySum:
    """Return the sum that decisions commit to pay; those that pay nothing are left out.

    Raises:
        UnusableLogError: the log cannot be read.
    """
    paying = [one for one in decisions if _pays(one)]
    with open_as_of(database) as moment:
        agents = moment.db.find_among(AgentRow, "agent_id", [one.agent for one in paying])
        unit_of = {one.agent_id: one.unit_id for one in agents}
        units = moment.db.find_among(UnitRow, "unit_id", {*unit_of.values()})
        budget = budget_of(moment, run)
    pay_of = {one.unit_id: one.pay_cents for one in units}
    pay = [pay_of[unit_of[one.agent]] for one in paying]
    bonuses = [one.bonus_cents for one in paying if isinstance(one, VerdictRequest)]
    return PaySum(
        pieces=len(paying),
        pay_cents=sum(pay),
        bonus_cents=sum(bonuses),
        fee_percent=budget.fee_percent,
        fee_cents=sum(budget.with_fee(cents) - cents for cents in (*pay, *bonuses)),
    )


def _pays(decision: ReviewRequest) -> bool:
    return isinstance(decision, AcceptLateRequest) or (
        isinstance(decision, VerdictRequest) and decision.verdict in _PAYING
    )
