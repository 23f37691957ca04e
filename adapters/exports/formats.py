"""The formats a run can be exported in, each a module that is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import BinaryIO, Protocol, cast

from ...core.errors import ConfigError
from ...projections.queries.unit_records import UnitRecord

#: By name, with the media type of what is written.
FORMATS = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
#: What formats need that does not come with the package.
_EXTRAS = {"pyarrow": "parquet"}


class Format(Protocol):
    """A module that writes a format."""

    def write(self, records: Iterable[UnitRecord], file: BinaryIO) -> int:
        """Write rows; tells how many there were."""


def load_format(name: str) -> Format:
    """The module that writes a format.

    Raises:
        ConfigError: what it needs is not installed.
    """
    try:
        return cast(Format, importlib.import_module(f".{name}", __package__))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        raise ConfigError(
            f"--format {name} needs {error.name}, which is not installed",
            key="--format",
            hint=f"Run: pip install 'mephisto-es[{_EXTRAS[error.name]}]'",
        ) from error
