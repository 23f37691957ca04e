"""Words the figures of a quality report, for the command line and the web page alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...projections.queries.quality.agreement import Agreement
from ...projections.queries.quality.answers import QuestionKind
from ...projections.queries.quality.class_shares import Interval
from ...projections.queries.quality.labels import MAJORITY, QuestionLabels
from ...projections.queries.quality.process_signals import ProcessSignals, SignalFigures
from ...projections.queries.quality.report import QualityReport, QuestionQuality, QuestionShares
from ...projections.queries.quality.worker_quality import WorkerQuality
from ..text import format_duration, printable

#: Characters of an answer that are shown.
MAX_ANSWER = 24
#: Different answers to a question that are shown.
SHOWN_CHOICES = 6

#: The columns of the figures of workers, each with the name of its method.
WORKER_COLUMNS: Mapping[str, str] = {
    "pieces": "pieces",
    "median": "median_seconds",
    "agreement": "agreement",
    "skill": "skill",
    "gold": "gold",
    "adjudicated": "adjudicated_right",
    "fast": "fast",
    "in a row": "same_in_a_row",
    "repeated": "repeated_texts",
}


#: The columns of how forms were filled in, for tasks that count it.
SIGNAL_COLUMNS: Mapping[str, str] = dict.fromkeys(("pasted", "keys", "tab left", "first key"), "signals")


def worker_columns(report: QualityReport) -> Mapping[str, str]:
    """Return the columns of the figures of workers, each with the name of its method."""
    has_signals = any(one.signals is not None for one in report.workers)
    return {**WORKER_COLUMNS, **SIGNAL_COLUMNS} if has_signals else WORKER_COLUMNS


def worker_figures(one: WorkerQuality) -> list[str]:
    """Return the figures of a worker as texts, in the order of all columns; empty where there is none."""
    return [
        f"{one.pieces:,}",
        "" if one.median_seconds is None else format_duration(one.median_seconds),
        "" if one.agreement is None else f"{one.agreement:.0%}",
        "" if one.skill is None else f"{one.skill:.2f}",
        f"{one.gold_passed}/{one.gold}" if one.gold else "",
        f"{one.adjudicated_right}/{one.adjudicated}" if one.adjudicated else "",
        str(one.fast or ""),
        str(one.same_in_a_row or ""),
        str(one.repeated_texts or ""),
        *_signal_figures(one.signals),
    ]


def _signal_figures(found: SignalFigures | None) -> list[str]:
    if found is None:
        return [""] * len(SIGNAL_COLUMNS)
    first = found.seconds_to_first_key
    return [
        "" if found.pasted_share is None else f"{found.pasted_share:.0%}",
        f"{found.keys:,.0f}",
        f"{found.tab_switches:,.0f}",
        "" if first is None else f"{first:.1f} s",
    ]


def signal_text(signals: ProcessSignals) -> str:
    """Return in words how a form was filled in."""
    share, first = signals.pasted_share, signals.seconds_to_first_key
    parts = [
        "no text" if share is None else f"{share:.0%} of the text pasted",
        f"{signals.keys:,} key{'s' * (signals.keys != 1)}",
        f"tab left {signals.tab_switches:,} time{'s' * (signals.tab_switches != 1)}",
        "no key" if first is None else f"first key after {first:g} s",
    ]
    return ", ".join(parts)


def question_lines(question: QuestionQuality, report: QualityReport) -> Iterator[tuple[str, str]]:
    """Yield what is known about a question: what each line is about, and the line."""
    if question.choices:
        yield "answers", _choices(question.choices)
    if question.agreement is not None:
        yield "agreement", _agreement(question.agreement)
        if question.is_stopped_by_rule and question.agreement.pairs:
            yield "", stopped_agreement(question)
    if question.shares is not None:
        yield "shares", _shares(question.shares)
    if question.differing:
        decided = question.differing - question.undecided
        items = "1 item" if question.differing == 1 else f"{question.differing:,} items"
        yield "differing", f"the answers to {items} differ; adjudicated: {decided:,}"
    for one in report.labels:
        if one.question == question.question:
            yield "labels", _labels(one)
    if question.question in report.final_labels:
        yield "final", report.final_labels[question.question]


def stopped_agreement(question: QuestionQuality) -> str:
    """Return a sentence about the agreement on a question that a stop rule looks at."""
    if question.first_answers is None:
        return "biased upwards: stop_when ended items once their answers agreed"
    return (
        f"of the first {question.first_answers:,} answers to each item: stop_when ended items once their answers "
        "agreed, so that all answers would show too much agreement"
    )


def question_head(question: QuestionQuality) -> str:
    """Return the counts of a question: `choice, 200 answers to 40 items by 20 workers`."""
    return (
        f"{question.kind.value}, {question.answers:,} answers to {question.items:,} items "
        f"by {count_of_workers(question.workers)}"
    )


def methods_of(question: QuestionQuality, report: QualityReport) -> list[str]:
    """Return the names of the methods that the figures of a question come from, in order."""
    agreement = [] if question.kind is QuestionKind.TEXT else ["percent", "alpha", "fleiss_kappa", "cohen_kappa"]
    shares = [] if question.shares is None else ["shares", "accuracy"]
    return [
        "question",
        *agreement,
        *(["first_answers"] if question.is_stopped_by_rule else []),
        *shares,
        *(one.method for one in report.labels if one.question == question.question),
        *(["final"] if question.question in report.final_labels else []),
    ]


def count_of_workers(count: int) -> str:
    """Return a number of workers in words."""
    return f"{count:,} worker{'s' * (count != 1)}"


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


def _shares(found: QuestionShares) -> str:
    most = sorted(found.choices.items(), key=lambda one: -one[1].share)
    shown = ", ".join(
        f"{printable(answer, MAX_ANSWER)} {one.share:.0%} ({_interval(one.interval)})"
        for answer, one in most[:SHOWN_CHOICES]
    )
    more = "" if len(most) <= SHOWN_CHOICES else f", and {len(most) - SHOWN_CHOICES} more"
    return f"{shown}{more}; accuracy {found.accuracy:.0%} ({_interval(found.accuracy_interval)})"


def _interval(ends: Interval) -> str:
    return f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f}"


def _labels(found: QuestionLabels) -> str:
    known = [one.confidence for one in found.labels if one.confidence is not None]
    sure = (
        f", mean {'share' if found.method == MAJORITY else 'probability'} {sum(known) / len(known):.2f}"
        if known
        else ""
    )
    return f"{found.method}: {len(found.labels):,} item{'s' * (len(found.labels) != 1)}{sure}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
