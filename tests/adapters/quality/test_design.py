"""`mephisto-es design`: how many items and answers a study needs, against formulas and a simulated crowd."""

from __future__ import annotations

import json
from random import Random

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.quality.design import Design, LabelDesign, design, posterior_of, share_interval
from mephisto_es.core.errors import ConfigError


def run(*words: object) -> Result:
    return CliRunner().invoke(command.main, ["design", *map(str, words)])


def by_answers(found: Design) -> dict[str, LabelDesign]:
    return {one.answers: one for one in found.choices}


def test_posteriors_by_hand() -> None:
    assert posterior_of([2], 2, 0.75) == pytest.approx(9 / 10)
    assert posterior_of([1, 1], 2, 0.75) == pytest.approx(1 / 2)
    # Odds of the answer against each of two wrong ones: 0.75 / 0.125 = 6, squared.
    assert posterior_of([2], 3, 0.75) == pytest.approx(36 / 38)
    assert posterior_of([], 4, 0.75) == pytest.approx(1 / 4)


def test_labels_by_formulas() -> None:
    found = by_answers(design(2, 0.8, 0.05, confidence=0.95, least=2, most=5))
    assert found["1"].label_accuracy == pytest.approx(0.8)
    assert found["3"].label_accuracy == pytest.approx(0.8**3 + 3 * 0.8**2 * 0.2)
    assert found["2"].label_accuracy == pytest.approx(0.8)
    # Of two classes, one label in five is wrong: the interval is 1 / 0.6 as wide as without errors.
    assert found["1"].items == 1068  # 1.96² * 0.25 / (0.05 * 0.6)², rounded up
    assert found["1"].judgments == 1068


def test_as_many_answers_as_are_needed_cost_a_quarter_less_than_three() -> None:
    found = by_answers(design(3, 0.9, 0.1, confidence=0.9, least=2, most=5))
    assert found["2 to 5"].mean_answers <= 0.75 * 3
    assert found["2 to 5"].label_accuracy >= found["3"].label_accuracy - 0.005


def crowd(rng: Random, truth: int, classes: int, accuracy: float) -> int:
    return truth if rng.random() < accuracy else (truth + 1 + rng.randrange(classes - 1)) % classes


def label_of(rng: Random, truth: int, rule: tuple[int, float, float, int, int]) -> tuple[int, int]:
    """Let a crowd answer until the label is sure; return the label and the number of answers."""
    classes, accuracy, confidence, least, most = rule
    counts = [0] * classes
    for answers in range(1, most + 1):
        counts[crowd(rng, truth, classes, accuracy)] += 1
        if answers >= least and posterior_of(counts, classes, accuracy) >= confidence:
            break
    best = [one for one in range(classes) if counts[one] == max(counts)]
    return rng.choice(best), answers


def test_a_simulated_crowd_does_what_was_computed() -> None:
    rule = (3, 0.9, 0.9, 2, 5)
    expected = by_answers(design(3, 0.9, 0.1, confidence=0.9, least=2, most=5))["2 to 5"]
    rng = Random("a crowd")
    done = [(truth, *label_of(rng, truth, rule)) for truth in (rng.randrange(3) for _ in range(5000))]
    assert sum(answers for *_, answers in done) / len(done) == pytest.approx(expected.mean_answers, rel=0.02)
    assert sum(truth == label for truth, label, _ in done) / len(done) == pytest.approx(
        expected.label_accuracy, abs=0.01
    )


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rule, share, items = (3, 0.75, 0.95, 2, 5), 0.3, 120
    right = by_answers(design(3, 0.75, 0.1, confidence=0.95, least=2, most=5))["2 to 5"].label_accuracy
    held = 0
    for seed in range(500):
        rng = Random(f"run {seed}")
        truths = [0 if rng.random() < share else rng.randrange(1, 3) for _ in range(items)]
        low, high = share_interval(sum(label_of(rng, one, rule)[0] == 0 for one in truths), items, right, 3)
        held += low <= share <= high
    assert 0.92 <= held / 500 <= 0.98


def test_the_verb() -> None:
    shown = run("--classes", 3, "--accuracy", 0.75, "--target-ci", 0.1)
    assert "2 to 5        3.82         92.9%    121             463" in shown.stdout
    assert "at most ± 0.1" in shown.stdout
    found = json.loads(run("--classes", 3, "--accuracy", 0.75, "--max", 4, "--json").stdout)
    assert [one["answers"] for one in found["choices"]] == ["1", "2", "3", "4", "5", "7", "2 to 4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--classes", 2, "--accuracy", 0.5), "With 2 classes, give one between 0.51 and 0.999"),
        (("--classes", 2, "--accuracy", 0.9, "--target-ci", 0), "--target-ci is 0. Give for example 0.05"),
        (("--classes", 2, "--accuracy", 0.9, "--min", 4, "--max", 3), "--min 4 is more than --max 3"),
    ],
)
def test_numbers_that_make_no_sense(words: tuple[object, ...], said: str) -> None:
    refused = run(*words)
    assert refused.exit_code == 2
    assert said in refused.stderr
    with pytest.raises(ConfigError):
        design(2, 0.4, 0.1, confidence=0.9, least=1, most=3)
