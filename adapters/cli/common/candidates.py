"""Finds what a shell offers to complete an id: runs, units, agents and workers of a log."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from click.shell_completion import CompletionItem

from ....core.entity_ref import WORKER
from ....core.errors import MephistoError
from ....projections.mephisto_db.reader import MephistoDB
from ....projections.mephisto_db.tables import TABLES, Table

#: Ids that are offered at most.
MAX_CANDIDATES = 50
#: Steps of SQLite, in thousands, after which a search is given up: some hundredths of a second.
MAX_THOUSAND_STEPS = 2_000
#: Milliseconds to wait for whoever has locked the file.
_LOCK_MS = 100
_WRITTEN = re.compile(r"(?:([a-z]+)-)?(\d*)", re.ASCII)
#: Names that a shell takes as they are.
_PLAIN_NAME = re.compile(r"[\w.@+-]{1,100}")
#: Digits of the largest id.
_DIGITS = 19
_TABLE_OF = {table.entity: table for table in TABLES}
_NAMES = "SELECT worker_name FROM workers WHERE worker_name >= ? AND worker_name < ? ORDER BY 1 LIMIT ?"


def candidates(database: Path, kinds: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Return the ids, and for workers the names, that begin with what was typed: the newest first.

    A log that cannot be read has none: nothing may disturb who types.

    Args:
        database: the log.
        kinds: the kinds of entities that are wanted.
        incomplete: the typed part: nothing, `un`, `unit-`, `unit-1` or `1`.
    """
    found: list[CompletionItem] = []
    try:
        with MephistoDB(database) as db:
            db.execute(f"PRAGMA busy_timeout = {_LOCK_MS}")
            db.bound(MAX_THOUSAND_STEPS)
            for kind in kinds:
                found += _ids(db, kind, incomplete)
            if WORKER in kinds and incomplete:
                found += _names(db, incomplete)
    except (MephistoError, sqlite3.Error, OSError, ValueError):
        pass
    return found[:MAX_CANDIDATES]


def _ids(db: MephistoDB, kind: str, incomplete: str) -> Iterator[CompletionItem]:
    """Yield the ids of a kind that begin with a text: `1` begins `12`, and `unit-1` begins `unit-12`."""
    written = _WRITTEN.fullmatch(incomplete)
    prefix = ""
    if incomplete.isdecimal():
        digits = incomplete
    elif f"{kind}-".startswith(incomplete):
        prefix, digits = f"{kind}-", ""
    elif written is not None and written[1] == kind:
        prefix, digits = f"{kind}-", written[2]
    else:
        return
    if kind not in _TABLE_OF:
        return
    for number, status in _numbers(db, _TABLE_OF[kind], digits):
        yield CompletionItem(f"{prefix}{number}", help=status)


def _numbers(db: MephistoDB, table: Table, digits: str) -> list[tuple[int, str | None]]:
    """Return the newest ids that begin with digits, with their statuses, by lookups in the index of the key."""
    status = "status" if "status" in table.columns else "NULL"
    query = (
        f"SELECT {table.key}, {status} FROM {table.name} WHERE {table.key} >= ? AND {table.key} < ? "
        f"ORDER BY {table.key} DESC LIMIT ?"
    )
    if not digits:
        return db.execute(query, (0, 2**63 - 1, MAX_CANDIDATES)).fetchall()
    first = int(digits)
    ranges = [(first * 10**more, (first + 1) * 10**more) for more in range(_DIGITS - len(digits))]
    found: list[tuple[int, str | None]] = []
    for low, high in ranges if digits[0] != "0" else ():
        found += db.execute(query, (low, high, MAX_CANDIDATES)).fetchall()
    return sorted(found, reverse=True)[:MAX_CANDIDATES]


def _names(db: MephistoDB, incomplete: str) -> Iterator[CompletionItem]:
    end = incomplete[:-1] + chr(min(ord(incomplete[-1]) + 1, 0x10FFFF))
    for (name,) in db.execute(_NAMES, (incomplete, end, MAX_CANDIDATES)):
        if _PLAIN_NAME.fullmatch(name):
            yield CompletionItem(name)
