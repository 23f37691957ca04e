"""Reads CSV as spreadsheets, pandas and crowd platforms write it, row by row.

Separators (comma, semicolon, tab) and encodings are found from the beginning of the file. Deviations that leave no
doubt about the values are read and remarked upon; others are errors.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any, NamedTuple

from ...core.errors import ConfigError
from .file_remarks import FileRemarks
from .text_encoding import encoding_of, reading

Row = dict[str, Any]

#: Characters in one cell at most. Larger values belong in files of their own.
MAX_CELL_LENGTH = 1024 * 1024
#: Characters of the names of columns that an error shows.
MAX_SHOWN_HEADER = 200
#: Rows after the header that a separator is judged by.
SAMPLE_ROWS = 50
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}

#: Follows the last line. It becomes a row of its own unless a quotation mark before it was never closed.
_END = "\0end of file\0"
FIX_LINE = "Correct the line, or remove it"
_QUOTE_HINT = "Check that each quotation mark that opens a cell is closed; within a cell, write two"


class _Layout(NamedTuple):
    encoding: str
    separator: str
    #: Whether Excel's line `sep=;` stands before the header.
    has_separator_line: bool


def read_csv(file: Path, remarks: FileRemarks | None = None) -> Iterator[Row]:
    """Yield the rows of a CSV file with a header, all values strings.

    Cells that a short row lacks are empty strings; rows without any value are left out.

    Args:
        file: the file.
        remarks: gets what was noticed; None: nobody wants to know.

    Raises:
        ConfigError: it is missing, empty or malformed; names file and line.
    """
    for _, row in _numbered_rows(file, FileRemarks() if remarks is None else remarks):
        yield row


def read_columns(file: Path, needed: Sequence[str], *, key: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file that somebody has filled in, each with the number of its line.

    Names of columns come in lower case, and names and values without spaces at their ends.

    Args:
        file: the file.
        needed: the columns that it must have.
        key: the option that names the file, for errors.

    Raises:
        ConfigError: it cannot be read, is malformed, or lacks a column.
    """
    if not file.is_file():
        raise ConfigError(f"{file} cannot be read: there is no such file", key=key)
    for line, row in _numbered_rows(file, FileRemarks()):
        named = {name.strip().lower(): str(value).strip() for name, value in row.items()}
        for column in needed:
            if column not in named:
                has = ", ".join(map(repr, named))[:MAX_SHOWN_HEADER]
                raise ConfigError(
                    f"{file.name}: the column {column!r} is missing; the columns are {has}",
                    key=key,
                    hint="Separate the columns with commas, semicolons or tabs",
                )
        yield line, named


def _numbered_rows(file: Path, remarks: FileRemarks) -> Iterator[tuple[int, Row]]:
    if csv.field_size_limit() < MAX_CELL_LENGTH:
        csv.field_size_limit(MAX_CELL_LENGTH)
    with reading(file):
        layout = _layout_of(file)
        if layout.separator != ",":
            remarks.add(f"the columns are separated by {SEPARATORS.get(layout.separator, repr(layout.separator))}")
        with file.open(encoding=layout.encoding, newline="") as lines:
            records = _records(file, lines, layout, remarks)
            header = _Header(file, next((cells for _, cells in records if cells), []), remarks)
            for line, cells in records:
                row = header.read(cells, line)
                if row is not None:
                    yield line, row


def _layout_of(file: Path) -> _Layout:
    encoding = encoding_of(file)
    with file.open(encoding=encoding, newline="") as lines:
        first = lines.readline(MAX_CELL_LENGTH)
        if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
            return _Layout(encoding, first[4], has_separator_line=True)
        sample = [first, *islice(lines, SAMPLE_ROWS)]
    return _Layout(encoding, _separator_of(sample), has_separator_line=False)


