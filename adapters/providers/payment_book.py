"""Records mock payments in a file, in place of a provider's accounts.

A payment is durable before its reference is returned. So an order that is repeated, by whichever process, is found, and
nobody is paid twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ...core.abstractions.crowd.payments import PaymentOrder, PaymentRefusedError

#: In the data folder.
BOOK_FILE = "mock_payments.db"

_BOOK = """
CREATE TABLE IF NOT EXISTS payments(
  number       INTEGER PRIMARY KEY,
  token        TEXT    NOT NULL UNIQUE,
  worker       INTEGER NOT NULL,
  amount_cents INTEGER NOT NULL,
  purpose      TEXT    NOT NULL
) STRICT
"""
_ADD = "INSERT OR IGNORE INTO payments(token, worker, amount_cents, purpose) VALUES (?, ?, ?, ?)"
_REFERENCE = "payment "


class PaymentBook:
    """The payments in one file, which is created on first use."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pay(self, order: PaymentOrder) -> str:
        """Record an order, unless its token is recorded already.

        Returns:
            The reference of the payment; the same token has the same reference.

        Raises:
            PaymentRefusedError: the file cannot be written, or has the token with another amount or worker.
        """
        outcome = self.pay_all([order])[order.token]
        if isinstance(outcome, PaymentRefusedError):
            raise outcome
        return outcome

    def pay_all(self, orders: Sequence[PaymentOrder]) -> dict[str, str | PaymentRefusedError]:
        """Record orders in one transaction; return the reference of each, or why it is refused, by token."""
        try:
            with closing(self._open()) as book:
                book.execute("BEGIN IMMEDIATE")
                outcomes = {order.token: self._add(book, order) for order in orders}
                book.execute("COMMIT")
        except sqlite3.OperationalError as error:
            refused = PaymentRefusedError(f"the book of payments {self._path} cannot be written: {error}")
            return {order.token: refused for order in orders}
        return outcomes

    def _add(self, book: sqlite3.Connection, order: PaymentOrder) -> str | PaymentRefusedError:
        # Names are not recorded: this file would still contain them after an erasure.
        ordered = (order.worker, order.amount_cents, order.purpose)
        book.execute(_ADD, (order.token, *ordered))
        found = book.execute(
            "SELECT number, worker, amount_cents, purpose FROM payments WHERE token = ?", (order.token,)
        ).fetchone()
        number, *written = found
        if tuple(written) != ordered:
            return PaymentRefusedError(f"its token belongs to a different payment, {_REFERENCE}{number}")
        return f"{_REFERENCE}{number}"

    def has(self, reference: str) -> bool:
        """Return whether a payment is recorded."""
        number = reference.removeprefix(_REFERENCE)
        with closing(self._open()) as book:
            return bool(book.execute("SELECT 1 FROM payments WHERE number = ?", (number,)).fetchone())

    def total_cents(self) -> int:
        """Return the sum of all payments."""
        with closing(self._open()) as book:
            total: int = book.execute("SELECT coalesce(sum(amount_cents), 0) FROM payments").fetchone()[0]
            return total

    def _open(self) -> sqlite3.Connection:
        book = sqlite3.connect(self._path, isolation_level=None)
        book.execute("PRAGMA synchronous=FULL")
        book.execute(_BOOK)
        return book
