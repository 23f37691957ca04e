"""Puts the answers of several workers to an item together: by majority, or with a method that weighs workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from ....events.ids import AssignmentId, WorkerId
from .agreement import Label
from .answers import Question, QuestionKind
from .class_shares import ClassShares, Interval, class_shares
from .decided_labels import LabelDecisions, decided_labels

MAJORITY = "majority"
MEDIAN = "median"
DAWID_SKENE = "dawid_skene"
ADJUDICATED = "adjudicated"


class ItemLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label of one item."""

    item: AssignmentId
    label: Label
    #: The share of the answers for a majority, the probability of a method; None for a median, and what was decided.
    confidence: float | None
    #: Answers that it is made from.
    answers: int
    #: The probability that it is right, by the model of equally accurate workers; None for a median, and if no item has
    #: two answers.
    posterior: float | None = None
    #: The same at the two ends of the 95 % credible interval of the workers' accuracy.
    interval: Interval | None = None
    #: The reviewer who decided it, as the log has it; None for a label that was computed.
    author: str | None = None


class QuestionLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of all items for one question, by one method."""

    question: str
    #: `majority`, `median`, `dawid_skene`, `mace` or `adjudicated`.
    method: str
    labels: tuple[ItemLabel, ...]
    #: How far each worker is to be trusted, from 0 to 1, as the method computes it; empty if it does not.
    skills: dict[WorkerId, float]


class Vote(NamedTuple):
    """One answer, with the choice by its number."""

    item: AssignmentId
    worker: WorkerId
    choice: int


class Estimate(NamedTuple):
    """The labels and skills that a method finds in votes."""

    method: str
    #: The number of the choice and its probability, by item.
    labels: Mapping[AssignmentId, tuple[int, float]]
    skills: Mapping[WorkerId, float]


#: Estimates labels from votes with one or more methods.
Aggregator = Callable[[Sequence[Vote]], Sequence[Estimate]]


def labels_of(
    question: Question, aggregator: Aggregator | None, decisions: LabelDecisions | None = None
) -> list[QuestionLabels]:
    """Return the labels of a question's items; for free text only those that reviewers decided.

    Args:
        question: the question.
        aggregator: estimates labels from the votes; without it, only the majority is returned.
        decisions: the decisions of reviewers.
    """
    decided = _decided(question, decisions or {})
    return [*([decided] if decided.labels else []), *_computed(question, aggregator)]


def _decided(question: Question, decisions: LabelDecisions) -> QuestionLabels:
    labels = tuple(
        ItemLabel(
            item=item,
            label=label,
            confidence=None,
            answers=len(question.items.get(item, {})),
            author=decisions[item][question.name].reviewer,
        )
        for item, label in decided_labels(decisions, question.name).items()
    )
    return QuestionLabels(question=question.name, method=ADJUDICATED, labels=labels, skills={})


def _computed(question: Question, aggregator: Aggregator | None) -> list[QuestionLabels]:
    if question.kind is QuestionKind.TEXT:
        return []
    if question.kind is QuestionKind.NUMBER:
        return [_medians(question)]
    found = [_majorities(question)]
    if aggregator is not None and len(question.choices) > 1:
        numbers = {label: number for number, label in enumerate(question.choices)}
        votes = [
            Vote(item, WorkerId(worker), numbers[label])
            for item, answers in question.items.items()
            for worker, label in answers.items()
        ]
        found += [_labels(question, one) for one in aggregator(votes)]
    shares = shares_of(question)
    return found if shares is None else [_with_posteriors(question, one, shares) for one in found]


def shares_of(question: Question) -> ClassShares | None:
    """Estimate the shares of a question's choices, in their order; None if it is no choice, or too little is known."""
    if question.kind is not QuestionKind.CHOICE:
        return None
    return class_shares(Counter(_counts(question).values()), len(question.choices))


def _counts(question: Question) -> dict[AssignmentId, tuple[int, ...]]:
    """Return the number of answers to each item for each choice."""
    counts = ((item, Counter(answers.values())) for item, answers in question.items.items())
    return {item: tuple(found[choice] for choice in question.choices) for item, found in counts}


def _with_posteriors(question: Question, found: QuestionLabels, shares: ClassShares) -> QuestionLabels:
    numbers, counts = {label: number for number, label in enumerate(question.choices)}, _counts(question)
    return msgspec.structs.replace(
        found,
        labels=tuple(
            msgspec.structs.replace(
                one,
                posterior=shares.label_posterior(counts[one.item], numbers[one.label]),
                interval=shares.label_interval(counts[one.item], numbers[one.label]),
            )
            for one in found.labels
        ),
    )


def _labels(question: Question, estimate: Estimate) -> QuestionLabels:
    return QuestionLabels(
        question=question.name,
        method=estimate.method,
        labels=tuple(
            ItemLabel(
                item=item, label=question.choices[choice], confidence=probability, answers=len(question.items[item])
            )
            for item, (choice, probability) in estimate.labels.items()
        ),
        skills=dict(estimate.skills),
    )


def _majorities(question: Question) -> QuestionLabels:
    """Return the most frequent answers; of several, the first in the order of the choices."""
    order = {label: number for number, label in enumerate(question.choices)}
    labels = []
    for item, answers in question.items.items():
        counts = Counter(answers.values())
        label = min(counts, key=lambda one: (-counts[one], order[one]))
        labels.append(ItemLabel(item=item, label=label, confidence=counts[label] / len(answers), answers=len(answers)))
    return QuestionLabels(question=question.name, method=MAJORITY, labels=tuple(labels), skills={})


def _medians(question: Question) -> QuestionLabels:
    labels = tuple(
        ItemLabel(item=item, label=median(map(float, answers.values())), confidence=None, answers=len(answers))
        for item, answers in question.items.items()
    )
    return QuestionLabels(question=question.name, method=MEDIAN, labels=labels, skills={})
