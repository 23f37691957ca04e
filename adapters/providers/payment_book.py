"""A book of payments in a file of its own, which stands for a provider's accounts.

An order is in the book, for good, before its reference is told; so one that is asked for again is found, whichever
process asks, and nobody is paid twice.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ...core.operations.services.paymaster import PaymentOrder, PaymentRefusedError

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
    """The payments in one file, which is made when it is first used."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pay(self, order: PaymentOrder) -> str:
        """Write an order down, unless its token is there.

        Returns:
            By what the payment is known from now on; the same for the same token.

        Raises:
            PaymentRefusedError: the book cannot be written, or its token stands there with another amount or worker.
        """
        # Names are not written down: who is forgotten would stand here still.
        asked = (order.worker, order.amount_cents, order.purpose)
        try:
            with closing(self._open()) as book:
                book.execute(_ADD, (order.token, *asked))
                found = book.execute(
                    "SELECT number, worker, amount_cents, purpose FROM payments WHERE token = ?", (order.token,)
                ).fetchone()
        except sqlite3.OperationalError as error:
            raise PaymentRefusedError(f"the book of payments {self._path} cannot be written: {error}") from error
        number, *written = found
        if tuple(written) != asked:
            raise PaymentRefusedError(f"its token is that of {_REFERENCE}{number}, which is another one")
        return f"{_REFERENCE}{number}"

    def has(self, reference: str) -> bool:
        """Whether a payment is in the book."""
        number = reference.removeprefix(_REFERENCE)
        with closing(self._open()) as book:
            return bool(book.execute("SELECT 1 FROM payments WHERE number = ?", (number,)).fetchone())

    def total_cents(self) -> int:
        """What was paid in all."""
        with closing(self._open()) as book:
            total: int = book.execute("SELECT coalesce(sum(amount_cents), 0) FROM payments").fetchone()[0]
            return total

    def _open(self) -> sqlite3.Connection:
        book = sqlite3.connect(self._path, isolation_level=None)
        book.execute("PRAGMA synchronous=FULL")
        book.execute(_BOOK)
        return book
