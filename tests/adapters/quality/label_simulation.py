"""Simulates studies whose items get answers until their labels are sure enough, on the product's own functions.

`python -m mephisto_es.tests.adapters.quality.label_simulation 500` prints how often the intervals hold the truth, for
workers of several accuracies.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from random import Random

from mephisto_es.core.state.label_model import LabelModel, StopRule, estimated_accuracy
from mephisto_es.projections.queries.quality.class_shares import Interval, class_shares

#: Workers of a study.
WORKERS = 40


@dataclass(frozen=True)
class Study:
    """One study and its workers."""

    items: int
    shares: tuple[float, ...]
    #: Mean accuracy of the workers.
    skill: float
    #: How alike the workers are: the sum of the parameters of a beta distribution; None: all the same.
    spread: float | None
    #: The accuracy that the configuration gives; None: it is estimated.
    accuracy: float | None
    rule: StopRule


@dataclass(frozen=True)
class Outcome:
    """The outcome of one simulated study."""

    answers: int
    #: Items whose label is right; of labels that are equally frequent one is drawn.
    right: int
    #: The same if each item gets three answers.
    right_of_three: int
    intervals: tuple[Interval, ...]


USUAL = Study(items=200, shares=(0.5, 0.3, 0.2), skill=0.93, spread=30, accuracy=None, rule=StopRule(0.95, 2, 5))


def simulated(study: Study, seed: int) -> Outcome:
    """Return the outcome of a study with a seed."""
    rng, classes = Random(f"study {seed}"), len(study.shares)
    skills = [_skill(rng, study) for _ in range(WORKERS)]
    patterns, sizes = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    answers = right = right_of_three = 0
    for _ in range(study.items):
        truth = rng.choices(range(classes), study.shares)[0]
        given = [_answer(rng, truth, classes, skill) for skill in rng.sample(skills, max(3, study.rule.most))]
        accuracy = estimated_accuracy(sizes, classes) if study.accuracy is None else study.accuracy
        model, used = LabelModel(classes, accuracy), 0
        while further := model.further_answers(_counts(given[:used], classes), 0, study.rule):
            used += further
        counts = _counts(given[:used], classes)
        patterns[tuple(counts)] += 1
        sizes[tuple(sorted(count for count in counts if count))] += 1
        answers += used
        right += _label(rng, counts) == truth
        right_of_three += _label(rng, _counts(given[:3], classes)) == truth
    found = class_shares(patterns, classes)
    assert found is not None
    return Outcome(answers, right, right_of_three, found.intervals)


def coverage(study: Study, seeds: range) -> tuple[float, list[Outcome]]:
    """Return how often the intervals of all shares held the truth, and the outcomes."""
    outcomes = [simulated(study, seed) for seed in seeds]
    held = sum(
        low <= share <= high
        for outcome in outcomes
        for share, (low, high) in zip(study.shares, outcome.intervals, strict=True)
    )
    return held / (len(seeds) * len(study.shares)), outcomes


def _skill(rng: Random, study: Study) -> float:
    if study.spread is None:
        return study.skill
    return rng.betavariate(study.skill * study.spread, (1 - study.skill) * study.spread)


def _answer(rng: Random, truth: int, classes: int, skill: float) -> int:
    return truth if rng.random() < skill else (truth + rng.randrange(1, classes)) % classes


def _counts(answers: list[int], classes: int) -> list[int]:
    return [answers.count(number) for number in range(classes)]


def _label(rng: Random, counts: list[int]) -> int:
    return rng.choice([number for number, count in enumerate(counts) if count == max(counts)])


def main(runs: int) -> None:
    """Print the coverage and the savings of so many runs, for several kinds of workers."""
    for skill in (0.93, 0.85, 0.75):
        study = Study(USUAL.items, USUAL.shares, skill, USUAL.spread, None, USUAL.rule)
        held, outcomes = coverage(study, range(runs))
        items = runs * study.items
        mean, right = sum(one.answers for one in outcomes) / items, sum(one.right for one in outcomes) / items
        three = sum(one.right_of_three for one in outcomes) / items
        sys.stdout.write(
            f"workers {skill:.0%} right: intervals hold the truth in {held:.1%} of {runs} runs; {mean:.2f} answers for "
            f"an item, {right:.1%} of the labels right; with three answers each, {three:.1%}\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
