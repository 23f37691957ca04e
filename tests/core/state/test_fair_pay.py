"""Amounts of pay for time: whole cents, never below what is due, never above a limit."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.core.state.budget import Budget
from mephisto_es.core.state.fair_pay import HOUR_US, TimePay, affordable_cents, hourly_cents, top_up_cents

CENTS = st.integers(0, 100_000)
TIMES = st.integers(0, 100 * HOUR_US)


@settings(max_examples=50)
@given(st.integers(0, 500), CENTS, TIMES)
def test_time_is_paid_to_the_next_cent_up_to_the_limit(rate: int, limit: int, worked: int) -> None:
    due = Fraction(worked, 60_000_000) * rate
    cents = TimePay(rate, limit).cents_for(worked)
    assert cents <= limit
    assert cents == limit or due <= cents < due + 1


def test_a_clock_that_went_back_pays_nothing() -> None:
    assert TimePay(10, 100).cents_for(-5) == 0
    assert top_up_cents(1200, -5, 0) == 0


@settings(max_examples=100)
@given(st.integers(-50, 5000), st.integers(0, 100), CENTS)
def test_the_budget_covers_the_pay_with_its_fee_and_not_one_cent_more(left: int, fee: int, wanted: int) -> None:
    budget = Budget(limit_cents=left, fee_percent=fee)
    cents = affordable_cents(budget, wanted)
    assert 0 <= cents <= wanted
    if cents:
        assert budget.fits(budget.with_fee(cents))
    if cents < wanted:
        assert not budget.fits(budget.with_fee(cents + 1)) or left < 0


def test_without_a_limit_everything_is_covered() -> None:
    assert affordable_cents(Budget(fee_percent=40), 123) == 123


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 100 * HOUR_US), CENTS)
def test_a_top_up_reaches_the_minimum_and_no_more(minimum: int, worked: int, paid: int) -> None:
    missing = top_up_cents(minimum, worked, paid)
    due = Fraction(minimum * worked, HOUR_US)
    assert paid + missing >= due
    assert missing == 0 or paid + missing - 1 < due
    reached = hourly_cents(paid + missing, worked)
    assert reached is not None
    assert reached >= minimum


def test_no_time_has_no_hourly_pay() -> None:
    assert hourly_cents(10, 0) is None
    assert hourly_cents(30, HOUR_US // 4) == 120
