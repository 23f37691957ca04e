"""Converts amounts of money between integer cents, which the program uses, and the form that people write."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from ...errors import ConfigError

_CENT = Decimal("0.01")
#: Fifteen digits suffice for any real amount. A sixteenth, or a fraction of a cent, is an error and never rounded.
_EXACT = Context(prec=15, traps=[Inexact, InvalidOperation])


def cents(amount: str | int | float | Decimal, *, key: str | None = None) -> int:
    """Convert an amount as people write it (`0.30`, `"1.5"`, `2`) to whole cents, exactly.

    A float counts as the decimal that it prints as: `0.3` is thirty cents, although no float is exactly three tenths.

    Args:
        amount: an amount in the currency's main unit, with at most two decimals.
        key: the setting that the amount comes from; the error names it.

    Raises:
        ConfigError: the amount is not a number, is negative, has fractions of a cent or too many digits.
    """
    try:
        exact = _EXACT.create_decimal(str(amount)).quantize(_CENT, context=_EXACT)
    except Inexact as error:
        raise _error(amount, key, "is not a whole number of cents") from error
    except DecimalException as error:
        raise _error(amount, key, "is not an amount of money") from error
    if not exact.is_finite() or exact < 0:
        raise _error(amount, key, "cannot be paid")
    return int(exact.scaleb(2))


def amount(cents: int) -> str:
    """Return cents in the form that people write: 1250 is `12.50`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _error(amount: object, key: str | None, why: str) -> ConfigError:
    return ConfigError(
        f"{key or 'the amount'} is {str(amount)!r}, which {why}",
        key=key,
        hint="Write it with at most two decimals, for example 0.30",
    )
