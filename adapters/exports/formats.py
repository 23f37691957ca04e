"""Lists the formats a run can be exported in. The code of a format is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, cast

from ...core.errors import ConfigError
from .columns import UnitTable

#: Writes rows to a file and returns how many there were.
Writer = Callable[[UnitTable, BinaryIO], int]


class Format(NamedTuple):
    """A format, without its code."""

    media_type: str
    #: `module:function`, the module being one of this package.
    writer: str


FORMATS = {
    "jsonl": Format("application/x-ndjson", "text_formats:write_jsonl"),
    "csv": Format("text/csv; charset=utf-8", "text_formats:write_csv"),
    "parquet": Format("application/vnd.apache.parquet", "parquet:write"),
}
#: The extra that brings a package which does not come with the base install.
_EXTRAS = {"pyarrow": "parquet"}


def load_writer(name: str) -> Writer:
    """Return the function that writes a format.

    Args:
        name: a key of `FORMATS`.

    Raises:
        ConfigError: a package it needs is not installed.
    """
    module, _, function = FORMATS[name].writer.partition(":")
    try:
        return cast(Writer, getattr(importlib.import_module(f".{module}", __package__), function))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ConfigError(
            f"--format {name} needs {error.name}, which is not installed",
            key="--format",
            hint=f"Run: pip install 'mephisto-es[{_EXTRAS[error.name]}]'",
        ) from error
