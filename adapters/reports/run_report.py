"""Composes the report of a run for a methods section from its facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ...core.operations.configuration.money import amount
from ...projections.queries.quality.label_report import LabelReport
from ...projections.queries.quality.report import QualityReport, QuestionQuality
from ...projections.queries.runs.method_report import MethodReport
from ..quality.wording import stopped_agreement
from ..text import format_duration, format_status, printable
from .document import Block, Caution, Document, Grid, Paragraph, Section
from .label_section import label_blocks

#: Kinds of items that are not of the run's data, as far as a report counts them.
_EXTRA_ITEMS = ("gold", "screening")


class ReportOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The software and the position in the log that a report was made from."""

    version: str
    seq: int
    at: str
    chain: str


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """The facts and figures of a report, for programs."""

    origin: ReportOrigin
    report: MethodReport
    questions: tuple[QuestionQuality, ...]
    labels: LabelReport
    #: How each figure about a question is computed.
    methods: Mapping[str, str]


def compose(facts: MethodReport, quality: QualityReport, labels: LabelReport, origin: ReportOrigin) -> Document:
    """Return the report of a run as a document.

    Args:
        facts: the facts about the run.
        quality: the quality of its data.
        labels: how its labels came about.
        origin: where they come from.
    """
    task = facts.progress.task_name
    about_labels = tuple(label_blocks(labels))
    return Document(
        f"{task}, {facts.run}",
        (
            Section("Procedure", tuple(_procedure(facts, origin))),
            Section("Workers and exclusions", tuple(_workers(facts))),
            Section("Time and pay", tuple(_pay(facts))),
            Section("Cost", tuple(_cost(facts))),
            Section("Agreement", tuple(_agreement(quality))),
            *([Section("Labels", about_labels)] if about_labels else []),
            Section("Record", tuple(_record(facts, origin))),
        ),
    )


def _procedure(facts: MethodReport, origin: ReportOrigin) -> Iterator[Block]:
    progress = facts.progress
    period = (
        "Nothing was submitted."
        if facts.first_submission is None or facts.last_submission is None
        else f"Work was submitted from {_day(facts.first_submission)} to {_day(facts.last_submission)}."
    )
    yield Paragraph(
        f"Data were collected with mephisto-es {origin.version} (task {progress.task_name!r}, {facts.run}) from "
        f"{facts.workers_submitted:,} {_workers_word(facts.workers_submitted)} through the provider {facts.provider}. "
        f"{period}"
    )
    done = progress.units_done
    share = f" ({done / progress.units_total:.0%})" if progress.units_total else ""
    yield Grid(
        ("", "figure"),
        (
            ("launched", f"{facts.created_at} UTC"),
            ("first submission", _time(facts.first_submission)),
            ("last submission", _time(facts.last_submission)),
            ("ended", _time(facts.ended_at) if facts.ended_at else format_status(progress.status)),
            ("kind of task", facts.blueprint),
            ("items of the data", f"{facts.items_by_kind.get('work', 0):,}"),
            *((f"{kind} items", f"{n:,}") for kind, n in facts.items_by_kind.items() if kind in _EXTRA_ITEMS),
            *((f"units of {kind}", f"{count:,}") for kind, count in facts.units_by_kind.items()),
            ("submitted", f"{done:,} of {progress.units_total:,} units{share}"),
        ),
    )


def _workers(facts: MethodReport) -> Iterator[Block]:
    yield Paragraph(
        f"{facts.workers_came:,} {_workers_word(facts.workers_came)} asked for work; {facts.workers_submitted:,} "
        f"submitted {facts.pieces:,} pieces of it, with a median of {facts.median_pieces_per_worker:g} and a maximum "
        f"of {facts.most_pieces_of_a_worker:,} for one worker."
    )
    rows = [
        *((f"workers excluded: {reason}", f"{count:,}") for reason, count in facts.excluded.items()),
        *(
            (f"workers turned away at least once by the rule {rule}", f"{count:,}")
            for rule, count in facts.turned_away.items()
        ),
        *([("workers blocked", f"{facts.blocked:,}")] if facts.blocked else []),
        *((f"work that ended without a submission: {format_status(how)}", f"{n:,}") for how, n in facts.left.items()),
        *((f"submitted work: {_verdict(status)}", f"{count:,}") for status, count in facts.verdicts.items()),
    ]
    if rows:
        yield Grid(("", "number"), tuple(rows))
    if facts.turned_away:
        yield Paragraph("A worker who was turned away by a rule may have got work at another time.")


