"""A training without code: practice items, feedback, and the criterion to pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mephisto_es import SharedStaticTaskState
from mephisto_es.adapters.blueprints.form_spec import read_form
from mephisto_es.adapters.blueprints.onboarding.training import (
    check_no_training,
    has_passed,
    is_right,
    read_training,
    training_of,
)
from mephisto_es.core.errors import ConfigError

FORM: list[dict[str, Any]] = [
    {"name": "rating", "type": "scale", "min": 1, "max": 5, "required": True},
    {"name": "tags", "type": "multi_choice", "options": ["a", "b", "c"]},
    {"name": "sure", "type": "checkbox"},
]
FIELDS = read_form(FORM, "form")
ITEMS: list[dict[str, Any]] = [
    {"data": {"text": "Good."}, "answers": {"rating": [4, 5]}, "feedback": "It sounds natural."},
    {"data": {"text": "Not good."}, "answers": {"rating": 1, "tags": ["b", "a"]}},
]


def training(**more: object) -> dict[str, object]:
    return {"items": ITEMS, **more}


def settings(**more: object) -> dict[str, Any]:
    return {"onboarding_qualification": "trained", "form": FORM, "onboarding": {"training": training()}, **more}


def submitted(*answers: Mapping[str, object]) -> dict[str, object]:
    return {"inputs": {}, "outputs": {"training": [{"answers": one, "tries": 1} for one in answers]}}


RIGHT = ({"rating": 5, "tags": None}, {"rating": 1, "tags": ["a", "b"]})


def test_all_items_have_to_be_right_by_default() -> None:
    read = read_training(training(), FIELDS)
    assert (read.retries, read.needed) == (1, None)
    assert has_passed(read, submitted(*RIGHT))
    assert not has_passed(read, submitted({"rating": 3}, RIGHT[1]))
    assert not has_passed(read, submitted(RIGHT[0]))


def test_some_items_may_be_wrong() -> None:
    read = read_training(training(**{"pass": 1}), FIELDS)
    assert has_passed(read, submitted({"rating": 3}, RIGHT[1]))
    assert not has_passed(read, submitted({"rating": 3}, {"rating": 2}))


@pytest.mark.parametrize("submission", [None, {"training": "all right"}, {"training": [1]}, {"success": True}])
def test_a_submission_that_is_no_training_does_not_pass(submission: object) -> None:
    assert not has_passed(read_training(training(), FIELDS), {"outputs": submission})


def test_answers_are_compared_as_json() -> None:
    read = read_training({"items": [{"data": {}, "answers": {"sure": True}}]}, FIELDS)
    assert is_right(read.items[0], {"sure": True})
    assert not is_right(read.items[0], {"sure": 1})
    assert not is_right(read.items[0], {})


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ("items", "cannot be read: Expected `object`, got `str`"),
        ({"items": []}, "cannot be read: Expected `array` of length >= 1"),
        ({"items": [{"data": {}, "answers": {}}]}, "cannot be read: Expected `object` of length >= 1"),
        (training(**{"pass": 3}), "training.pass is 3, of 2 items"),
        ({"items": [{"data": {}, "answers": {"ratng": 1}}]}, "item 1 has an answer to 'ratng', which is no field"),
        ({"items": [{"data": {}, "answers": {"rating": 9}}]}, "item 1 wants an answer to 'rating' that is not"),
    ],
)
def test_a_training_that_nobody_can_pass_is_refused(wrong: object, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_training(wrong, FIELDS)
    assert problem in str(refused.value)


def test_a_training_needs_a_qualification_and_decides_alone() -> None:
    assert training_of(settings(onboarding=None), SharedStaticTaskState()) is None
    assert training_of(settings(task_source="page"), SharedStaticTaskState()) is None
    assert training_of(settings(), SharedStaticTaskState()) is not None
    with pytest.raises(ConfigError, match="onboarding_qualification is not set"):
        training_of(settings(onboarding_qualification=None), SharedStaticTaskState())
    with pytest.raises(ConfigError, match="both the training and validate_onboarding"):
        training_of(settings(), SharedStaticTaskState(validate_onboarding=lambda _: True))
    with pytest.raises(ConfigError, match="only the stock page"):
        check_no_training(settings())
    check_no_training(settings(onboarding=None))


def test_the_form_of_the_task_serves_for_the_practice() -> None:
    answered = {"items": [{"data": {}, "answers": {"answer": "yes"}}]}
    assert training_of(settings(form=None, onboarding={"training": answered}), SharedStaticTaskState()) is not None
    own = [{"name": "answer", "type": "choice", "options": ["yes", "no"]}]
    assert training_of(settings(onboarding={"training": answered, "form": own}), SharedStaticTaskState()) is not None
