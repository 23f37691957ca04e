"""Implements `mephisto-es design`: say before a launch how many items and answers are needed."""

from __future__ import annotations

import click
from rich.table import Table

from ..quality.design import Design, design
from ..terminal import echo
from .common.output import as_json_option, console, print_json


@click.command("design")
@click.option("--classes", required=True, type=click.IntRange(2, 20), help="Number of possible answers.")
@click.option("--accuracy", required=True, type=click.FloatRange(0, 1), help="Share of right answers of a worker.")
@click.option("--target-ci", default=0.05, show_default=True, help="Half the width of the 95 % interval of a share.")
@click.option("--confidence", default=0.95, show_default=True, help="When a label is sure enough.")
@click.option("--min", "least", default=2, show_default=True, type=click.IntRange(1, 10), help="Answers at least.")
@click.option("--max", "most", default=5, show_default=True, type=click.IntRange(1, 10), help="Answers at most.")
@as_json_option
def design_command(
    classes: int, accuracy: float, target_ci: float, confidence: float, least: int, most: int, as_json: bool
) -> None:
    """Say how many items, and answers for each, a study needs whose items belong to one of some classes.

    Every worker is taken to be right with the same probability, and wrong in all ways with the same; pilot data tell
    the accuracy (`mephisto-es quality`, skill). Shares of classes are corrected for wrong labels. The last line is for
    items that get answers until their label is sure enough.

    \b
    Examples:
      mephisto-es design --classes 3 --accuracy 0.75 --target-ci 0.1
      mephisto-es design --classes 2 --accuracy 0.9 --max 4 --json
    """
    found = design(classes, accuracy, target_ci, confidence=confidence, least=least, most=most)
    if as_json:
        print_json(found)
    else:
        console().print(_table(found))
        echo(f"items: so that the 95 % interval of the share of any class is at most ± {target_ci:g}")


def _table(found: Design) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("answers for an item", "on average", "labels right", "items", "answers in all"):
        table.add_column(name, justify="right")
    for one in found.choices:
        table.add_row(
            one.answers, f"{one.mean_answers:.2f}", f"{one.label_accuracy:.1%}", f"{one.items:,}", f"{one.judgments:,}"
        )
    return table
