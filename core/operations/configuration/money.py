"""Money is integer cents. This is the one place where an amount that a person wrote becomes that, and back."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from ...errors import ConfigError

_CENT = Decimal("0.01")
#: Fifteen digits hold any amount somebody means; a sixteenth, or a part of a cent, is an error and never rounded.
_EXACT = Context(prec=15, traps=[Inexact, InvalidOperation])


def cents(amount: str | int | float | Decimal, *, key: str | None = None) -> int:
    """Turn an amount as people write it (`0.30`, `"1.5"`, `2`) into whole cents, exactly.

    A float counts as the decimal it prints as, so `0.3` is thirty cents although no float is three tenths.

    Args:
        amount: in the currency's main unit, at most two decimals.
        key: the setting that the amount comes from; the error names it.

    Raises:
        ConfigError: it is no number, is negative, is finer than a cent or has too many digits.
    """
    try:
        exact = _EXACT.create_decimal(str(amount)).quantize(_CENT, context=_EXACT)
    except Inexact as error:
        raise _refusal(amount, key, "is not a whole number of cents") from error
    except DecimalException as error:
        raise _refusal(amount, key, "is not an amount of money") from error
    if not exact.is_finite() or exact < 0:
        raise _refusal(amount, key, "cannot be paid")
    return int(exact.scaleb(2))


def amount(cents: int) -> str:
    """Cents as people write them: 1250 is `12.50`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _refusal(amount: object, key: str | None, why: str) -> ConfigError:
    return ConfigError(
        f"{key or 'the amount'} is {str(amount)!r}, which {why}",
        key=key,
        hint="Write it with at most two decimals, for instance 0.30",
    )
