"""Computes from the answers to one item how sure its label is, and so whether another answer is worth its pay.

The model has one parameter: every worker gives the right answer with the same probability, the accuracy, and each wrong
one with the same. So counts of answers are all there is to know about an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

#: Accuracies that are assumed at least and at most: with less, answers say nothing; with 1, one answer says all.
LEAST_ABOVE_CHANCE = 0.01
MOST_ACCURACY = 0.999


class StopRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The condition on which an item has enough answers."""

    #: The question, as its value is found in the outputs: `label`, `form.label`.
    question: str
    #: Probability of the label from which on no further answer is wanted.
    confidence: float
    #: Answers that each item gets at least, and at most.
    least: int
    most: int
    #: Number of possible answers.
    classes: int
    #: Probability that a worker's answer is right, until the run's own answers tell.
    accuracy: float


class Judgment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The most probable label of an item, and its probability."""

    #: The most probable answer, as JSON; of several, the first in order. None without answers.
    label: str | None
    posterior: float
    #: Number of answers of each kind, as JSON.
    votes: dict[str, int]
    #: The accuracy that was assumed.
    accuracy: float


def judge(votes: Mapping[str, int], classes: int, accuracy: float) -> Judgment:
    """Return the most probable label of an item and its posterior probability; before, all are equally probable.

    Args:
        votes: number of answers of each kind.
        classes: number of possible answers.
        accuracy: probability that an answer is right.
    """
    given = {answer: count for answer, count in sorted(votes.items()) if count}
    if not given:
        return Judgment(label=None, posterior=1 / classes, votes={}, accuracy=accuracy)
    label = max(given, key=lambda answer: given[answer])
    posterior = posterior_of([*given.values()], classes, accuracy)
    return Judgment(label=label, posterior=posterior, votes=given, accuracy=accuracy)


def posterior_of(counts: Sequence[int], classes: int, accuracy: float) -> float:
    """Return the posterior probability of the most frequent answer.

    Args:
        counts: number of answers of each kind; kinds that nobody gave may be left out.
        classes: number of possible answers.
        accuracy: probability that an answer is right.
    """
    assumed = bounded_accuracy(accuracy, classes)
    # How much more probable an answer is if it is right than if it is one of the wrong ones.
    ratio = assumed * (classes - 1) / (1 - assumed)
    most = max(counts, default=0)
    others = sum(ratio ** (count - most) for count in counts) + max(0, classes - len(counts)) * ratio**-most
    return 1 / others


def bounded_accuracy(accuracy: float, classes: int) -> float:
    """Return an accuracy that is better than chance and less than certain."""
    return min(MOST_ACCURACY, max(1 / classes + LEAST_ABOVE_CHANCE, accuracy))


def accuracy_from_agreement(equal_pairs: int, pairs: int, rule: StopRule) -> float:
    """Return the accuracy at which two answers to an item are equal as often as they were.

    Pairs that a rule expects count too, ten of them, so that the first few decide little.

    Args:
        equal_pairs: pairs of equal answers to the same item.
        pairs: all pairs of answers to the same item.
        rule: the accuracy that is assumed before, and the number of classes.
    """
    wrong = rule.classes - 1
    expected = rule.accuracy**2 + (1 - rule.accuracy) ** 2 / wrong
    share = (equal_pairs + _PRIOR_PAIRS * expected) / (pairs + _PRIOR_PAIRS)
    # share = a² + (1 - a)² / wrong; the larger root is the one above chance.
    chance = 1 / rule.classes
    spread = max(0.0, (share - chance) * wrong / rule.classes)
    return bounded_accuracy(chance + spread**0.5, rule.classes)


_PRIOR_PAIRS = 10
