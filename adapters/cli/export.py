"""Implements `mephisto-es export`: export the units of a run as a table."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...events.ids import TaskRunId
from ...projections.queries.unit_records import UnitRecord, unit_records
from ...projections.queries.uploads import uploads_of_run
from ..exports.anonymous import anonymized
from ..exports.columns import UnitTable
from ..exports.dataset import DatasetFacts, write_dataset
from ..exports.files import copy_files
from ..exports.formats import FORMATS, load_writer
from ..log.sqlite.as_of import LogAsOf
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument

#: A folder that Hugging Face `load_dataset` reads, instead of a file.
DATASET = "huggingface"


@click.command("export", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--format",
    "name",
    type=click.Choice([*FORMATS, DATASET]),
    default="jsonl",
    show_default=True,
    help="The format.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or the folder for huggingface.  [default: standard output]",
)
@click.option(
    "--files",
    "files_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy uploaded files to this folder; the column `files` has their paths below it.",
)
@click.option("--names/--no-names", default=True, show_default=True, help="Include the workers' names at the provider.")
@click.option(
    "--anonymous",
    is_flag=True,
    help="Number the workers, and leave out names, notes, authors of verdicts, positions and times of day.",
)
@as_of_options
def export_command(
    database: Path,
    run: EntityRef,
    name: str,
    output: Path | None,
    files_dir: Path | None,
    names: bool,
    anonymous: bool,
    as_of: AsOfOption,
) -> None:
    """Export the units of RUN as a table, one row each, with inputs, outputs, worker, statuses, times and pay.

    Every format has the columns of `UnitRecord`; all but jsonl also have one for each value in inputs and outputs,
    such as input.text and output.label. `seqs` are the positions in the log of the events behind a row. In csv, a text
    that a spreadsheet would take for a formula begins with an apostrophe. --anonymous does not change what workers
    wrote: read it before you publish it. parquet and huggingface need an extra: pip install 'mephisto-es[parquet]'.

    \b
    Examples:
      mephisto-es export mephisto_data 1 --format csv -o run-1.csv
      mephisto-es export mephisto_data 1 --no-names | jq .outputs
      mephisto-es export mephisto_data 1 --format huggingface --anonymous -o dataset
    """
    with as_of.open(database) as moment:
        number = TaskRunId(run.number)
        copies = {} if files_dir is None else copy_files(uploads_of_run(moment.db, number, database), files_dir)

        def records() -> Iterable[UnitRecord]:
            found = unit_records(moment, number, names=names)
            placed = (_with_paths(record, copies) for record in found) if files_dir is not None else found
            return anonymized(placed) if anonymous else placed

        table = UnitTable(records)
        if name == DATASET:
            if output is None:
                raise click.UsageError("--format huggingface writes a folder: give it with -o.")
            count = write_dataset(table, output, _facts(moment, number, is_anonymous=anonymous))
        else:
            write = load_writer(name)
            with _opened(output) as file:
                count = write(table, file)
    if output is not None:
        echo(f"{count:,} unit{'s' * (count != 1)} in {output}", err=True)


def _with_paths(record: UnitRecord, copies: Mapping[str, PurePosixPath]) -> UnitRecord:
    return msgspec.structs.replace(record, files=tuple(str(copies.get(file, file)) for file in record.files))


def _facts(moment: LogAsOf, run: TaskRunId, *, is_anonymous: bool) -> DatasetFacts:
    task = moment.db.get_task(moment.db.get_task_run(run).task_id)
    head = moment.head()
    return DatasetFacts(
        task_name=task.task_name,
        task_run=run,
        seq=head.seq,
        chain=head.chain.hex(),
        version=version("mephisto-es"),
        is_anonymous=is_anonymous,
    )


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that is put in place once it is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor, draft = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", key="--output") from error
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(draft, output)
    except BaseException:
        os.unlink(draft)
        raise
