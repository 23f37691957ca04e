"""Implements `mephisto-es report`: write what a methods section needs to say about a run."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...core.operations.configuration.money import cents
from ...events.ids import TaskRunId
from ...projections.mephisto_db.rows import date_of
from ...projections.queries.quality.label_report import label_report
from ...projections.queries.quality.report import quality_report
from ...projections.queries.runs.method_report import method_report
from ..quality.stop_plan import stop_plan
from ..reports.markup import WRITERS
from ..reports.run_report import ReportData, ReportOrigin, compose
from ..terminal import echo
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument
from .common.output import as_json_option, print_json, working

#: Formats by the ending of a file.
_ENDINGS = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown", ".tex": "latex"}


@click.command("report", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--format", "name", type=click.Choice([*WRITERS]), help="The format.  [default: from the file's name, or markdown]"
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--floor", metavar="AMOUNT", help="Hourly pay below which to warn.  [default: task.minimum_hourly_pay]")
@as_of_options
@as_json_option
def report_command(
    database: Path,
    run: EntityRef,
    name: str | None,
    output: Path | None,
    floor: str | None,
    as_of: AsOfOption,
    as_json: bool,
) -> None:
    """Write the facts about RUN that a methods section needs.

    Dates, workers, exclusions by rule, completion, median time, hourly pay, cost with fees, agreement, answers saved by
    stop_when, labels that people decided, the version of this software, and the head of the log's chain, by which
    others can check all of it. Nobody is named.

    \b
    Examples:
      mephisto-es report mephisto_data 1
      mephisto-es report mephisto_data 1 -o report.html
      mephisto-es report mephisto_data 1 --floor 12.00 -o methods.tex
    """
    floor_cents = None if floor is None else cents(floor, key="--floor")
    with working("reading the run", is_quiet=as_json), as_of.open(database) as moment:
        number = TaskRunId(run.number)
        facts = method_report(moment, number, floor_cents=floor_cents)
        plan = stop_plan(moment, number)
        quality = quality_report(moment, number, plan=plan)
        labels = label_report(moment, number, plan)
        head = moment.head()
    origin = ReportOrigin(version=version("mephisto-es"), seq=head.seq, at=date_of(head.at), chain=head.chain.hex())
    if as_json:
        data = ReportData(
            origin=origin, report=facts, questions=quality.questions, labels=labels, methods=quality.methods
        )
        print_json(data)
        return
    text = WRITERS[name or _format_of(output)](compose(facts, quality, labels, origin))
    if output is None:
        echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", key="--output") from error


def _format_of(output: Path | None) -> str:
    return "markdown" if output is None else _ENDINGS.get(output.suffix.lower(), "markdown")
