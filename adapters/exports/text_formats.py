"""Writes the units of a run as JSON Lines or as comma-separated values.

JSON Lines has one object per line, with nested values as they are. CSV is UTF-8 and starts with a line of column
names; JSON values and lists become JSON text, times become ISO 8601.

CSV is opened in spreadsheets, which run a cell that begins like a formula, and either may be printed on a terminal. So
such a cell begins with an apostrophe, and characters that would act on a terminal are escaped.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime
from types import NoneType
from typing import BinaryIO

import msgspec

from ...core.printable import printable_json, printable_lines
from .columns import Cell, UnitTable

_AS_THEY_ARE = frozenset({int, float, NoneType})
#: The beginning of a cell that a spreadsheet takes for a formula. A number that JSON has as text is none.
_FORMULA = re.compile(r"[=+@\t\r]|-(?!\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z)")


def write_jsonl(table: UnitTable, file: BinaryIO) -> int:
    """Write rows one by one; return how many there were."""
    count = 0
    for count, record in enumerate(table, start=1):  # noqa: B007 - the last number is the answer
        file.write(printable_json(msgspec.json.encode(record).decode()).encode() + b"\n")
    return count


def write_csv(table: UnitTable, file: BinaryIO) -> int:
    """Write rows one by one; return how many there were."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    count = 0
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([spreadsheet_text(column.name) for column in table.columns])
        for count, record in enumerate(table, start=1):  # noqa: B007 - the last number is the answer
            writer.writerow(
                [cell if cell is None or type(cell) is int else _text(cell) for cell in table.cells(record)]
            )
    finally:
        # The caller closes the file.
        text.detach()
    return count


def spreadsheet_text(text: str) -> str:
    """Return the text of a cell, which no spreadsheet runs and no terminal obeys."""
    return f"'{printable_lines(text)}" if _FORMULA.match(text) else printable_lines(text)


def _text(cell: Cell) -> object:
    match cell:
        case str():
            return spreadsheet_text(cell)
        case datetime():
            return cell.isoformat()
        case bool():
            return "true" if cell else "false"
        case list():
            return msgspec.json.encode(cell).decode()
        case _:
            return cell
