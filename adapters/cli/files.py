"""Implements `mephisto-es files`: list uploaded files, or copy them out."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.uploads import UploadRecord, uploads_of_run
from ..exports.files import copy_files
from ..terminal import echo
from ..text import printable
from .common.arguments import LogCommand, log_argument, run_argument
from .common.output import ILLEGAL, as_json_option, console, print_json

#: The list of copied files, one JSON object per line.
LIST_FILE = "files.jsonl"


class UploadList(msgspec.Struct, frozen=True):
    """The uploaded files of a run."""

    files: tuple[UploadRecord, ...]
    #: The number of those that are not here.
    missing: int


@click.command("files", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to copy the files to, with a list of them: files.jsonl.",
)
@as_json_option
def files_command(database: Path, run: EntityRef, output: Path | None, as_json: bool) -> None:
    """List the files that workers uploaded in RUN, or copy them to a folder.

    The operator fetches uploaded files from the run's server into the folder of the run. Copies are named
    unit-U/agent-A-N-NAME, with the name on the worker's computer; files.jsonl beside them has the form field, type,
    size and hash of each. Of an erased worker there are no files.

    \b
    Examples:
      mephisto-es files mephisto_data 1
      mephisto-es files mephisto_data 1 -o uploads

    Exit code: 0: all files are here. 1: some are still at the server of the run, or lost.
    """
    with MephistoDB(database) as db:
        uploads = list(uploads_of_run(db, TaskRunId(run.number), database))
        copies = {} if output is None else copy_files(uploads, output)
    missing = sum(upload.path is None for upload in uploads)
    if output is not None:
        lines = [
            {**msgspec.to_builtins(upload), "path": str(copies[upload.filename]) if upload.filename in copies else None}
            for upload in uploads
        ]
        (output / LIST_FILE).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    if as_json:
        print_json(UploadList(tuple(uploads), missing))
    elif output is None:
        _print(uploads)
    else:
        echo(f"{len(copies):,} file{'s' * (len(copies) != 1)} in {output}", err=True)
    if missing and not as_json:
        echo(f"{missing:,} of the files are not here: the run's server may still have them", err=True)
    sys.exit(ILLEGAL if missing else 0)


def _print(uploads: list[UploadRecord]) -> None:
    table = Table(box=None, header_style="dim")
    for name in ("unit", "agent", "worker", "field", "name", "type"):
        table.add_column(name, overflow="fold")
    table.add_column("bytes", justify="right")
    table.add_column("path", overflow="fold")
    for upload in uploads:
        texts = (upload.fieldname, upload.originalname, upload.mimetype)
        table.add_row(
            *(str(number) for number in (upload.unit_id, upload.agent_id, upload.worker_id)),
            *(escape(printable(text or "")) for text in texts),
            f"{upload.size:,}",
            escape(upload.path or "not here"),
        )
    console().print(table)
