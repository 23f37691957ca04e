"""Exchanges payments with people who pay by other means: CSV files of what is to be paid, and of what was paid."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ....core.errors import ConfigError
from ....core.lifecycles.payment import PaymentStatus
from ....core.operations.configuration.money import amount, cents
from ....events.ids import PaymentId
from ....projections.queries.money.pay_ledger import Payment
from ...blueprints.csv_files import read_columns
from ...log.sqlite.as_of import open_as_of
from ...text import format_author, printable
from .payment_lines import settled_as

KEY = "--settle-file"
DECISIONS = ("paid", "unpaid")
#: Statuses of payments that are certainly not paid, so that deciding this changes nothing.
_NOT_PAID = frozenset(
    one.value for one in (PaymentStatus.OWED, PaymentStatus.APPROVED, PaymentStatus.FAILED, PaymentStatus.WITHDRAWN)
)

COLUMNS = ("payment", "status", "amount", "worker", "participant", "purpose", "reason")


class PaymentDecision(NamedTuple):
    """A person's decision on a payment."""

    payment: PaymentId
    is_paid: bool
    reason: str | None


def read_decisions(file: Path, payments: Collection[Payment]) -> list[PaymentDecision]:
    """Return the decisions in a file with the columns payment, status and, if wanted, amount and reason.

    Args:
        file: the file.
        payments: all payments of the run.

    Raises:
        ConfigError: the file cannot be read, has no line, or one that cannot be meant; nothing is to be recorded.
    """
    known = {f"payment-{one.payment}": one for one in payments}
    decisions: dict[PaymentId, PaymentDecision] = {}
    for line, row in read_columns(file, ("payment", "status"), key=KEY):
        where = f"line {line} of {file.name}"
        name = row["payment"]
        payment = known.get(name if name.startswith("payment-") else f"payment-{name}")
        if payment is None:
            raise ConfigError(f"{where}: {name!r} is not a payment of this run", key=KEY, hint="Write payment-7")
        status = row["status"].lower()
        if status not in DECISIONS:
            raise ConfigError(f"{where}: the status is {status!r}", key=KEY, hint=f"Write {' or '.join(DECISIONS)}")
        given = row.get("amount", "")
        if given and cents(given, key=f"{where}: the amount") != payment.amount_cents:
            raise ConfigError(f"{where}: payment-{payment.payment} is {amount(payment.amount_cents)}", key=KEY)
        decision = PaymentDecision(PaymentId(payment.payment), status == "paid", row.get("reason") or None)
        if decisions.setdefault(decision.payment, decision) != decision:
            raise ConfigError(f"{where}: payment-{payment.payment} is decided twice", key=KEY)
    if not decisions:
        raise ConfigError(f"{file.name} has no line with a payment, so nothing was recorded", key=KEY)
    return list(decisions.values())


class SettledBefore(NamedTuple):
    """A decision that nothing is recorded about."""

    text: str
    #: True if the decision contradicts what is known.
    is_contrary: bool


def settled_before(payment: Payment, decision: PaymentDecision, at_site: bool | None) -> SettledBefore | None:
    """Return why there is nothing to record about a decision; None: there is.

    Args:
        payment: the payment before it.
        decision: the decision.
        at_site: True if the provider is said to have paid it, False if it was paid by other means; None: not said.
    """
    name, nothing = f"payment-{payment.payment}", "Nothing was recorded"
    if not decision.is_paid:
        is_unpaid = payment.status in _NOT_PAID
        return SettledBefore(f"{name} is not paid ({payment.status}). {nothing}", False) if is_unpaid else None
    if payment.status != PaymentStatus.CONFIRMED.value:
        return None
    if not payment.is_settled:
        return SettledBefore(
            f"{name} was confirmed by the provider at {payment.since} UTC. {nothing}", at_site is False
        )
    is_other_way = at_site is not None and at_site is payment.is_paid_elsewhere
    if is_other_way or decision.reason not in (None, payment.note):
        return None
    why = "" if payment.note is None else f": {printable(payment.note)}"
    how = f"{settled_as(payment)}, as {format_author(payment.paid_by)} recorded at {payment.since} UTC{why}"
    return SettledBefore(f"{name} was settled before: {how}. {nothing}", False)


def recorded_text(before: Payment, after: Payment) -> str:
    """Return a sentence about a payment that a person has settled.

    Args:
        before: the payment before that.
        after: the payment now.
    """
    corrected = f"; before, it was settled as {settled_as(before)}" if before.is_settled else ""
    return f"payment-{after.payment} is recorded as {settled_as(after)}{corrected}"


def write_payments(database: Path, file: Path, payments: Iterable[Payment]) -> None:
    """Write payments to a CSV file that only its owner can read.

    Args:
        database: the log, for the workers' names at the provider.
        file: the file; it must not exist.
        payments: the payments.

    Raises:
        ConfigError: the file cannot be written.
    """
    with open_as_of(database) as moment:
        names = dict(moment.db.execute("SELECT worker_id, worker_name FROM workers").fetchall())
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(COLUMNS)
            for one in payments:
                person = spreadsheet_cell(names.get(one.worker) or "")
                row = (f"payment-{one.payment}", "unpaid", amount(one.amount_cents), f"worker-{one.worker}", person)
                writer.writerow((*row, one.purpose, ""))
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}", key="--list") from error


def spreadsheet_cell(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
