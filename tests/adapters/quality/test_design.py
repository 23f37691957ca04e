"""`mephisto-es design`: how many items and answers a study needs, against formulas and a simulated crowd."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.quality.design import Design, LabelDesign, design
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.state.label_model import StopRule

from .label_simulation import Study, simulated


def run(*words: object) -> Result:
    return CliRunner().invoke(command.main, ["design", *map(str, words)])


def by_answers(found: Design) -> dict[str, LabelDesign]:
    return {one.answers: one for one in found.choices}


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


def test_a_simulated_crowd_does_what_was_computed() -> None:
    expected = by_answers(design(3, 0.9, 0.1, confidence=0.9, least=2, most=5))["2 to 5"]
    study = Study(items=5000, shares=(0.4, 0.3, 0.3), skill=0.9, spread=None, accuracy=0.9, rule=StopRule(0.9, 2, 5))
    found = simulated(study, seed=1)
    assert found.answers / study.items == pytest.approx(expected.mean_answers, rel=0.02)
    assert found.right / study.items == pytest.approx(expected.label_accuracy, abs=0.01)


@pytest.mark.parametrize(("classes", "accuracy", "least", "most"), [(3, 0.75, 2, 5), (2, 0.75, 3, 3), (3, 0.9, 2, 5)])
def test_the_intervals_of_a_quality_report_are_as_narrow_as_was_asked_for(
    classes: int, accuracy: float, least: int, most: int
) -> None:
    found = design(classes, accuracy, 0.1, confidence=0.95, least=least, most=most).choices[-1]
    rest = 0.5 / (classes - 1)
    study = Study(
        items=found.items,
        shares=(0.5, *[rest] * (classes - 1)),
        skill=accuracy,
        spread=None,
        accuracy=accuracy,
        rule=StopRule(0.95, least, most),
    )
    halves = [(high - low) / 2 for low, high in (simulated(study, seed).intervals[0] for seed in range(5))]
    assert 0.07 < sum(halves) / len(halves) < 0.1


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
