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
from .output import console

#: Payments that are listed one by one unless all are asked for.
MOST_LISTED = 30

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
