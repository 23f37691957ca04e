"""Implements `mephisto-es quality`: show how good the data of a run is, and what suggests a look at a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId, WorkerId
from ...projections.queries.quality.agreement import Agreement
from ...projections.queries.quality.labels import MAJORITY, QuestionLabels
from ...projections.queries.quality.report import QualityReport, QuestionQuality, quality_report, quality_rules
from ...projections.queries.quality.worker_quality import WorkerQuality
from ...projections.queries.worker_names import worker_names
from ..quality.loading import EXTRA_HINT, find_aggregator
from ..terminal import echo
from ..text import format_duration, format_worker, printable
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, pseudonyms_option, run_argument
from .common.output import as_json_option, console, print_json

#: Characters of an answer that are printed.
MAX_ANSWER = 24
#: Different answers to a question that are printed.
SHOWN_CHOICES = 6


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
    with as_of.open(database) as moment:
        number = TaskRunId(run.number)
        rules = quality_rules(moment, number)
        given = {
            name: value for name, value in (("min_gold", min_gold), ("min_seconds", min_seconds)) if value is not None
        }
        report = quality_report(moment, number, rules=msgspec.structs.replace(rules, **given), aggregator=aggregator)
        names = {} if pseudonyms else worker_names(moment.db, (one.worker for one in report.workers))
    if as_json:
        print_json(report)
        return
    _print(report, names)
    if labels and aggregator is None:
        echo(f"\nThere are no skills and no labels but majorities, because crowd-kit is not installed. {EXTRA_HINT}")


def _print(report: QualityReport, names: Mapping[WorkerId, str]) -> None:
    out = console()
    workers = _workers(len(report.workers))
    out.print(
        f"[bold]{report.run}[/]  {escape(printable(report.task_name))}: {report.pieces:,} pieces of work by {workers}  "
        f"[dim]seq {report.seq:,}[/]"
    )
    used = {"work"}
    for question in report.questions:
        used |= _print_question(question, [one for one in report.labels if one.question == question.question])
    if report.workers:
        out.print()
        out.print(_workers_table(report, names))
        for worker in report.workers:
            for suggestion in worker.suggestions:
                out.print(f"[yellow]look at[/] {escape(_name(worker, names))}: {suggestion}")
        used |= {"rank", "agreement", "skill", "gold", "fast", "same_in_a_row", "repeated_texts"}
    out.print("\n[bold]How these figures are computed[/]")
    for figure, method in report.methods.items():
        if figure in used:
            out.print(f"  [dim]{figure}[/]  {escape(method)}")


def _print_question(question: QuestionQuality, labels: Iterable[QuestionLabels]) -> set[str]:
    """Print a question; return the names of the figures that were printed."""
    out = console()
    head = f"{question.answers:,} answers to {question.items:,} items by {_workers(question.workers)}"
    out.print(f"\n[bold]{escape(printable(question.question))}[/]  {question.kind.value}, {head}")
    used = {"question"}
    if question.choices:
        out.print(f"  answers    {escape(_choices(question.choices))}")
    if question.agreement is not None:
        out.print(f"  agreement  {_agreement(question.agreement)}")
        used |= {"percent", "alpha", "fleiss_kappa", "cohen_kappa"}
    for one in labels:
        out.print(f"  labels     {_labels(one)}")
        used.add(one.method)
    return used


def _choices(choices: Mapping[str, int]) -> str:
    most = sorted(choices.items(), key=lambda one: -one[1])
    shown = ", ".join(f"{printable(answer, MAX_ANSWER)} {count:,}" for answer, count in most[:SHOWN_CHOICES])
    return shown if len(most) <= SHOWN_CHOICES else f"{shown}, and {len(most) - SHOWN_CHOICES} more"


def _agreement(found: Agreement) -> str:
    if not found.pairs:
        return "no item has two answers"
    percent = "-" if found.percent is None else f"{found.percent:.0%}"
    fleiss = f"Fleiss {_figure(found.fleiss_kappa)} ({found.fleiss_items:,} items with {found.fleiss_answers} answers)"
    cohen = (
        f", Cohen {_figure(found.cohen_kappa)} ({found.cohen_pairs:,} pairs of workers)" if found.cohen_pairs else ""
    )
    return f"{percent} of {found.pairs:,} pairs, alpha {_figure(found.alpha)} ({found.alpha_metric}), {fleiss}{cohen}"


def _labels(found: QuestionLabels) -> str:
    known = [one.confidence for one in found.labels if one.confidence is not None]
    sure = (
        f", mean {'share' if found.method == MAJORITY else 'probability'} {sum(known) / len(known):.2f}"
        if known
        else ""
    )
    return f"{found.method}: {len(found.labels):,} items{sure}"


def _workers_table(report: QualityReport, names: Mapping[WorkerId, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rank", justify="right")
    table.add_column("worker", overflow="fold")
    for name in ("pieces", "median", "agreement", "skill", "gold", "fast", "in a row", "repeated"):
        table.add_column(name, justify="right")
    for one in report.workers:
        table.add_row(
            "" if one.rank is None else str(one.rank),
            escape(_name(one, names)),
            f"{one.pieces:,}",
            "" if one.median_seconds is None else format_duration(one.median_seconds),
            "" if one.agreement is None else f"{one.agreement:.0%}",
            "" if one.skill is None else f"{one.skill:.2f}",
            f"{one.gold_passed}/{one.gold}" if one.gold else "",
            str(one.fast or ""),
            str(one.same_in_a_row or ""),
            str(one.repeated_texts or ""),
        )
    return table


def _name(one: WorkerQuality, names: Mapping[WorkerId, str]) -> str:
    return format_worker(one.worker, names.get(one.worker))


def _workers(count: int) -> str:
    return f"{count:,} worker{'s' * (count != 1)}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
