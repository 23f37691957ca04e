"""Writes the units of a run as a folder that Hugging Face `load_dataset` reads: Parquet, a codebook, a dataset card."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import yaml

from ...core.errors import ConfigError
from ...core.printable import printable_lines
from ...projections.queries.unit_records import UnitRecord
from .columns import ColumnKind, UnitTable, value_of
from .formats import load_writer

DATA_FILE = Path("data", "train.parquet")
CODEBOOK_FILE = "codebook.json"
CARD_FILE = "README.md"
#: Different values of a column that the codebook counts; a column with more is described by its range or its lengths.
COUNTED_VALUES = 20
#: Characters of a value that the codebook shows.
MAX_VALUE = 100
_SIZES = ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_COUNTED = (ColumnKind.TEXT, ColumnKind.BOOLEAN, ColumnKind.INTEGER)


class DatasetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of a dataset."""

    task_name: str
    task_run: int
    #: Position in the log that the dataset was made from, and the hash of the chain there.
    seq: int
    chain: str
    version: str
    is_anonymous: bool


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


def write_dataset(table: UnitTable, folder: Path, facts: DatasetFacts) -> int:
    """Write a dataset into a folder; return the number of rows.

    Args:
        table: the rows.
        folder: the folder; created if it does not exist. Files of an earlier dataset in it are replaced.
        facts: the origin of the rows.

    Raises:
        ConfigError: the folder cannot be written, or the extra `parquet` is not installed.
    """
    write = load_writer("parquet")
    try:
        (folder / DATA_FILE).parent.mkdir(parents=True, exist_ok=True)
        with (folder / DATA_FILE).open("wb") as file:
            rows = write(table, file)
        codebook = list(codebook_of(table))
        body = msgspec.json.format(msgspec.json.encode(codebook), indent=2)
        (folder / CODEBOOK_FILE).write_bytes(body + b"\n")
        (folder / CARD_FILE).write_text(_card(rows, table, codebook, facts), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", key="--output") from error
    return rows


def codebook_of(table: UnitTable) -> Iterator[CodebookEntry]:
    """Yield the description of each column of a table."""
    descriptions = _descriptions()
    for column in table.columns:
        values = [value for record in table if (value := value_of(column, record)) is not None]
        total = sum(1 for _ in table)
        about = descriptions.get(column.name) if not column.path else f"`{'.'.join(column.path)}` in `{column.field}`."
        counts = Counter(_shown(value) for value in values) if column.kind in _COUNTED else Counter[str]()
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        times = [value for value in values if isinstance(value, datetime)]
        yield CodebookEntry(
            name=column.name,
            type=column.kind.value,
            description=about or "",
            values=len(values),
            missing=total - len(values),
            counts=dict(counts.most_common()) if 0 < len(counts) <= COUNTED_VALUES else None,
            least=min(numbers, default=None) if numbers else min(times, default=None),
            most=max(numbers, default=None) if numbers else max(times, default=None),
        )


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


def _card(rows: int, table: UnitTable, codebook: list[CodebookEntry], facts: DatasetFacts) -> str:
    """Return the dataset card: YAML that Hugging Face reads, and text for people."""
    workers = len({record.worker_id for record in table if record.worker_id is not None})
    submitted = sorted(record.submitted_at for record in table if record.submitted_at is not None)
    size = next((name for limit, name in _SIZES if rows < limit), "n>1M")
    head = yaml.safe_dump(
        {
            "pretty_name": facts.task_name,
            "size_categories": [size],
            "tags": ["crowdsourced", "mephisto-es"],
            "configs": [
                {"config_name": "default", "data_files": [{"split": "train", "path": DATA_FILE.as_posix()}]},
            ],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    period = f"from {submitted[0]:%Y-%m-%d} to {submitted[-1]:%Y-%m-%d}" if submitted else "not yet"
    people = "Workers are numbered; names, notes and times of day were removed." if facts.is_anonymous else ""
    lines = [
        f"---\n{head}---",
        f"# {_plain(facts.task_name)}",
        f"{rows:,} units of run {facts.task_run}, by {workers:,} workers; submitted {period}. {people}".strip(),
        f"Exported by mephisto-es {facts.version} from position {facts.seq} of the log, where the chain is "
        f"`{facts.chain}`.",
        "## Columns",
        f"One row for each unit; `{CODEBOOK_FILE}` has counts and ranges.",
        "\n".join(
            [
                "| column | type | values | meaning |",
                "| --- | --- | ---: | --- |",
                *(
                    f"| `{_plain(one.name)}` | {one.type} | {one.values:,} | {_plain(one.description)} |"
                    for one in codebook
                ),
            ]
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return a text that stays within its cell of a table."""
    return printable_lines(text).replace("\n", " ").replace("|", "\\|")
