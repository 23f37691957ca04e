"""The model of equally accurate workers: posteriors, further answers, and the accuracy that answers show."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mephisto_es.core.state.label_model import (
    MOST_ANSWERS,
    PRIOR_ACCURACY,
    LabelModel,
    StopRule,
    bounded_accuracy,
    estimated_accuracy,
)

RULE = StopRule(0.95, 2, 5)


def test_a_posterior_is_bayes_rule() -> None:
    model = LabelModel(3, 0.75)
    cat = 0.75**2 * 0.125
    dog = 0.125**2 * 0.75
    bird = 0.125**3
    assert model.posterior([2, 1, 0]) == pytest.approx(cat / (cat + dog + bird))
    assert model.posterior([1, 2]) == model.posterior([2, 1, 0])
    assert model.posterior([]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("counts", "unusable", "further"),
    [
        ([0, 0, 0], 0, 2),  # at least two
        ([1, 0, 0], 0, 1),
        ([2, 0, 0], 0, 0),
        ([1, 1, 0], 0, 2),  # one more could not be enough
        ([2, 1, 0], 0, 1),
        ([2, 2, 0], 0, 1),  # as many as allowed, though they cannot be enough
        ([2, 2, 1], 0, 0),
        ([1, 0, 0], 4, 0),  # what cannot be used counts towards the most
        ([1, 0, 0], 3, 1),  # and not towards the least
    ],
)
def test_as_many_answers_are_missing_as_could_be_enough(counts: list[int], unusable: int, further: int) -> None:
    assert LabelModel(3, 0.9).further_answers(counts, unusable, RULE) == further


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=4),
    st.floats(0, 1),
    st.floats(0.5, 0.99),
    st.data(),
)
def test_fewer_answers_than_are_asked_for_are_never_enough(
    counts: list[int], accuracy: float, confidence: float, data: st.DataObject
) -> None:
    model = LabelModel(len(counts), bounded_accuracy(accuracy, len(counts)))
    rule = StopRule(confidence, 1, MOST_ANSWERS)
    further = model.further_answers(counts, 0, rule)
    for _ in range(data.draw(st.integers(0, min(further, 5)))):
        assert further > 0
        counts[data.draw(st.integers(0, len(counts) - 1))] += 1
        further -= 1
        left = model.further_answers(counts, 0, rule)
        assert left >= further


@pytest.mark.parametrize("accuracy", [0.6, 0.8, 0.95])
def test_the_accuracy_of_simulated_workers_is_found(accuracy: float) -> None:
    rng = Random(1)
    patterns: dict[tuple[int, ...], int] = {(1,): 1000}
    for _ in range(2000):
        counts = [0, 0, 0]
        for _ in range(3):
            counts[0 if rng.random() < accuracy else rng.choice((1, 2))] += 1
        pattern = tuple(count for count in counts if count)
        patterns[pattern] = patterns.get(pattern, 0) + 1
    assert estimated_accuracy(patterns, 3) == pytest.approx(accuracy, abs=0.02)


def test_before_the_least_number_of_answers_nothing_else_counts() -> None:
    assert LabelModel(3, 0.5).further_answers([0, 0, 0], 0, RULE) == 2
    assert LabelModel(3, 0.5).further_answers([1, 0, 0], 0, RULE) == 1
    assert LabelModel(3, 0.5).further_answers([2, 0, 0], 0, RULE) == 3


def test_little_is_concluded_from_little() -> None:
    assert estimated_accuracy({}, 3) == PRIOR_ACCURACY
    assert estimated_accuracy({(1,): 50}, 3) == PRIOR_ACCURACY
    assert PRIOR_ACCURACY < estimated_accuracy({(2,): 2}, 3) < 0.8
    assert estimated_accuracy({(3,): 100_000}, 2) == pytest.approx(0.999, abs=0.001)
