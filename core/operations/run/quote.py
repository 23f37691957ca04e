"""Computes the cost of a run before it is launched: pay, fees, possible bonuses, and what the budget covers."""

from __future__ import annotations

import msgspec

from ...abstractions.crowd.site_work import SiteAccount
from ...abstractions.screen_task_required import ScreenTaskRequired
from ...abstractions.use_gold_unit import UseGoldUnit
from ...state.budget import Budget
from ...state.fair_pay import hourly_cents
from .plan import RunPlan


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The expected size and cost of a run. Amounts are in cents."""

    task_name: str
    #: Ordinary units, at most if their number is not fixed; None if the script makes the data while the run is live.
    units: int | None
    #: Screening and gold units at most. They are paid like others.
    evaluation_units: int
    #: Distinct workers that the run needs at least; None if nobody knows the number of units.
    min_workers: int | None
    reward_cents: int
    fee_percent: int
    bonus_limit_cents: int
    #: None: there is no limit.
    budget_cents: int | None
    #: Time that a worker has for a unit.
    seconds_allowed: int
    #: The account that offers the work; None: its site was not asked.
    account: SiteAccount | None = None
    #: Pay for a minute of work that leads to nothing, and the most for one piece of work; 0: there is none.
    pay_for_time_cents: int = 0
    pay_for_time_limit_cents: int = 0
    #: Ordinary units at least, if items get further ones as their labels need them; None: as many as `units`.
    least_units: int | None = None
    #: Hourly pay that the run wants to pay at least; 0: it does not say.
    minimum_hourly_cents: int = 0

    @property
    def all_units(self) -> int | None:
        """Ordinary units, and as many evaluation units as there may be."""
        return None if self.units is None else self.units + self.evaluation_units

    @property
    def pay_cents(self) -> int | None:
        """Pay for all units."""
        return self._for_all(self.reward_cents)

    @property
    def bonus_cents(self) -> int | None:
        """The highest bonus for each unit."""
        return self._for_all(self.bonus_limit_cents)

    @property
    def fee_cents(self) -> int | None:
        """Fees on pay and bonuses, each rounded up as it will be charged."""
        return self._for_all(self.cost_of_unit_cents - self.reward_cents - self.bonus_limit_cents)

    @property
    def total_cents(self) -> int | None:
        """The most that the run can cost."""
        return self._for_all(self.cost_of_unit_cents)

    @property
    def cost_of_unit_cents(self) -> int:
        """The most that a unit can cost."""
        budget = Budget(self.budget_cents, self.fee_percent, self.bonus_limit_cents)
        return budget.cost_of_unit(self.reward_cents)

    @property
    def covered_units(self) -> int | None:
        """The number of units that the budget pays for, whatever they cost; None: it limits nothing."""
        if self.budget_cents is None or self.cost_of_unit_cents == 0:
            return None
        covered = self.budget_cents // self.cost_of_unit_cents
        return covered if self.all_units is None else min(covered, self.all_units)

    @property
    def is_covered(self) -> bool:
        """True if the budget is known to pay for everything, or if nobody can know."""
        return self.covered_units is None or self.all_units is None or self.covered_units >= self.all_units

    def hours(self, seconds_per_unit: float) -> float | None:
        """Return the hours of work in the run, at so many seconds for a unit."""
        return None if self.all_units is None else self.all_units * seconds_per_unit / 3600

    def hourly_cents(self, seconds_per_unit: float) -> int | None:
        """Return the pay of an hour, at so many seconds for a unit; None if a unit takes no time."""
        return hourly_cents(self.reward_cents, round(seconds_per_unit * 1_000_000))

    def _for_all(self, cents: int) -> int | None:
        return None if self.all_units is None else self.all_units * cents


def quote_of(plan: RunPlan, account: SiteAccount | None = None) -> Quote:
    """Compute the quote of a run that is to be launched.

    Raises:
        ConfigError: its data cannot be read.
    """
    settings, blueprint = plan.settings, plan.blueprint_class(plan.config, plan.shared_state)
    screening = blueprint.screening if isinstance(blueprint, ScreenTaskRequired) else None
    golds = blueprint.golds if isinstance(blueprint, UseGoldUnit) else None
    planned = blueprint.count_units()
    return Quote(
        task_name=plan.task_name,
        units=None if planned is None else planned.units,
        evaluation_units=(screening.max_units if screening else 0) + (golds.max_units if golds else 0),
        min_workers=None if planned is None else _min_workers(planned.units, planned.most_in_one, plan),
        reward_cents=settings.task_reward_cents,
        fee_percent=settings.provider_fee_percent,
        bonus_limit_cents=settings.bonus_limit_cents,
        budget_cents=settings.budget_cents,
        seconds_allowed=settings.assignment_duration_in_seconds,
        account=account,
        pay_for_time_cents=settings.pay_for_time_cents,
        pay_for_time_limit_cents=settings.time_limit_cents,
        least_units=None if planned is None else planned.least,
        minimum_hourly_cents=settings.minimum_hourly_pay_cents,
    )


def _min_workers(units: int, most_in_one_assignment: int, plan: RunPlan) -> int:
    """Return how many workers are needed: nobody gets two units of an assignment, or more units than the maximum."""
    maximum = plan.settings.maximum_units_per_worker
    return max(most_in_one_assignment, -(-units // maximum) if maximum else 1)
