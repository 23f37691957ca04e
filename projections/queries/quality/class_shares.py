"""Estimates the shares of classes and the accuracy of workers from the answers to a question, with credible intervals.

The model is that of equally accurate workers: an answer is right with one probability, and wrong in all ways with the
same. Shares and accuracy are the mode of their posterior. The intervals come from its curvature there, on the scale of
log odds. The likelihood of the answers does not depend on why no more were collected, so the intervals also hold where
items got answers until their labels were sure enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import NormalDist

import msgspec

from ....core.state.label_model import LabelModel, bounded_accuracy

#: The prior of the shares: as if so many items of each class had been seen.
PRIOR_ITEMS = 0.5
#: The prior of the accuracy: as if so many right answers had been seen, and as many wrong ones.
PRIOR_ANSWERS = 1.0
#: The estimation ends after so many steps, or once a step changes the accuracy and each share less.
MAX_STEPS = 200
SMALLEST_STEP = 1e-6
#: How often an interval holds the true value.
LEVEL = 0.95

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)

Interval = tuple[float, float]


class ClassShares(msgspec.Struct, frozen=True, kw_only=True):
    """The shares of the classes among items, and the accuracy of the answers."""

    shares: tuple[float, ...]
    #: The 95 % credible interval of each share.
    intervals: tuple[Interval, ...]
    #: Probability that an answer is right.
    accuracy: float
    accuracy_interval: Interval

    def label_posterior(self, counts: Sequence[int], label: int) -> float:
        """Return the probability that a label is right, by the number of answers to its item for each class."""
        return _posterior(self.shares, self.accuracy, counts)[label]

    def label_interval(self, counts: Sequence[int], label: int) -> Interval:
        """Return the probabilities that a label is right, at the two ends of the interval of the accuracy."""
        ends = (_posterior(self.shares, accuracy, counts)[label] for accuracy in self.accuracy_interval)
        low, high = sorted(ends)
        return low, high


def class_shares(patterns: Mapping[tuple[int, ...], int], classes: int) -> ClassShares | None:
    """Estimate the shares of classes; None if no item has two answers, or there is only one class.

    Args:
        patterns: number of items by the number of answers that they have for each class.
        classes: number of classes.
    """
    if classes < 2 or not any(sum(counts) > 1 for counts in patterns):
        return None
    items = sum(patterns.values())
    answers = sum(count * sum(counts) for counts, count in patterns.items())
    shares, accuracy = [1 / classes] * classes, bounded_accuracy(0.8, classes)
    for _ in range(MAX_STEPS):
        seen, right = [PRIOR_ITEMS] * classes, PRIOR_ANSWERS
        for counts, count in patterns.items():
            for place, probability in enumerate(_posterior(shares, accuracy, counts)):
                seen[place] += count * probability
                right += count * probability * counts[place]
        before = (*shares, accuracy)
        shares = [one / (items + classes * PRIOR_ITEMS) for one in seen]
        accuracy = bounded_accuracy(right / (answers + 2 * PRIOR_ANSWERS), classes)
        if max(abs(new - old) for new, old in zip((*shares, accuracy), before, strict=True)) < SMALLEST_STEP:
            break
    covariance = _inverse(_information(patterns, shares, accuracy))
    variances = [covariance[place][place] for place in range(classes - 1)]
    variances.append(sum(covariance[row][column] for row in range(classes - 1) for column in range(classes - 1)))
    low, high = _interval(accuracy, covariance[-1][-1])
    return ClassShares(
        shares=tuple(shares),
        intervals=tuple(_interval(share, variance) for share, variance in zip(shares, variances, strict=True)),
        accuracy=accuracy,
        accuracy_interval=(bounded_accuracy(low, classes), bounded_accuracy(high, classes)),
    )


def _posterior(shares: Sequence[float], accuracy: float, counts: Sequence[int]) -> list[float]:
    """Return the probability of each class of an item, by its answers."""
    most, ratio = max(counts), LabelModel(len(shares), accuracy).ratio
    weights = [share * ratio ** (count - most) for share, count in zip(shares, counts, strict=True)]
    total = sum(weights)
    return [weight / total for weight in weights]


def _information(
    patterns: Mapping[tuple[int, ...], int], shares: Sequence[float], accuracy: float
) -> list[list[float]]:
    """Return the information about all shares but the last, and the accuracy: of the answers and of the prior."""
    free = len(shares) - 1
    found = [[0.0] * (free + 1) for _ in range(free + 1)]
    for counts, count in patterns.items():
        probabilities = _posterior(shares, accuracy, counts)
        total = sum(counts)
        last = probabilities[-1] / shares[-1]
        scores = [probabilities[place] / shares[place] - last for place in range(free)]
        right = sum(probability * number for probability, number in zip(probabilities, counts, strict=True))
        scores.append(right / accuracy - (total - right) / (1 - accuracy))
        for row, one in enumerate(scores):
            for column, other in enumerate(scores):
                found[row][column] += count * one * other
    for row in range(free):
        for column in range(free):
            found[row][column] += PRIOR_ITEMS / shares[-1] ** 2
        found[row][row] += PRIOR_ITEMS / shares[row] ** 2
    found[free][free] += PRIOR_ANSWERS / accuracy**2 + PRIOR_ANSWERS / (1 - accuracy) ** 2
    return found


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of a positive definite matrix, by Gauss-Jordan elimination."""
    size = len(matrix)
    rows = [[*row, *(float(place == column) for column in range(size))] for place, row in enumerate(matrix)]
    for place in range(size):
        pivot = rows[place][place]
        rows[place] = [value / pivot for value in rows[place]]
        for other in range(size):
            factor = rows[other][place]
            if other != place and factor:
                rows[other] = [value - factor * part for value, part in zip(rows[other], rows[place], strict=True)]
    return [row[size:] for row in rows]


def _interval(value: float, variance: float) -> Interval:
    """Return the interval of a probability, from the variance of its estimate, on the scale of log odds."""
    odds, spread = log(value / (1 - value)), _Z * max(0.0, variance) ** 0.5 / (value * (1 - value))
    return _probability(odds - spread), _probability(odds + spread)


def _probability(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds > 0 else exp(odds) / (1 + exp(odds))
