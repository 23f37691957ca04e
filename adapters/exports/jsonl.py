"""JSON Lines: a row is an object on a line, nested values as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from ...projections.queries.unit_records import UnitRecord


def write(records: Iterable[UnitRecord], file: BinaryIO) -> int:
    """Write rows as they come; tells how many there were."""
    count = 0
    for count, record in enumerate(records, start=1):  # noqa: B007 - the last number is the answer
        file.write(msgspec.json.encode(record) + b"\n")
    return count
