"""Converts a site's amounts of money to and from whole cents, exactly.

Sites disagree: dollars as decimal numbers, cents as numbers with a fraction, currency units in a CSV. A field of an
answer names its unit by its type, and the decoder turns it into an integer before anything else sees it:

    class Account(msgspec.Struct):
        balance_cents: FromUnits = msgspec.field(name="accountBalance")
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, DecimalException
from typing import TypeVar

import msgspec

AnswerType = TypeVar("AnswerType")

#: Largest amount that is believed: beyond it a float no longer tells cents apart.
MAX_CENTS = 10**13


class FromUnits(int):
    """Cents, from an amount in the currency's main unit (dollars, pounds); a fraction of a cent is an error."""


class FromUnitsRoundedUp(int):
    """Cents, from a cost in the main unit that may have a fraction of a cent, rounded up."""


class FromUnitsRoundedDown(int):
    """Cents, from a balance in the main unit that may have a fraction of a cent, rounded down."""


class FromCents(int):
    """Cents, from an amount in cents; a fraction of a cent is an error."""


class FromCentsRoundedUp(int):
    """Cents, from a cost that may have a fraction of a cent, rounded up: a budget reserves the most it can be."""


def cents_from_units(amount: object) -> int:
    """Return the cents of an amount in the main unit.

    Raises:
        ValueError: it is no number, finer than a cent, or out of range.
    """
    return _whole(_decimal(amount).scaleb(2))


def cents_from_cents(amount: object) -> int:
    """Return the cents of an amount in cents, which may be written as `50.0`.

    Raises:
        ValueError: it is no number, finer than a cent, or out of range.
    """
    return _whole(_decimal(amount))


def cents_rounded_up(amount: object) -> int:
    """Return the whole cents that cover a cost in cents.

    Raises:
        ValueError: it is no number or out of range.
    """
    return _whole(_decimal(amount).to_integral_value(ROUND_CEILING))


def units_rounded(amount: object, rounding: str) -> int:
    """Return the whole cents next to an amount in the main unit.

    Args:
        amount: the amount.
        rounding: one of the modes of `decimal`.

    Raises:
        ValueError: it is no number or out of range.
    """
    return _whole(_decimal(amount).scaleb(2).to_integral_value(rounding))


def units_of(cents: int) -> Decimal:
    """Return cents as an amount in the main unit, with two decimals.

    Raises:
        ValueError: the amount is negative or out of range.
    """
    if not 0 <= cents <= MAX_CENTS:
        raise ValueError(f"{cents} cents cannot be paid")
    return Decimal(cents).scaleb(-2).quantize(Decimal("0.01"))


def answer_decoder(answer: type[AnswerType]) -> Callable[[bytes], AnswerType]:
    """Return a function that decodes JSON of this type, money included; it raises `msgspec.DecodeError`."""
    return msgspec.json.Decoder(answer, dec_hook=_read_amount).decode


def _read_amount(wanted: type, amount: object) -> object:
    if wanted is FromUnits:
        return FromUnits(cents_from_units(amount))
    if wanted is FromUnitsRoundedUp:
        return FromUnitsRoundedUp(units_rounded(amount, ROUND_CEILING))
    if wanted is FromUnitsRoundedDown:
        return FromUnitsRoundedDown(units_rounded(amount, ROUND_FLOOR))
    if wanted is FromCents:
        return FromCents(cents_from_cents(amount))
    if wanted is FromCentsRoundedUp:
        return FromCentsRoundedUp(cents_rounded_up(amount))
    raise NotImplementedError(f"no amount of money is decoded as {wanted.__name__}")


def _decimal(amount: object) -> Decimal:
    # A float counts as the decimal that it prints as: 0.1 is ten cents, though no float is a tenth.
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise ValueError(f"{type(amount).__name__} is no amount of money")
    try:
        exact = Decimal(str(amount))
    except DecimalException as error:
        raise ValueError("the text is no amount of money") from error
    if not exact.is_finite() or abs(exact) > MAX_CENTS:
        raise ValueError("the amount is out of range")
    return exact


def _whole(cents: Decimal) -> int:
    if cents != cents.to_integral_value() or abs(cents) > MAX_CENTS:
        raise ValueError(f"{cents} cents is not a whole number of cents within range")
    return int(cents)
