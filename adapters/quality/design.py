"""Says before a launch how many answers are needed: for an item's label, and for the shares of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, comb
from statistics import NormalDist

import msgspec

from ...core.errors import ConfigError
from ...core.state.label_model import LabelModel, StopRule, bounded_accuracy

#: Fixed numbers of answers that are compared.
FIXED = (1, 2, 3, 4, 5, 7)


class LabelDesign(msgspec.Struct, frozen=True, kw_only=True):
    """The labels and the shares that a number of answers for each item gives."""

    #: `3`, or `2 to 5` if an item gets no further answer once its label is sure enough.
    answers: str
    mean_answers: float
    #: Share of items whose label is right; of labels that are equally frequent one is drawn.
    label_accuracy: float
    #: Items needed for the interval of the shares, and the answers that these take.
    items: int
    judgments: int


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """The items and answers that a study needs."""

    classes: int
    accuracy: float
    #: Half the width of the 95 % interval of the share of any class.
    target_ci: float
    choices: tuple[LabelDesign, ...]


def design(classes: int, accuracy: float, target_ci: float, *, confidence: float, least: int, most: int) -> Design:
    """Compute how many items and answers are needed.

    The model is the one by which items get further units: every answer is right with the same probability, and wrong in
    all ways with the same. Shares of classes are corrected for wrong labels, which widens their interval; the share
    that needs most items, one half, is assumed. The intervals of a quality report use all answers and are no wider.

    Args:
        classes: number of possible answers.
        accuracy: probability that an answer is right.
        target_ci: half the width of the 95 % interval of a share.
        confidence: probability of a label from which on an item gets no further answer.
        least: answers that an item gets at least, if it gets as many as it needs.
        most: the same at most.

    Raises:
        ConfigError: a number makes no sense.
    """
    _check(classes, accuracy, target_ci, least, most)
    found = [_design(str(count), _fixed(count, classes, accuracy), classes, target_ci) for count in FIXED]
    adaptive = _adaptive(classes, accuracy, confidence, least, most)
    found.append(_design(f"{least} to {most}", adaptive, classes, target_ci))
    return Design(classes=classes, accuracy=accuracy, target_ci=target_ci, choices=tuple(found))


def _check(classes: int, accuracy: float, target_ci: float, least: int, most: int) -> None:
    if accuracy != bounded_accuracy(accuracy, classes):
        raise ConfigError(
            f"an accuracy of {accuracy:g} is chance, or too good to be true",
            key="--accuracy",
            hint=f"With {classes} classes, give one between {1 / classes + 0.01:.2f} and 0.999",
        )
    if not 0 < target_ci < 0.5:
        raise ConfigError(f"--target-ci is {target_ci:g}", key="--target-ci", hint="Give for example 0.05")
    if not 1 <= least <= most:
        raise ConfigError(f"--min {least} is more than --max {most}", key="--min")


def _design(answers: str, result: tuple[float, float], classes: int, target_ci: float) -> LabelDesign:
    mean, right = result
    # A class with the true share p is seen with p * right + (1 - p) * wrong: the difference of both scales the error.
    wrong = (1 - right) / (classes - 1)
    spread = NormalDist().inv_cdf(0.975) * 0.5 / (right - wrong)
    items = ceil((spread / target_ci) ** 2)
    return LabelDesign(
        answers=answers, mean_answers=mean, label_accuracy=right, items=items, judgments=ceil(items * mean)
    )


def _fixed(count: int, classes: int, accuracy: float) -> tuple[float, float]:
    """Return the number of answers and the share of right labels, by the most frequent of so many answers."""
    return count, sum(chance * _right(counts) for counts, chance in _outcomes(count, classes, accuracy))


def _adaptive(classes: int, accuracy: float, confidence: float, least: int, most: int) -> tuple[float, float]:
    """Return the mean number of answers and the share of right labels if items get answers until they are sure."""
    model, rule = LabelModel(classes, accuracy), StopRule(confidence, least, most)
    mean, right = 0.0, 0.0
    #: Chance of each state that an item is in with so many answers; the right answer's count stands first.
    states: dict[tuple[int, ...], float] = {(0,) * classes: 1.0}
    for count in range(1, most + 1):
        following: dict[tuple[int, ...], float] = {}
        for counts, chance in states.items():
            for place in range(classes):
                step = accuracy if place == 0 else (1 - accuracy) / (classes - 1)
                others = sorted((n + (at == place) for at, n in enumerate(counts) if at), reverse=True)
                key = (counts[0] + (place == 0), *others)
                following[key] = following.get(key, 0.0) + chance * step
        states = {}
        for counts, chance in following.items():
            if not model.further_answers(counts, 0, rule):
                mean += chance * count
                right += chance * _right(counts)
            else:
                states[counts] = chance
    return mean, right


def _right(counts: Sequence[int]) -> float:
    """Return the probability that the right answer, whose count stands first, becomes the label."""
    most = max(counts)
    return 1 / counts.count(most) if counts[0] == most else 0.0


def _outcomes(count: int, classes: int, accuracy: float) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield the counts that so many answers can have, the right answer's first, and the chance of each."""
    wrong = (1 - accuracy) / (classes - 1)
    for right in range(count + 1):
        for others in _parts(count - right, classes - 1):
            ways, left = comb(count, right), count - right
            for other in others:
                ways *= comb(left, other)
                left -= other
            yield (right, *others), ways * accuracy**right * wrong ** (count - right)


def _parts(total: int, places: int) -> Iterator[tuple[int, ...]]:
    if places == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _parts(total - first, places - 1):
            yield (first, *rest)
