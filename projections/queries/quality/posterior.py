"""Computes from the answers to one item how sure its label is.

The model has one parameter: every worker gives the right answer with the same probability, the accuracy, and each wrong
one with the same. So counts of answers are all there is to know about an item.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Accuracies that are assumed at least and at most: with less, answers say nothing; with 1, one answer says all.
LEAST_ABOVE_CHANCE = 0.01
MOST_ACCURACY = 0.999


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
