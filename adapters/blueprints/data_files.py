"""The data of a task from a file: one object for each assignment.

CSV and JSON Lines are read row by row, so a file may be larger than memory.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ...core.errors import ConfigError

Row = dict[str, Any]

_object = msgspec.json.Decoder(Row)


def read_csv(file: Path) -> Iterator[Row]:
    """The rows of a CSV file with a header, all values strings.

    Raises:
        ConfigError: it is missing, empty or malformed; names file and line.
    """
    with _reading(file), file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            names = next(reader, [])
            _check_header(file, names)
            for row in reader:
                if len(row) not in (0, len(names)):
                    raise _malformed(file, reader.line_num, f"{len(row)} values under {len(names)} column names")
                if row:
                    yield dict(zip(names, row, strict=True))
        except csv.Error as error:
            raise _malformed(file, reader.line_num, str(error)) from error


def read_jsonl(file: Path) -> Iterator[Row]:
    """The lines of a file, each a JSON object; empty ones are skipped.

    Raises:
        ConfigError: as `read_csv`.
    """
    with _reading(file), file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield _object.decode(line)
                except msgspec.DecodeError as error:
                    raise _malformed(file, number, f"not a JSON object ({error})") from error


def read_json(file: Path) -> Iterator[Row]:
    """The objects of a file that holds one JSON array.

    Raises:
        ConfigError: as `read_csv`; items are counted from 1.
    """
    with _reading(file):
        text = file.read_text(encoding="utf-8-sig")
    try:
        items = json.loads(text, parse_constant=partial(_refuse_constant, file))
    except json.JSONDecodeError as error:
        raise _malformed(file, error.lineno, f"not JSON ({error.msg})") from error
    if not isinstance(items, list):
        raise ConfigError(f"{file} does not hold a JSON array", key=str(file), hint="Write [{...}, {...}]")
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise ConfigError(f"{file}, item {number} is not a JSON object", key=str(file), hint="Write [{...}, {...}]")
        yield item


#: How each kind of file is read, by the setting that names it.
READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "data_csv": read_csv,
    "data_json": read_json,
    "data_jsonl": read_jsonl,
}


def check_file(setting: str, file: Path) -> None:
    """Read a file from beginning to end, so that a mistake in its last line is found before anybody works.

    Raises:
        ConfigError: as the readers, or there is nothing in it.
    """
    rows = sum(1 for _ in READERS[setting](file))
    if rows == 0:
        raise ConfigError(f"{file} holds no data", key=f"mephisto.blueprint.{setting}", hint="Add a row for each unit")


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", key=str(file), hint="Check the path in the configuration"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 ({error.reason})", key=str(file), hint="Save it as UTF-8") from error


def _check_header(file: Path, names: list[str]) -> None:
    if not names:
        raise _malformed(file, 1, "there are no column names")
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise _malformed(file, 1, f"column {position} has no name")
        if names.index(name) != position - 1:
            raise _malformed(file, 1, f"two columns are called {name!r}")


def _malformed(file: Path, line: int, what: str) -> ConfigError:
    return ConfigError(f"{file}, line {line}: {what}", key=str(file), hint="Correct the line, or take it out")


def _refuse_constant(file: Path, name: str) -> None:
    raise ConfigError(f"{file} holds {name}, which is not JSON", key=str(file), hint="Use null, or a number")