def _pay(facts: MethodReport) -> Iterator[Block]:
    rewards = facts.rewards_cents
    reward = "no reward" if not rewards else amount(rewards[0])
    if len(rewards) > 1:
        reward = f"{amount(rewards[0])} to {amount(rewards[-1])}"
    rows = [("reward for a unit", reward)]
    if facts.times is not None:
        quartiles = f"{format_duration(facts.times.lower_quartile)} to {format_duration(facts.times.upper_quartile)}"
        rows += [
            ("median time for a unit", format_duration(facts.times.median)),
            ("interquartile range", quartiles),
        ]
    pay = facts.hourly_pay
    if pay is not None:
        rows += [
            ("median hourly pay", amount(pay.median_cents)),
            ("hourly pay of the lowest tenth", f"{amount(pay.lowest_tenth_cents)} or less"),
        ]
        if pay.minimum_cents:
            rows.append(("minimum hourly pay wanted", amount(pay.minimum_cents)))
    yield Grid(("", "figure"), tuple(rows))
    yield Paragraph(
        "Times are from the start of a piece of work to its submission. Hourly pay is pay and bonuses for that time; "
        "rejected work counts as unpaid. Amounts are in the currency of the provider."
    )
    if pay is not None and pay.minimum_cents and pay.median_cents < pay.minimum_cents:
        yield Caution(
            f"The median hourly pay, {amount(pay.median_cents)}, is below the minimum of {amount(pay.minimum_cents)}: "
            "mephisto-es review --top-up proposes bonuses."
        )
    elif pay is not None and pay.below_minimum:
        yield Caution(
            f"{pay.below_minimum:,} of {pay.count:,} pieces of work were paid less than {amount(pay.minimum_cents)} "
            "an hour."
        )


def _cost(facts: MethodReport) -> Iterator[Block]:
    costs = facts.costs
    models = [("language models", amount(costs.model_cents))] if costs.model_cents else []
    yield Grid(
        ("", "amount"),
        (
            ("pay", amount(costs.pay_cents)),
            ("bonuses", amount(costs.bonus_cents)),
            (f"fees ({costs.fee_percent} %)", amount(costs.fee_cents)),
            *models,
            ("total", amount(costs.total_cents)),
        ),
    )
    if costs.unreviewed:
        pieces = "piece" if costs.unreviewed == 1 else "pieces"
        yield Caution(f"{costs.unreviewed:,} {pieces} of work without a verdict are not in the cost yet.")


def _agreement(quality: QualityReport) -> Iterator[Block]:
    rows = []
    for one in quality.questions:
        found = one.agreement
        if found is not None and found.pairs:
            cells = (_figure(found.alpha), found.alpha_metric, _share(found.percent), _figure(found.fleiss_kappa))
            rows.append((one.question, f"{found.items:,}", *cells, _figure(found.cohen_kappa)))
    if not rows:
        yield Paragraph(
            "No item has answers of two workers to a question with a choice, so there is no agreement to report."
        )
        return
    yield Grid(("question", "items", "alpha", "metric", "percent", "Fleiss", "Cohen"), tuple(rows))
    for one in quality.questions:
        if one.is_stopped_by_rule and one.agreement is not None and one.agreement.pairs:
            yield Paragraph(f"Agreement about {printable(one.question)!r}: {stopped_agreement(one)}.")
    yield Paragraph(" ".join(_sentence(quality.methods, name) for name in ("work", "alpha", "percent")))
    yield Paragraph(" ".join(_sentence(quality.methods, name) for name in ("fleiss_kappa", "cohen_kappa")))


def _record(facts: MethodReport, origin: ReportOrigin) -> Iterator[Block]:
    yield Paragraph(
        "Every figure was computed from the events of an append-only log. Whoever has the log can check that none was "
        f"changed (mephisto-es verify) and that all steps were legal (mephisto-es replay); its chain of hashes at "
        f"position {origin.seq:,} is the one below."
    )
    yield Grid(
        ("", "value"),
        (
            ("software", f"mephisto-es {origin.version}"),
            ("run", facts.run),
            ("events of the run", f"{facts.progress.events:,}"),
            ("position", f"{origin.seq:,}, {origin.at} UTC"),
            ("chain", origin.chain),
        ),
    )


def _sentence(methods: Mapping[str, str], name: str) -> str:
    return methods[name] if name == "work" else f"{name.replace('_', ' ').capitalize()}: {methods[name]}"


def _workers_word(count: int) -> str:
    return "worker" if count == 1 else "workers"


def _verdict(status: str) -> str:
    return "no verdict yet" if status == "completed" else format_status(status)


def _day(time: str) -> str:
    return time[:10]


def _time(time: str | None) -> str:
    return "-" if time is None else f"{time} UTC"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
