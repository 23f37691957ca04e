"""Writes a run as a folder that Hugging Face `load_dataset` reads: Parquet, codebook, dataset card, Croissant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import yaml

from ...core.errors import ConfigError
from ...core.printable import printable_lines
from .codebook import Codebook, codebook_of
from .columns import UnitTable
from .croissant import DataFile, croissant
from .facts import DatasetFacts
from .formats import load_writer

DATA_FILE = Path("data", "train.parquet")
CODEBOOK_FILE = "codebook.json"
CARD_FILE = "README.md"
CROISSANT_FILE = "croissant.json"
_SIZES = ((1000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


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
        codebook = codebook_of(table)
        _write_json(folder / CODEBOOK_FILE, codebook.entries)
        (folder / CARD_FILE).write_text(_card(codebook, facts), encoding="utf-8")
        with (folder / DATA_FILE).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        data = DataFile(path=DATA_FILE.as_posix(), sha256=digest, size=(folder / DATA_FILE).stat().st_size)
        _write_json(folder / CROISSANT_FILE, croissant(table.columns, codebook, facts, data))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", key="--output") from error
    return rows


def _write_json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _card(codebook: Codebook, facts: DatasetFacts) -> str:
    """Return the dataset card: YAML that Hugging Face reads, and text for people."""
    rows, first, last = codebook.rows, codebook.first_submission, codebook.last_submission
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
    period = "not yet" if first is None or last is None else f"from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    by = f"by {codebook.workers:,} workers"
    people = "Workers are numbered; names, notes and times of day were removed." if facts.is_anonymous else ""
    lines = [
        f"---\n{head}---",
        f"# {_plain(facts.task_name)}",
        f"{rows:,} units of run {facts.task_run}, {by}; submitted {period}. {people}".strip(),
        f"Exported by mephisto-es {facts.version} from position {facts.seq} of the log, where the chain is "
        f"`{facts.chain}`.",
        *(["## Agreement", *facts.agreement] if facts.agreement else []),
        "## Columns",
        f"One row for each unit; `{CODEBOOK_FILE}` has counts and ranges, `{CROISSANT_FILE}` describes all of it for "
        "programs (Croissant 1.1).",
        "\n".join(
            [
                "| column | type | values | meaning |",
                "| --- | --- | ---: | --- |",
                *(
                    f"| `{_plain(one.name)}` | {one.type} | {one.values:,} | {_plain(one.description)} |"
                    for one in codebook.entries
                ),
            ]
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return a text that stays within its cell of a table."""
    return printable_lines(text).replace("\n", " ").replace("|", "\\|")
