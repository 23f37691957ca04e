"""Rehearses the examples, exports them in every format, and loads each with the libraries that people use.

`make datasets` installs Hugging Face datasets and mlcroissant, which are too large for the tests, and runs this.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pandas
import polars

from mephisto_es import to_pandas, to_polars

ROOT = Path(__file__).resolve().parents[1]
COMMAND = str(Path(sys.executable).parent / "mephisto-es")
EXAMPLES = ("sentence_rating", "remote_procedure", "paired_chat")
LICENSE = "https://creativecommons.org/licenses/by/4.0/"


def mephisto_es(*words: str | Path) -> None:
    subprocess.run([COMMAND, *map(str, words)], check=True)


def check(example: str, folder: Path) -> int:
    """Rehearse an example, export it in every format, load all of it, and return the number of rows."""
    script, database = ROOT / "examples" / example / "run_task.py", folder / "log" / "mephisto.db"
    mephisto_es(
        "rehearse", script, "--no-browser", "--workers=4", "--units=6", "--seed=7", f"--data-dir={folder / 'log'}"
    )
    for name in ("csv", "jsonl", "parquet"):
        mephisto_es("export", database, "1", "--format", name, "-o", folder / f"units.{name}")
    dataset = folder / "dataset"
    about = ("--anonymous", "--license", LICENSE, "--creator", "A lab", "--url", "https://example.org/data")
    mephisto_es("export", database, "1", "--format", "huggingface", "--labels", *about, "-o", dataset)

    rows = len(to_pandas(database, 1))
    counts = {
        "to_polars": len(to_polars(database, 1)),
        "pandas csv": len(pandas.read_csv(folder / "units.csv")),
        "pandas jsonl": len(pandas.read_json(folder / "units.jsonl", lines=True)),
        "pandas parquet": len(pandas.read_parquet(folder / "units.parquet")),
        "polars csv": len(polars.read_csv(folder / "units.csv", infer_schema_length=None)),
        "polars jsonl": len(polars.read_ndjson(folder / "units.jsonl", infer_schema_length=None)),
        "polars parquet": len(polars.read_parquet(folder / "units.parquet")),
        "datasets": len(import_module("datasets").load_dataset(str(dataset), split="train", cache_dir=str(folder))),
        "mlcroissant": croissant_rows(dataset / "croissant.json"),
    }
    wrong = {name: count for name, count in counts.items() if count != rows}
    if wrong:
        raise AssertionError(f"{example} has {rows} units, but: {wrong}")
    return rows


def croissant_rows(description: Path) -> int:
    """Validate a description, and return the number of records that it leads to."""
    found = import_module("mlcroissant").Dataset(jsonld=str(description))
    errors = list(found.metadata.ctx.issues.errors)
    if errors:
        raise AssertionError(f"{description}: {errors}")
    return sum(1 for _ in found.records("units"))


if __name__ == "__main__":
    for example in EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{example}: {check(example, Path(folder))} units are read by everybody")  # noqa: T201 - for whoever runs it
