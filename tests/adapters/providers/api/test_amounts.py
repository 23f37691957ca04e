from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.providers.api.amounts import (
    MAX_CENTS,
    FromCents,
    FromCentsRoundedUp,
    FromUnits,
    answer_decoder,
    cents_from_cents,
    cents_from_units,
    cents_rounded_up,
    units_of,
)


class Amounts(msgspec.Struct):
    units: FromUnits = FromUnits(0)
    cents: FromCents = FromCents(0)
    cost: FromCentsRoundedUp = FromCentsRoundedUp(0)


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        (b'{"units": 0.1}', (10, 0, 0)),
        (b'{"units": 4.35}', (435, 0, 0)),  # 4.35 * 100 is 434.99999999999994
        (b'{"units": 1.005e2}', (10050, 0, 0)),
        (b'{"units": "12.50"}', (1250, 0, 0)),
        (b'{"units": 7}', (700, 0, 0)),
        (b'{"cents": 50.0}', (0, 50, 0)),
        (b'{"cents": 1133}', (0, 1133, 0)),
        (b'{"cost": 1133.34}', (0, 0, 1134)),
        (b'{"cost": 283}', (0, 0, 283)),
    ],
)
def test_amounts_become_whole_cents(text: bytes, amounts: tuple[int, int, int]) -> None:
    read = answer_decoder(Amounts)(text)
    assert (read.units, read.cents, read.cost) == amounts


@pytest.mark.parametrize(
    "text",
    [
        b'{"units": 0.005}',
        b'{"cents": 0.5}',
        b'{"units": true}',
        b'{"units": null}',
        b'{"units": "a dollar"}',
        b'{"units": "NaN"}',
        b'{"units": 1e300}',
        b'{"cents": [1]}',
    ],
)
def test_what_is_no_amount_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        answer_decoder(Amounts)(text)


@given(st.integers(0, MAX_CENTS))
def test_cents_survive_the_way_to_a_site_and_back(cents: int) -> None:
    units = units_of(cents)
    assert cents_from_units(units) == cents
    assert cents_from_units(float(units)) == cents or cents > 10**12
    assert cents_from_cents(cents) == cents_rounded_up(cents) == cents
    assert -units.as_tuple().exponent == 2  # type: ignore[operator]  # finite


def test_an_amount_that_cannot_be_paid_is_not_sent() -> None:
    for cents in (-1, MAX_CENTS + 1):
        with pytest.raises(ValueError, match="cannot be paid"):
            units_of(cents)
    assert units_of(150) == Decimal("1.50")
