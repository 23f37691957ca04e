import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.configuration.money import cents


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.30", 30),
        ("0.3", 30),
        (0.3, 30),
        (0.29, 29),
        (1.1, 110),
        (2, 200),
        ("0", 0),
        ("-0.00", 0),
        ("1e1", 1000),
        (Decimal("12.340"), 1234),
    ],
)
def test_an_amount_becomes_exactly_its_cents(amount: str | float | Decimal, expected: int) -> None:
    assert cents(amount) == expected


@given(st.integers(min_value=0, max_value=10**12))
def test_no_cent_is_lost_on_the_way_through_text_or_decimal(whole: int) -> None:
    text = f"{whole // 100}.{whole % 100:02}"
    assert cents(text) == whole
    assert cents(Decimal(text)) == whole


@given(st.integers(min_value=0, max_value=10**9))
def test_a_float_counts_as_the_decimal_it_prints_as(whole: int) -> None:
    assert cents(whole / 100) == whole


@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        ("0.305", "not a whole number of cents"),
        (0.1 + 0.2, "not a whole number of cents"),
        ("0.30000000000000000000000000000000001", "not a whole number of cents"),
        ("a lot", "not an amount of money"),
        ("", "not an amount of money"),
        (" 0.5 ", "not an amount of money"),
        ("0,30", "not an amount of money"),
        (True, "not an amount of money"),
        ("1e400", "not an amount of money"),
        ("NaN", "cannot be paid"),
        ("-0.01", "cannot be paid"),
        ("Infinity", "not an amount of money"),
    ],
)
def test_what_is_not_an_exact_amount_is_refused_by_name(amount: str | float, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refusal:
        cents(amount, key="mephisto.task.task_reward")
    assert refusal.value.key == "mephisto.task.task_reward"
    assert str(refusal.value).startswith("mephisto.task.task_reward is ")


@given(st.text())
def test_any_text_is_an_amount_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert cents(text) >= 0
