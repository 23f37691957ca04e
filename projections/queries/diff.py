"""Lists the changes in the MephistoDB view between two positions."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import groupby

import msgspec

from ..engine import rebuild
from ..engine.rebuild import Difference, Value
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.tables import TABLES, Table
from .view_rows import CellValue


class ChangeKind(Enum):
    """The way in which a row changed."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(msgspec.Struct, frozen=True):
    """One row that changed."""

    table: str
    #: The value of its key.
    key: CellValue
    kind: ChangeKind
    #: Values before and after: of the changed columns, or of all columns with a value if the row was added or removed.
    columns: dict[str, tuple[CellValue, CellValue]]


def changes(before: MephistoDB, after: MephistoDB) -> Iterator[Change]:
    """Yield all rows that differ between two views, ordered by table and key."""
    for table in TABLES:
        differing = rebuild.differences(before, after, table.name)
        for key, found in groupby(differing, lambda difference: difference.key[0]):
            yield _change(table, _cell(key), list(found), before, after)


def _cell(value: Value) -> CellValue:
    return value.hex() if isinstance(value, bytes) else value


def _change(table: Table, key: CellValue, found: list[Difference], before: MephistoDB, after: MephistoDB) -> Change:
    if found[0].column is not None:
        columns = {each.column: (_cell(each.stored), _cell(each.rebuilt)) for each in found if each.column is not None}
        return Change(table.name, key, ChangeKind.CHANGED, columns)
    if found[0].stored is None:
        return Change(table.name, key, ChangeKind.ADDED, {c: (None, v) for c, v in _row(after, table, key)})
    return Change(table.name, key, ChangeKind.REMOVED, {c: (v, None) for c, v in _row(before, table, key)})


def _row(db: MephistoDB, table: Table, key: CellValue) -> list[tuple[str, CellValue]]:
    """Return the columns of a row that have a value."""
    row = db.execute(f"SELECT * FROM {table.name} WHERE {table.key} = ?", (key,)).fetchone()
    return [(column, value) for column, value in zip(table.columns, row, strict=True) if value is not None]
