"""Exchanges payments with people who pay by other means: CSV files of what is to be paid, and of what was paid."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ....core.errors import ConfigError
from ....core.operations.configuration.money import amount, cents
from ....events.ids import PaymentId
from ....projections.queries.money.pay_ledger import Payment
from ...blueprints.csv_files import read_columns
from ...log.sqlite.as_of import open_as_of

KEY = "--settle-file"
DECISIONS = ("paid", "unpaid")
MAX_LINES = 1_000_000


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
