"""Implements `mephisto-es quality`: show how good the data of a run is, and what suggests a look at a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId, WorkerId
from ...projections.queries.quality.report import QualityReport, quality_report, quality_rules
from ...projections.queries.quality.worker_quality import WorkerQuality
from ...projections.queries.worker_names import worker_names
from ..quality.loading import EXTRA_HINT, find_aggregator
from ..quality.stop_plan import stop_plan
from ..quality.wording import (
    count_of_workers,
    methods_of,
    question_head,
    question_lines,
    worker_columns,
    worker_figures,
)
from ..terminal import echo
from ..text import count_of, format_worker, printable
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, pseudonyms_option, run_argument
from .common.output import as_json_option, console, print_json, working


@click.command("quality", cls=LogCommand)
@log_argument
@run_argument
@click.option("--min-gold", type=click.FloatRange(0, 1), help="Share of gold units that a worker should have right.")
@click.option("--min-seconds", type=click.FloatRange(min=0), help="Seconds that a piece of work should take.")
@click.option("--labels/--no-labels", default=True, show_default=True, help="Estimate labels and skills.")
@pseudonyms_option
@as_of_options
@as_json_option
def quality_command(
    database: Path,
    run: EntityRef,
    min_gold: float | None,
    min_seconds: float | None,
    labels: bool,
    pseudonyms: bool,
    as_of: AsOfOption,
    as_json: bool,
) -> None:
    """Show how far the workers of RUN agree, which labels follow from their answers, and how each of them works.

    Agreement: percent, Krippendorff's alpha, Fleiss' and Cohen's kappa. Labels and skills: majority, and by crowd-kit
    Dawid-Skene and MACE (pip install 'mephisto-es[quality]'). Workers: gold, speed, answers that are always the same,
    repeated texts. What is found suggests a look; it decides nothing. The output ends with how each figure is
    computed. `mephisto-es export --labels` writes the labels.

    \b
    Examples:
      mephisto-es quality mephisto_data 1
      mephisto-es quality mephisto_data 1 --min-gold 0.8 --min-seconds 5
      mephisto-es quality mephisto_data 1 --json | jq .workers
    """
    aggregator = find_aggregator() if labels else None
    with working("reading the answers", is_quiet=as_json), as_of.open(database) as moment:
        number = TaskRunId(run.number)
        rules = quality_rules(moment, number)
        given = {
            name: value for name, value in (("min_gold", min_gold), ("min_seconds", min_seconds)) if value is not None
        }
        report = quality_report(
            moment,
            number,
            rules=msgspec.structs.replace(rules, **given),
            aggregator=aggregator,
            plan=stop_plan(moment, number),
        )
        names = {} if pseudonyms else worker_names(moment.db, (one.worker for one in report.workers))
    if as_json:
        print_json(report)
        return
    _print(report, names)
    if labels and aggregator is None:
        echo(f"\nThere are no skills and no labels but majorities, because crowd-kit is not installed. {EXTRA_HINT}")


def _print(report: QualityReport, names: Mapping[WorkerId, str]) -> None:
    out = console()
    task, workers = escape(printable(report.task_name)), count_of_workers(len(report.workers))
    pieces = count_of(report.pieces, "piece")
    out.print(f"[bold]{report.run}[/]  {task}: {pieces} of work by {workers}  [dim]seq {report.seq:,}[/]")
    used = {"work"}
    for question in report.questions:
        out.print(f"\n[bold]{escape(printable(question.question))}[/]  {question_head(question)}")
        for about, line in question_lines(question, report):
            out.print(f"  {about:9}  {escape(line)}")
        used.update(methods_of(question, report))
    if report.workers:
        out.print()
        out.print(_workers_table(report, names))
        for worker in report.workers:
            for suggestion in worker.suggestions:
                out.print(f"[yellow]look at[/] {escape(_name(worker, names))}: {suggestion.text}")
        used |= {"rank", *worker_columns(report).values()} - {"pieces", "median_seconds"}
    out.print("\n[bold]How these figures are computed[/]")
    for figure, method in report.methods.items():
        if figure in used:
            out.print(f"  [dim]{figure}[/]  {escape(method)}")


def _workers_table(report: QualityReport, names: Mapping[WorkerId, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rank", justify="right")
    table.add_column("worker", overflow="fold")
    columns = worker_columns(report)
    for name in columns:
        table.add_column(name, justify="right")
    for one in report.workers:
        table.add_row(
            "" if one.rank is None else str(one.rank), escape(_name(one, names)), *worker_figures(one)[: len(columns)]
        )
    return table


def _name(one: WorkerQuality, names: Mapping[WorkerId, str]) -> str:
    return format_worker(one.worker, names.get(one.worker))
