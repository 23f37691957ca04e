"""Reads the data of a task from a file: one object for each assignment.

CSV and JSON Lines are read row by row, so a file may be larger than memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from ...core.errors import ConfigError
from .csv_files import FIX_LINE, Row, malformed, read_csv
from .file_remarks import FileRemarks
from .text_encoding import encoding_of, reading

_object = msgspec.json.Decoder(Row)
_ARRAY_HINT = "Write [{...}, {...}]"
#: Endings of names that belong to another setting than `data_csv`.
_OTHER_ENDINGS = {".json": "data_json", ".jsonl": "data_jsonl", ".ndjson": "data_jsonl"}


def read_jsonl(file: Path, remarks: FileRemarks | None = None) -> Iterator[Row]:
    """Yield the lines of a file, each a JSON object; empty ones are left out.

    Raises:
        ConfigError: as `read_csv`.
    """
    with reading(file), file.open(encoding=encoding_of(file)) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                if remarks is not None:
                    remarks.add("empty lines are skipped", number)
                continue
            try:
                yield _object.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise malformed(file, number, f"not a JSON object ({error})") from error


def read_json(file: Path, remarks: FileRemarks | None = None) -> Iterator[Row]:  # noqa: ARG001 - there is nothing to remark
    """Yield the objects of a file that holds one JSON array.

    Raises:
        ConfigError: as `read_csv`; items are counted from 1.
    """
    with reading(file):
        text = file.read_text(encoding=encoding_of(file))
    try:
        items = json.loads(text, parse_constant=partial(_refuse_constant, file))
    except json.JSONDecodeError as error:
        hint = "Write one array, or set data_jsonl if each line is an object" if error.msg == "Extra data" else FIX_LINE
        raise malformed(file, error.lineno, f"not JSON ({error.msg})", hint) from error
    except RecursionError as error:
        raise malformed(file, 1, "not JSON that can be read (nested too deeply)") from error
    if not isinstance(items, list):
        raise ConfigError(f"{file} does not hold a JSON array", key=str(file), hint=_ARRAY_HINT)
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise ConfigError(f"{file}, item {number} is not a JSON object", key=str(file), hint=_ARRAY_HINT)
        yield item


#: The reader of each kind of file, by the setting that names it.
READERS: dict[str, Callable[[Path, FileRemarks | None], Iterator[Row]]] = {
    "data_csv": read_csv,
    "data_json": read_json,
    "data_jsonl": read_jsonl,
}


def read_file(setting: str, file: Path, remarks: FileRemarks | None = None) -> Iterator[Row]:
    """Yield the objects of the file that a setting names.

    Args:
        setting: a key of `READERS`.
        file: the file.
        remarks: gets what was noticed; None: nobody wants to know.

    Raises:
        ConfigError: the file is missing or malformed, or there is nothing in it.
    """
    other = _OTHER_ENDINGS.get(file.suffix.lower())
    if setting == "data_csv" and other is not None:
        hint = f"Set mephisto.blueprint.{other} instead"
        raise ConfigError(f"{file} is JSON, not CSV", key="mephisto.blueprint.data_csv", hint=hint)
    is_empty = True
    for row in READERS[setting](file, remarks):
        is_empty = False
        yield row
    if is_empty:
        raise ConfigError(f"{file} holds no data", key=f"mephisto.blueprint.{setting}", hint="Add a row for each unit")


def _refuse_constant(file: Path, name: str) -> None:
    raise ConfigError(f"{file} holds {name}, which is not JSON", key=str(file), hint="Use null, or a number")
