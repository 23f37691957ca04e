"""Comma-separated values, UTF-8, with a line of names first; JSON values and lists are JSON text, times ISO 8601."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import BinaryIO

import msgspec

from ...projections.queries.unit_records import UnitRecord
from .columns import COLUMNS, Cell, cells


def write(records: Iterable[UnitRecord], file: BinaryIO) -> int:
    """Write rows as they come; tells how many there were."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    count = 0
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in COLUMNS])
        for count, record in enumerate(records, start=1):  # noqa: B007 - the last number is the answer
            writer.writerow(map(_text, cells(record)))
    finally:
        # The file is the caller's to close.
        text.detach()
    return count


def _text(cell: Cell) -> object:
    match cell:
        case datetime():
            return cell.isoformat()
        case list():
            return msgspec.json.encode(cell).decode()
        case _:
            return cell
