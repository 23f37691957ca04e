"""The cost of a run, computed before it is launched."""

from __future__ import annotations

import msgspec
import pytest

from mephisto_es.core.operations.run.quote import Quote

RATING = Quote(
    task_name="rating",
    units=80,
    evaluation_units=0,
    min_workers=8,
    reward_cents=10,
    fee_percent=20,
    bonus_limit_cents=0,
    budget_cents=None,
    seconds_allowed=600,
)


def quote(**facts: int | None) -> Quote:
    """Return the quote of a rating task with some changes."""
    changed: Quote = msgspec.structs.replace(RATING, **facts)
    return changed


def test_pay_fees_and_bonuses_add_up() -> None:
    cost = quote(bonus_limit_cents=5)
    assert (cost.pay_cents, cost.bonus_cents, cost.fee_cents, cost.total_cents) == (800, 400, 240, 1440)
    assert cost.hours(90) == 2.0


def test_fees_are_rounded_up_for_each_payment() -> None:
    assert quote(units=10, reward_cents=1, fee_percent=1).total_cents == 20


@pytest.mark.parametrize(
    ("facts", "covered", "is_covered"),
    [
        ({"budget_cents": 100}, 8, False),
        ({"budget_cents": 959}, 79, False),
        ({"budget_cents": 960}, 80, True),
        ({"budget_cents": 10_000}, 80, True),
        ({"budget_cents": 960, "evaluation_units": 10}, 80, False),
        ({"budget_cents": None}, None, True),
        ({"budget_cents": 0, "reward_cents": 0}, None, True),
        ({"budget_cents": 100, "units": None, "min_workers": None}, 8, True),
    ],
)
def test_what_a_budget_covers(facts: dict[str, int | None], covered: int | None, is_covered: bool) -> None:
    cost = quote(**facts)
    assert (cost.covered_units, cost.is_covered) == (covered, is_covered)


def test_of_data_that_nobody_knows_only_the_unit_has_a_cost() -> None:
    cost = quote(units=None, min_workers=None, bonus_limit_cents=5)
    assert cost.cost_of_unit_cents == 18
    assert (cost.pay_cents, cost.bonus_cents, cost.fee_cents, cost.total_cents, cost.hours(60)) == (None,) * 5
