"""Reads the tips for workers that a file beside the task has, as Mephisto's `tips_location`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigError

KEY = "mephisto.blueprint.tips_location"
#: Columns of the file that pages get; all others are left out.
COLUMNS = ("header", "text")
#: Maximum size of the file: every page loads all tips.
MAX_BYTES = 1024 * 1024


def read_tips(location: str | None) -> list[dict[str, str]]:
    """Return the tips in a CSV file, each with `header` and `text`.

    Args:
        location: the file; None for none. A file that does not exist has no tips, as in Mephisto, where a review
            creates it.

    Raises:
        ConfigError: the file cannot be read, is too large, or lacks a column.
    """
    file = None if location is None else Path(location).expanduser()
    if file is None or not file.exists():
        return []
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"{file} has more than {MAX_BYTES:,} bytes", key=KEY, hint="Every page loads all tips: keep the best"
            )
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return list(_tips(file, csv.DictReader(lines)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{file} cannot be read: {error}", key=KEY, hint="Save it as CSV in UTF-8") from error


def _tips(file: Path, rows: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or COLUMNS)]
    if missing:
        hint = f"Its first line has to name the columns {' and '.join(COLUMNS)}"
        raise ConfigError(f"{file} has no column {missing[0]!r}", key=KEY, hint=hint)
    for row in rows:
        yield {column: row[column] or "" for column in COLUMNS}
