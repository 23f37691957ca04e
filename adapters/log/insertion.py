"""Rows into the tables of a log: what the writer does in each commit, and the doctor for a whole log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ...core.chain import Columns, Row
from ...events.ids import WorkerId

_EVENT = f"INSERT INTO events({', '.join(Row._fields)}) VALUES ({', '.join('?' * len(Row._fields))})"
_PAYLOAD = "INSERT OR IGNORE INTO payloads(sha256, salt, body, subject) VALUES (?, ?, ?, ?)"


def insert_events(db: sqlite3.Connection, rows: Iterable[tuple[int, *Columns]]) -> None:
    """Add events, inside the caller's transaction.

    Raises:
        IntegrityError: a command, or a version of a stream, is there already.
    """
    db.executemany(_EVENT, rows)


def insert_payloads(db: sqlite3.Connection, payloads: Iterable[tuple[str, bytes, bytes, int | None]]) -> None:
    """Add what events refer to: commitment, salt, body and the worker whose it is. One that is there stays."""
    db.executemany(_PAYLOAD, payloads)


def forget_workers(db: sqlite3.Connection, workers: Sequence[WorkerId]) -> None:
    """Delete what is of workers, and the snapshots, which may have their names."""
    db.executemany("DELETE FROM payloads WHERE subject = ?", [(worker,) for worker in workers])
    db.execute("DELETE FROM snapshots")
