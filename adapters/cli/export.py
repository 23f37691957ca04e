"""Implements `mephisto-es export`: export the units of a run as a table."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...events.ids import TaskRunId
from ...projections.queries.unit_records import unit_records
from ..exports.formats import FORMATS, load_writer
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument


@click.command("export", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--format", "name", type=click.Choice(list(FORMATS)), default="jsonl", show_default=True, help="The format."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: standard output]",
)
@click.option("--names/--no-names", default=True, show_default=True, help="Include the workers' names at the provider.")
@as_of_options
def export_command(
    database: Path, run: EntityRef, name: str, output: Path | None, names: bool, as_of: AsOfOption
) -> None:
    """Export the units of RUN as a table, one row each, with inputs, outputs, worker, statuses, times and pay.

    The columns are those of `UnitRecord` in every format. `seqs` are the positions in the log of the events behind a
    row. Parquet needs an extra: pip install 'mephisto-es[parquet]'.

    \b
    Examples:
      mephisto-es export mephisto_data 1 --format csv -o run-1.csv
      mephisto-es export mephisto_data 1 --no-names | jq .outputs
    """
    write = load_writer(name)
    with as_of.open(database) as moment, _opened(output) as file:
        count = write(unit_records(moment, TaskRunId(run.number), names=names), file)
    if output is not None:
        echo(f"{count:,} unit{'s' * (count != 1)} in {output}", err=True)


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
