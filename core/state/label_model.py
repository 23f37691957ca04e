"""The model of equally accurate workers: what answers to an item say about its class, and how many more it needs.

Every answer is right with the same probability, wrong in all ways with the same, and independent of the others. All
classes are equally probable before the first answer. Then an answer for a class makes it `ratio` times as probable as
each other one, and nothing but the number of answers for each class counts. Answers can be looked at after each one,
because a posterior does not depend on why no more were collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

#: Accuracies that are assumed at least, above chance, and at most: with less, answers say nothing; with 1, all.
LEAST_ABOVE_CHANCE = 0.01
MOST_ACCURACY = 0.999
#: Answers to one item at most.
MOST_ANSWERS = 100
#: The accuracy that is assumed before there are answers, and the number of answers for which this counts.
PRIOR_ACCURACY = 0.75
PRIOR_ANSWERS = 20
#: The estimation of an accuracy ends after so many steps, or once a step changes less.
MAX_STEPS = 200
SMALLEST_STEP = 1e-6


def bounded_accuracy(accuracy: float, classes: int) -> float:
    """Return an accuracy that is better than chance and less than certain."""
    return min(MOST_ACCURACY, max(1 / classes + LEAST_ABOVE_CHANCE, accuracy))


class StopRule(msgspec.Struct, frozen=True, gc=False):
    """The rule by which an item gets no more answers."""

    #: The probability of its label from which on it gets none.
    confidence: float
    #: Answers at least and at most.
    least: int
    most: int


class LabelModel(msgspec.Struct, frozen=True, gc=False):
    """The model for a number of classes and an accuracy."""

    classes: int
    #: Probability that an answer is right; bounded.
    accuracy: float

    @property
    def ratio(self) -> float:
        """The factor by which a right answer is more probable than each wrong one; more than 1."""
        return self.accuracy * (self.classes - 1) / (1 - self.accuracy)

    def posterior(self, counts: Sequence[int]) -> float:
        """Return the posterior probability of the most frequent answer.

        Args:
            counts: number of answers for each class; classes that nobody chose may be left out.
        """
        most, ratio = max(counts, default=0), self.ratio
        others = sum(ratio ** (count - most) for count in counts)
        return 1 / (others + max(0, self.classes - len(counts)) * ratio**-most)

    def further_answers(self, counts: Sequence[int], unusable: int, rule: StopRule) -> int:
        """Return how many more answers an item needs at least; 0 if it gets no more.

        Up to the least number, nothing else counts. From then on as many are needed as would suffice if all of them
        were for the present label. With fewer the label is not sure, whatever they are, so none is asked for in vain.

        Args:
            counts: number of answers for each class.
            unusable: number of answers that are none of the classes. They count towards the most, and not to the least.
            rule: when it gets no more.
        """
        usable = sum(counts)
        left = rule.most - usable - unusable
        if left <= 0:
            return 0
        if usable < rule.least:
            return min(rule.least - usable, left)
        extended = list(counts)
        place, further = extended.index(max(extended)), 0
        while further < left and self.posterior(extended) < rule.confidence:
            further += 1
            extended[place] += 1
        return min(further, left)


def estimated_accuracy(patterns: Mapping[tuple[int, ...], int], classes: int) -> float:
    """Estimate the accuracy of answers from how far they agree: the mode of its posterior, by expectation maximization.

    Before there are answers it is taken to be 0.75, with the weight of 20 answers. Items with one answer say nothing.

    Args:
        patterns: number of items by their numbers of answers for each class, in any order and without zeros.
        classes: number of classes.
    """
    accuracy = bounded_accuracy(PRIOR_ACCURACY, classes)
    telling = {pattern: items for pattern, items in patterns.items() if sum(pattern) > 1}
    total = PRIOR_ANSWERS + sum(items * sum(pattern) for pattern, items in telling.items())
    for _ in range(MAX_STEPS if telling else 0):
        ratio = LabelModel(classes, accuracy).ratio
        right = PRIOR_ACCURACY * PRIOR_ANSWERS
        for pattern, items in telling.items():
            most = max(pattern)
            weights = [ratio ** (count - most) for count in pattern]
            all_weights = sum(weights) + (classes - len(pattern)) * ratio**-most
            right += items * sum(map(float.__mul__, weights, map(float, pattern))) / all_weights
        before, accuracy = accuracy, bounded_accuracy(right / total, classes)
        if abs(accuracy - before) < SMALLEST_STEP:
            break
    return accuracy
