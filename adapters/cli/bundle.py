"""Implements `mephisto-es bundle`: pack a run for a bug report that can be replayed elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId
from ..diagnostics.bug_report import write_bundle
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument
from .common.output import as_json_option, print_json, working


@click.command("bundle", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The zip file.  [default: run-RUN.zip]"
)
@as_of_options
@as_json_option
def bundle_command(database: Path, run: EntityRef, output: Path | None, as_of: AsOfOption, as_json: bool) -> None:
    """Pack what a bug report on RUN needs: its redacted log, configuration, versions, and the result of a replay.

    Submissions, names, notes, reasons written by people, tokens and secrets are removed; order, times, statuses and
    decisions remain. `mephisto-es replay --assert FILE` shows what the recipient will see.

    \b
    Example:
      mephisto-es bundle mephisto_data 1 -o report.zip
    """
    output = output or Path(f"{run}.zip")
    with working("packing and replaying the run", is_quiet=as_json), as_of.open(database) as moment:
        manifest = write_bundle(moment, TaskRunId(run.number), output)
    if as_json:
        print_json(manifest)
    else:
        verdict = "legal" if manifest.report.legal else "not legal"
        echo(f"{output}: {manifest.events:,} events of {manifest.source_seq:,}, redacted; its replay is {verdict}")
