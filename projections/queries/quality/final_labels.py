"""Chooses the label of each item among those of several methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median

from ....events.ids import AssignmentId
from ...mephisto_db.queries import JsonValue
from .answers import Question, QuestionKind
from .labels import ADJUDICATED, DAWID_SKENE, MAJORITY, MEDIAN, ItemLabel, QuestionLabels
from .stop_labels import StopLabels

STOP_RULE = "stop_rule"
#: Answers that a worker has given in the median, and that an item has on average, for Dawid-Skene to be used.
MIN_WORKER_ANSWERS = 10
MIN_ITEM_ANSWERS = 2


def labels_by_item(
    questions: Iterable[Question], found: Sequence[QuestionLabels], settled: StopLabels, *, authors: bool = True
) -> dict[int, JsonValue]:
    """Return the labels of each item as an export has them: by question, then by method.

    Beside the methods, each question has the `label` of the item, the method that it is by (`label_source`), its
    `label_confidence`, and the `label_author` if a reviewer decided it. Such a decision comes first, then the stop rule
    of the run, then Dawid-Skene if workers gave enough answers, and last the majority or the median.

    Args:
        questions: the questions.
        found: their labels by each method.
        settled: the labels by the stop rule of the run.
        authors: whether to include who decided a label.
    """
    weighed = {one.name for one in questions if reason_against_weighing(one) is None}
    given = {one.name: one.items for one in questions}
    items: dict[int, dict[str, dict[str, ItemLabel]]] = {}
    for one in found:
        for label in one.labels:
            items.setdefault(label.item, {}).setdefault(one.question, {})[one.method] = label
    for question, labels in settled.items():
        for item in labels:
            items.setdefault(item, {}).setdefault(question, {})
    return {
        item: {
            question: {
                **_final(
                    methods,
                    settled.get(question, {}).get(AssignmentId(item)),
                    {*given.get(question, {}).get(AssignmentId(item), {}).values()} if question in weighed else set(),
                ),
                **(_author(methods) if authors else {}),
                **{method: _exported(label) for method, label in methods.items()},
            }
            for question, methods in by_question.items()
        }
        for item, by_question in items.items()
    }


def final_method(
    question: Question, methods: Sequence[str], settled: StopLabels, decided: Collection[AssignmentId] = ()
) -> str | None:
    """Return in words which method gives the labels of a question's items, and why; None if it is no choice.

    Args:
        question: the question.
        methods: the methods that there are labels of.
        settled: the labels by the stop rule of the run.
        decided: the items on which a reviewer decided the answer to it.
    """
    method = _method_of_undecided(question, methods, settled)
    items = question.items.keys() | {*decided}
    if method is None or not decided:
        return method
    if len(decided) == len(items):
        return f"by reviewers, who decided all {len(items):,} items" if len(items) > 1 else "by a reviewer"
    return f"by reviewers for {len(decided):,} of {len(items):,} items; for the others {method}"


def _method_of_undecided(question: Question, methods: Sequence[str], settled: StopLabels) -> str | None:
    if question.name in settled:
        return "by the stop rule of the run (stop_when), which decided how many answers each item got"
    if question.kind is not QuestionKind.CHOICE:
        return None
    against = reason_against_weighing(question)
    if against is not None:
        return f"by majority, because {against}"
    if DAWID_SKENE in methods:
        return f"by Dawid-Skene, because workers gave {MIN_WORKER_ANSWERS} or more answers in the median"
    return "by majority, because Dawid-Skene was not computed"


def reason_against_weighing(question: Question) -> str | None:
    """Return why there are too few answers to estimate how reliable each worker is; None if there are enough."""
    by_worker = Counter(worker for answers in question.items.values() for worker in answers)
    if not by_worker:
        return "there are no answers"
    usual, mean = median(by_worker.values()), by_worker.total() / len(question.items)
    if usual < MIN_WORKER_ANSWERS:
        return f"workers gave {usual:g} answers in the median, and Dawid-Skene needs {MIN_WORKER_ANSWERS}"
    if mean < MIN_ITEM_ANSWERS:
        return f"items have {mean:.1f} answers on average, and Dawid-Skene needs {MIN_ITEM_ANSWERS}"
    return None


def _final(
    methods: Mapping[str, ItemLabel], settled: tuple[str | int | float | bool, float] | None, weighable: set[object]
) -> dict[str, JsonValue]:
    """Return the label of an item; one by Dawid-Skene only if somebody gave it.

    Args:
        methods: the labels by each method.
        settled: the label by the stop rule, and its probability.
        weighable: the answers to the item, if Dawid-Skene may be used.
    """
    if settled is not None and ADJUDICATED not in methods:
        label, posterior = settled
        return {"label": label, "label_source": STOP_RULE, "label_confidence": posterior}
    weighed = methods.get(DAWID_SKENE)
    order = [ADJUDICATED, MAJORITY, MEDIAN]
    if weighed is not None and weighed.label in weighable:
        order.insert(1, DAWID_SKENE)
    source = next(one for one in order if one in methods)
    chosen = methods[source]
    return {"label": chosen.label, "label_source": source, "label_confidence": chosen.confidence}


def _author(methods: Mapping[str, ItemLabel]) -> dict[str, JsonValue]:
    """Return who decided the label of an item; nothing if nobody did."""
    decided = methods.get(ADJUDICATED)
    return {} if decided is None else {"label_author": decided.author}


def _exported(one: ItemLabel) -> JsonValue:
    return {
        "label": one.label,
        "confidence": one.confidence,
        "answers": one.answers,
        "posterior": one.posterior,
        "interval": dict(zip(("low", "high"), one.interval or (None, None), strict=True)),
    }
