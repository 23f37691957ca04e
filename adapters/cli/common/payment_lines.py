"""Prints payments one by one: their numbers, what keeps them from being paid, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.markup import escape
from rich.table import Table

from ....core.lifecycles.payment import PaymentStatus
from ....core.operations.configuration.money import amount
from ....core.printable import printable_lines
from ....projections.queries.money.pay_ledger import Payment
from ...advice import advised
from ...terminal import echo
from ...text import format_author, printable
from .output import console

#: Payments that are listed one by one unless all are asked for.
MOST_LISTED = 30
#: Most payments that are named in one line about settled ones.
MOST_NAMED = 10

_DOUBTFUL = PaymentStatus.IN_DOUBT.value
_FAILED = PaymentStatus.FAILED.value
_DONE = frozenset({PaymentStatus.CONFIRMED.value, PaymentStatus.WITHDRAWN.value})
#: What to do about a payment in a status, with the run as `{run}`.
_ADVICE = {
    _DOUBTFUL: (
        "In doubt: `mephisto-es pay {run}` looks first. If that does not tell, look for what is in doubt on the "
        "provider's pages, which may show it half an hour late, and record what you found: "
        "mephisto-es pay {run} --settle PAYMENT paid|unpaid"
    ),
    _FAILED: (
        "Failed: remove the cause, then `mephisto-es pay {run}`. Or pay by other means, and record it: "
        "mephisto-es pay {run} --settle PAYMENT paid"
    ),
}


def print_payments(payments: Sequence[Payment], label_of: Callable[[int], str], *, shows_all: bool) -> None:
    """Print payments with their numbers, those first that somebody has to look at.

    Args:
        payments: the payments of a run.
        label_of: returns the name of a worker.
        shows_all: list what is confirmed or withdrawn too, and however many there are.
    """
    order = {_DOUBTFUL: 0, _FAILED: 1}
    chosen = [one for one in payments if shows_all or one.status not in _DONE]
    chosen.sort(key=lambda one: order.get(one.status, len(order)))
    listed = chosen if shows_all else chosen[:MOST_LISTED]
    if not listed:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("payment", "worker", "for", "amount", "status"):
        table.add_column(column, justify="right" if column == "amount" else "left")
    for one in listed:
        what = f"{one.purpose}, agent-{one.agent}"
        name = f"payment-{one.payment}"
        table.add_row(name, escape(label_of(one.worker)), what, amount(one.amount_cents), one.status)
    console().print(table)
    reasons: dict[str, list[str]] = {}
    for one in listed:
        if one.failure:
            reasons.setdefault(one.failure, []).append(f"payment-{one.payment}")
    for reason, names in reasons.items():
        echo(advised(printable_lines(f"✗ {', '.join(names)}: {reason}")))
    if len(listed) < len(chosen):
        echo(f"and {len(chosen) - len(listed):,} more; --payments lists all")


def print_settled(payments: Sequence[Payment], *, shows_notes: bool = True) -> None:
    """Print which payments a person has settled, how, and why; those first that were paid twice.

    Args:
        payments: the payments of a run.
        shows_notes: whether the reasons are printed; they may hold personal values.
    """
    twice = [f"payment-{one.payment}" for one in payments if one.is_paid_twice]
    if twice:
        echo(f"✗ {_listed(twice)}: paid twice, by other means and by the provider, too")
    settled: dict[tuple[str, str | None], list[str]] = {}
    for one in payments:
        if one.note is not None or one.is_settled:
            how = settled_as(one)
            key = f"{how}, as {format_author(one.paid_by)} recorded", one.note if shows_notes else None
            settled.setdefault(key, []).append(f"payment-{one.payment}")
    for (how, note), names in settled.items():
        echo(f"{_listed(names)}: {how}" + ("" if note is None else f": {printable(note)}"))


def settled_as(payment: Payment) -> str:
    """Return in words how a person has settled a payment."""
    if payment.status != PaymentStatus.CONFIRMED.value:
        return "not paid"
    return "paid by other means" if payment.is_paid_elsewhere else "paid at the site"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def print_advice(run: int, payments: Sequence[Payment]) -> None:
    """Print what to do about payments that are in doubt or failed.

    Args:
        run: the run.
        payments: its payments.
    """
    statuses = {one.status for one in payments}
    for status, text in _ADVICE.items():
        if status in statuses:
            echo(advised(text.format(run=run)))
