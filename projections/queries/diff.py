"""What changed in the MephistoDB view from one moment to another."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import groupby

import msgspec

from ..engine import rebuild
from ..engine.rebuild import Difference, Value
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.tables import TABLES, Table


class ChangeKind(Enum):
    """What became of a row."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(msgspec.Struct, frozen=True):
    """One row that is not as it was."""

    table: str
    #: The value of its key.
    key: Value
    kind: ChangeKind
    #: Of a row that changed: the columns that did, with the values before and after. Else: all columns with a value.
    columns: dict[str, tuple[Value, Value]]


def changes(before: MephistoDB, after: MephistoDB) -> Iterator[Change]:
    """All rows that differ between two views, table by table, by their keys."""
    for table in TABLES:
        differing = rebuild.differences(before, after, table.name)
        for key, found in groupby(differing, lambda difference: difference.key[0]):
            yield _change(table, key, list(found), before, after)


def _change(table: Table, key: Value, found: list[Difference], before: MephistoDB, after: MephistoDB) -> Change:
    if found[0].column is not None:
        columns = {each.column: (each.stored, each.rebuilt) for each in found if each.column is not None}
        return Change(table.name, key, ChangeKind.CHANGED, columns)
    if found[0].stored is None:
        return Change(table.name, key, ChangeKind.ADDED, {c: (None, v) for c, v in _row(after, table, key)})
    return Change(table.name, key, ChangeKind.REMOVED, {c: (v, None) for c, v in _row(before, table, key)})


def _row(db: MephistoDB, table: Table, key: Value) -> list[tuple[str, Value]]:
    """The values of a row that are there."""
    row = db.execute(f"SELECT * FROM {table.name} WHERE {table.key} = ?", (key,)).fetchone()
    return [(column, value) for column, value in zip(table.columns, row, strict=True) if value is not None]
