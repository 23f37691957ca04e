"""Describes the columns of a table in one pass over its rows: counts, ranges, and the people and times behind them."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from datetime import datetime
from typing import TypeGuard

import msgspec

from ...projections.queries.unit_records import UnitRecord
from .columns import Column, ColumnKind, UnitTable, value_of

#: Different values of a column that are counted; a column with more is described by its range alone.
COUNTED_VALUES = 20
#: Characters of a value that are shown.
MAX_VALUE = 100
_COUNTED = (ColumnKind.TEXT, ColumnKind.BOOLEAN, ColumnKind.INTEGER)


class CodebookEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The description of one column."""

    name: str
    type: str
    description: str
    #: Rows with a value.
    values: int
    #: Rows without one.
    missing: int
    #: Number of rows by value, the most frequent first, if there are few different values.
    counts: dict[str, int] | None = None
    #: Range of numbers and times.
    least: int | float | datetime | None = None
    most: int | float | datetime | None = None


class Codebook(msgspec.Struct, frozen=True, kw_only=True):
    """The description of all columns of a table, and facts about its rows."""

    entries: tuple[CodebookEntry, ...]
    rows: int
    workers: int
    #: None if nothing was submitted.
    first_submission: datetime | None
    last_submission: datetime | None
    #: Submitted units of ordinary work of each item: how many items have so many.
    answers_per_item: dict[int, int]


def codebook_of(table: UnitTable) -> Codebook:
    """Return the description of a table."""
    tallies = [_Tally(column) for column in table.columns]
    rows, workers, answers = 0, set[int](), Counter[int]()
    first: datetime | None = None
    last: datetime | None = None
    for record in table:
        rows += 1
        for tally in tallies:
            tally.add(record)
        if record.worker_id is not None:
            workers.add(record.worker_id)
        if record.submitted_at is not None:
            first = record.submitted_at if first is None else min(first, record.submitted_at)
            last = record.submitted_at if last is None else max(last, record.submitted_at)
            answers[record.assignment_id] += record.unit_index >= 0
    descriptions = _descriptions()
    return Codebook(
        entries=tuple(tally.entry(rows, descriptions) for tally in tallies),
        rows=rows,
        workers=len(workers),
        first_submission=first,
        last_submission=last,
        answers_per_item=dict(sorted(Counter(count for count in answers.values() if count).items())),
    )


class _Tally:
    """The values of one column, as far as they have been read."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._values = 0
        #: None once there are too many different values.
        self._counts: Counter[str] | None = Counter() if column.kind in _COUNTED else None
        self._least: int | float | datetime | None = None
        self._most: int | float | datetime | None = None

    def add(self, record: UnitRecord) -> None:
        """Count the value of one row."""
        value = value_of(self._column, record)
        if value is None:
            return
        self._values += 1
        if self._counts is not None:
            self._counts[_shown(value)] += 1
            if len(self._counts) > COUNTED_VALUES:
                self._counts = None
        # Of values of several types none is the least; such a column is JSON.
        if self._column.kind is not ColumnKind.JSON and _is_ordered(value):
            self._least = value if self._least is None or _is_less(value, self._least) else self._least
            self._most = value if self._most is None or _is_less(self._most, value) else self._most

    def entry(self, rows: int, descriptions: dict[str, str]) -> CodebookEntry:
        """Return the description of the column."""
        column = self._column
        about = f"`{'.'.join(column.path)}` in `{column.field}`." if column.path else descriptions.get(column.name, "")
        return CodebookEntry(
            name=column.name,
            type=column.kind.value,
            description=about,
            values=self._values,
            missing=rows - self._values,
            counts=dict(self._counts.most_common()) if self._counts else None,
            least=self._least,
            most=self._most,
        )


def _is_ordered(value: object) -> TypeGuard[int | float | datetime]:
    return isinstance(value, int | float | datetime) and not isinstance(value, bool)


def _is_less(one: float | datetime, other: float | datetime) -> bool:
    """Return whether a value is less than another of the same column, and so of the same kind."""
    match one, other:
        case (datetime(), datetime()) | (int() | float(), int() | float()):
            return bool(one < other)  # type: ignore[operator]  # both are of one kind
        case _:
            return False


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _descriptions() -> dict[str, str]:
    """Return what the source of `UnitRecord` says about each field."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in inspect.getsource(UnitRecord).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            comment.append(text.removeprefix("#:").strip())
        elif field := re.match(r"(\w+): ", text):
            found[field[1]] = " ".join(comment)
            comment = []
    return found
