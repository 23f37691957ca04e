"""Describes a training: practice items with right answers, on which workers learn a task, and the criterion to pass.

The stock page shows the items and the feedback (`static_task_page/training.js`); the operator counts the right answers
again, because a page cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec

from ....core.abstractions.callbacks import quick
from ....core.abstractions.shared_task_state import OnboardingSharedState
from ....core.abstractions.work_data import Update
from ....core.errors import ConfigError
from ....core.suggestions import did_you_mean
from ..form_spec import AnyField, TextAreaField, read_form
from ..form_validation import problems_of

KEY = "mephisto.blueprint.onboarding.training"
_HINT = "It has items, each with data and answers, and may have retries and pass"


class PracticeItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One practice item."""

    #: What the page shows, as an item of the task's data.
    data: Update
    #: The right answers by field; a list means that any of its values is right, unless the answer is a list itself.
    answers: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]
    #: Shown once the item is answered for good.
    feedback: str | None = None


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"needed": "pass"}):
    """The practice items, and how many of them have to be right."""

    items: Annotated[list[PracticeItem], msgspec.Meta(min_length=1)]
    #: How often a wrong answer may be corrected.
    retries: Annotated[int, msgspec.Meta(ge=0)] = 1
    #: Items that have to be right at last; all of them by default.
    needed: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _Practiced(msgspec.Struct):
    answers: dict[str, Any] = {}


class _Submission(msgspec.Struct):
    training: list[_Practiced] = []


def check_no_training(settings: Mapping[str, Any]) -> None:
    """Check that a page of the task's own has no training, which it would not show.

    Raises:
        ConfigError: it has.
    """
    if (settings.get("onboarding") or {}).get("training") is not None:
        raise ConfigError(
            "only the stock page shows a training",
            key=KEY,
            hint="Leave mephisto.blueprint.task_source out, or validate the onboarding in your script",
        )


def training_of(settings: Mapping[str, Any], shared_state: OnboardingSharedState) -> Training | None:
    """Return the training of a stock page; None if it has none.

    Args:
        settings: the settings of the blueprint.
        shared_state: what the script passes.

    Raises:
        ConfigError: it cannot be passed, or something else would decide who passes.
    """
    onboarding = settings.get("onboarding") or {}
    if onboarding.get("training") is None or settings.get("task_source") is not None:
        return None
    if settings.get("onboarding_qualification") is None:
        key = "mephisto.blueprint.onboarding_qualification"
        hint = "Name the qualification of workers who have passed the training"
        raise ConfigError(f"{key} is not set, so nobody gets the training", key=key, hint=hint)
    form = onboarding.get("form") or settings.get("form")
    fields = [TextAreaField(name="answer", required=True)] if form is None else read_form(form, f"{KEY}: the form")
    training = read_training(onboarding["training"], fields)
    if shared_state.validate_onboarding is not OnboardingSharedState().validate_onboarding:
        raise ConfigError(
            "both the training and validate_onboarding decide who passes",
            key="validate_onboarding",
            hint=f"Leave one of them out: {KEY} needs no code",
        )
    return training


def read_training(training: object, fields: Sequence[AnyField]) -> Training:
    """Return a training, after checking that it can be passed.

    Args:
        training: the setting.
        fields: the form of the practice.

    Raises:
        ConfigError: naming the item at fault.
    """
    try:
        read = msgspec.convert(training, Training)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{KEY} cannot be read: {error}", key=KEY, hint=_HINT) from error
    if read.needed is not None and read.needed > len(read.items):
        hint = "Lower it, or add items"
        raise ConfigError(f"{KEY}.pass is {read.needed}, of {len(read.items)} items", key=KEY, hint=hint)
    by_name = {field.name: field for field in fields}
    for number, item in enumerate(read.items, start=1):
        for name, answer in item.answers.items():
            if name not in by_name:
                hint = did_you_mean(name, by_name)
                raise ConfigError(
                    f"{KEY}: item {number} has an answer to {name!r}, which is no field", key=KEY, hint=hint
                )
            _check_possible(by_name[name], answer, number)
    return read


def _check_possible(field: AnyField, answer: object, number: int) -> None:
    """Check that one of the right answers can be given.

    Raises:
        ConfigError: none can.
    """
    candidates = [answer, *(answer if isinstance(answer, list) else [])]
    shown = msgspec.structs.replace(field, show_if=None)
    if all(problems_of([shown], {field.name: candidate}) for candidate in candidates):
        hint = "Correct it: nobody could pass"
        raise ConfigError(
            f"{KEY}: item {number} wants an answer to {field.name!r} that is not possible", key=KEY, hint=hint
        )


def passing(training: Training) -> partial[bool]:
    """Return the callback that validates the onboarding: whether enough items are right."""
    return partial(has_passed, training)


@quick
def has_passed(training: Training, onboarding_data: Update) -> bool:
    """Return whether enough practice items were answered right, by the `outputs` of an onboarding."""
    try:
        practiced = msgspec.convert(onboarding_data.get("outputs"), _Submission).training
    except msgspec.ValidationError:
        return False
    right = sum(is_right(item, done.answers) for item, done in zip(training.items, practiced, strict=False))
    return right >= (len(training.items) if training.needed is None else training.needed)


def is_right(item: PracticeItem, answers: Mapping[str, Any]) -> bool:
    """Return whether the answers to an item are right; fields without a right answer do not matter."""
    return all(_matches(answers.get(name), wanted) for name, wanted in item.answers.items())


def _matches(given: object, wanted: object) -> bool:
    if isinstance(wanted, list) and not isinstance(given, list):
        return any(_matches(given, one) for one in wanted)
    if isinstance(given, list) and isinstance(wanted, list):
        return len(given) == len(wanted) and all(one in wanted for one in given)
    # In Python, 1 == True; in JSON they are two values.
    return given == wanted and isinstance(given, bool) == isinstance(wanted, bool)