def _separator_of(sample: Sequence[str]) -> str:
    """Return the separator that gives the header most columns, if most rows have as many; a comma if none does."""
    widths = {}
    for separator in SEPARATORS:
        try:
            header, *rows = csv.reader(sample, delimiter=separator)
        except (csv.Error, ValueError):  # a cell that is too long, or no line at all
            continue
        fitting = sum(len(row) == len(header) for row in rows if row)
        if len(header) > 1 and 2 * fitting >= sum(map(bool, rows)):
            widths[separator] = len(header)
    return max(widths, key=lambda separator: widths[separator], default=",")


class _Header:
    """The columns of a table, by their position in a row."""

    def __init__(self, file: Path, names: Sequence[str], remarks: FileRemarks) -> None:
        """Take the header's cells.

        Raises:
            ConfigError: none of them is a name.
        """
        self._file = file
        self._remarks = remarks
        self._width = len(names)
        self._names = {position: name for position, name in enumerate(names) if name.strip()}
        if not self._names:
            raise malformed(file, 1, "there are no column names", "Begin the file with a line of column names")
        for position, name in self._names.items():
            first = names.index(name)
            if first != position:
                remarks.add(f"columns {first + 1} and {position + 1} are both named {name!r}; the second is used")
            if name.startswith("Unnamed: "):
                remarks.add(f"the column {name!r} looks like an index that pandas wrote (to_csv(index=False) omits it)")

    def read(self, cells: Sequence[str], line: int) -> Row | None:
        """Return a row as an object; None if there is no value in it.

        Raises:
            ConfigError: it has more values than there are columns.
        """
        if not any(cell.strip() for cell in cells):
            self._remarks.add("empty rows are skipped", line)
            return None
        if any(cell.strip() for cell in cells[self._width :]):
            raise malformed(
                self._file,
                line,
                f"{len(cells)} values under {self._width} column names",
                "Name the missing column, or put a value that contains the separator between quotation marks",
            )
        if len(cells) < self._width:
            self._remarks.add("rows with fewer cells than the header are filled with empty cells", line)
        for position, cell in enumerate(cells[: self._width]):
            if position not in self._names and cell.strip():
                known = " (pandas writes its index like this; to_csv(index=False) omits it)" if position == 0 else ""
                self._remarks.add(f"column {position + 1} has no name and is ignored{known}")
        padded = [*cells, *[""] * (self._width - len(cells))]
        return {name: padded[position] for position, name in self._names.items()}


def _records(
    file: Path, lines: Iterator[str], layout: _Layout, remarks: FileRemarks
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a table, each with the number of the line that it begins on.

    Raises:
        ConfigError: a cell is too long, or a quotation mark is never closed.
    """
    skipped = sum(1 for _ in islice(lines, int(layout.has_separator_line)))
    lines, again = tee(lines)
    rows = csv.reader(chain(lines, [_END]), delimiter=layout.separator)
    # Quotation marks within a cell are read as Mephisto reads them; only a strict reader notices them.
    strict: Iterator[list[str]] = csv.reader(again, delimiter=layout.separator, strict=True)
    del again  # whatever is not read from it would be kept
    while True:
        line = skipped + rows.line_num + 1
        try:
            cells = next(rows)
        except csv.Error as error:
            what = f"a cell has more than {MAX_CELL_LENGTH:,} characters"
            raise malformed(file, line, what, f"{_QUOTE_HINT}; keep larger values in files of their own") from error
        if cells == [_END]:
            return
        if cells and cells[-1].endswith(_END):
            raise malformed(file, line, "a quotation mark is never closed", _QUOTE_HINT)
        try:
            next(strict, None)
        except csv.Error:
            remarks.add("text follows a closed quotation mark; check that quotation marks in a cell are doubled", line)
            strict = iter(())
        yield line, cells


def malformed(file: Path, line: int, what: str, hint: str = FIX_LINE) -> ConfigError:
    """Return the error for a line that cannot be read."""
    return ConfigError(f"{file}, line {line}: {what}", key=str(file), hint=hint)
