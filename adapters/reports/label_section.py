"""Words how the labels of a run came about, for its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...events.assignment import StopReason
from ...projections.queries.quality.label_report import AdaptiveAnswers, AdjudicatedLabels, LabelReport
from ..text import printable
from .document import Block, Grid, Paragraph

_REASONS: Mapping[StopReason, str] = {
    StopReason.CONFIDENCE: "because the label was sure enough",
    StopReason.MAXIMUM: "at the most answers allowed",
    StopReason.DECIDED: "because a reviewer decided",
}


def label_blocks(labels: LabelReport) -> Iterator[Block]:
    """Yield what is to be said about labels; nothing if neither a stop rule nor a reviewer decided about any."""
    if labels.adaptive is not None:
        yield from _adaptive(labels.adaptive)
    if labels.adjudications.items:
        yield from _adjudications(labels.adjudications)


def _adaptive(found: AdaptiveAnswers) -> Iterator[Block]:
    accuracy = (
        "an accuracy of the workers that was estimated from the answers"
        if found.accuracy is None
        else f"an accuracy of the workers of {found.accuracy:g}"
    )
    yield Paragraph(
        f"The number of answers to an item was adaptive: from {found.least:,} to {found.most:,}, until the most "
        f"probable of {found.classes:,} answers to {printable(found.question)!r} had a posterior probability of at "
        f"least {found.confidence:g}. The posterior assumes that all answers are equally probable at first, that "
        f"workers answer independently, and {accuracy}."
    )
    saved = found.answers_saved
    share = f" ({saved / (saved + found.answers):.0%})" if saved else ""
    yield Grid(
        ("", "number"),
        (
            ("answers submitted", f"{found.answers:,}"),
            *((f"items that stopped {_REASONS[reason]}", f"{count:,}") for reason, count in found.stopped.items()),
            ("items that stopped early, with fewer answers than the most allowed", f"{found.stopped_early:,}"),
            ("answers saved by that", f"{saved:,}{share}"),
        ),
    )


def _adjudications(found: AdjudicatedLabels) -> Iterator[Block]:
    items = "1 item" if found.items == 1 else f"{found.items:,} items"
    people = "1 person" if found.reviewers == 1 else f"{found.reviewers:,} people"
    yield Paragraph(
        f"The label of {items} was decided by {people}, who looked at the answers of the workers. Decisions that were "
        "taken back are not counted."
    )
    rows = tuple((printable(question), f"{count:,}") for question, count in found.questions.items())
    yield Grid(("question", "items decided"), rows)
