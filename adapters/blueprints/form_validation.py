"""Checks the answers of a submitted form on the server: a page may be old, changed by its worker, or not a page at all.

`static_task_page/form_rules.js` has the same rules for the page; one list of cases tests both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ...projections.queries.quality.process_signals import PROCESS_SIGNALS, read_signals
from .form_spec import (
    PRESENTED_ORDER,
    TIE,
    AnyField,
    BestWorstField,
    CheckboxField,
    ChoiceField,
    FileField,
    FormField,
    MatrixField,
    MultiChoiceField,
    PairwiseField,
    RankingField,
    RubricField,
    ScaleField,
    SliderField,
    TextField,
    values_of,
)

#: Problems that are reported for one submission.
MAX_PROBLEMS = 20

#: Why an answer is none: the words are the page's too.
REQUIRED = "is required"
INCOMPLETE = "is not complete"
NOT_OFFERED = "is not one of the answers"
TOO_LONG = "is too long"
TOO_FEW = "has too few choices"
TOO_MANY = "has too many choices"
SAME_TWICE = "has the same item twice"

_SLIDER_TOLERANCE = 1e-6


def problems_of(fields: Sequence[AnyField], answers: object) -> tuple[str, ...]:
    """Return what is wrong with the answers to a form; nothing of what was answered is repeated.

    Args:
        fields: the form.
        answers: the submission, from anybody.
    """
    if not isinstance(answers, dict):
        return ("the submission is no object",)
    return tuple(_problems(fields, answers))[:MAX_PROBLEMS]


def is_visible(field: FormField, answers: Mapping[str, Any], fields: Sequence[FormField]) -> bool:
    """Return True if a field is shown, given the answers to the fields that it depends on."""
    condition = field.show_if
    if condition is None:
        return True
    other = next((one for one in fields if one.name == condition.field), None)
    if other is None or not is_visible(other, answers, fields):
        return False
    answer = answers.get(condition.field)
    given = answer if isinstance(answer, list) else [answer]
    return any(_is_one_of(value, condition.values) for value in given)


def _problems(fields: Sequence[AnyField], answers: Mapping[str, Any]) -> Iterator[str]:
    for field in fields:
        if is_visible(field, answers, fields):
            problem = _problem(field, answers.get(field.name))
            if problem is not None:
                yield f"{field.name}: {problem}"
    if PROCESS_SIGNALS in answers and read_signals(answers[PROCESS_SIGNALS]) is None:
        yield f"{PROCESS_SIGNALS}: not as the page sends them"
    known = {PRESENTED_ORDER, PROCESS_SIGNALS, *(field.name for field in fields)}
    if any(name not in known for name in answers):
        yield "there are answers to fields that the form does not have"


def _problem(field: AnyField, value: object) -> str | None:
    """Return what is wrong with one answer."""
    if value is None or value == "" or value == []:
        return REQUIRED if field.required else None
    return _check_answer(field, value)


def _check_answer(field: AnyField, value: object) -> str | None:
    match field:
        case TextField():
            return _check_text(field, value)
        case CheckboxField():
            return _check_checkbox(field, value)
        case FileField():
            return _check_file(field, value)
        case ScaleField():
            return None if _is_whole(value, field.min, field.max) else NOT_OFFERED
        case SliderField():
            return _check_slider(field, value)
        case MultiChoiceField():
            return _check_multi_choice(field, value)
        case MatrixField():
            options = values_of(field.options)
            return _check_rows(field, value, {str(row): options for row in values_of(field.rows)})
        case ChoiceField():
            return None if _is_one_of(value, values_of(field.options)) else NOT_OFFERED
        case RubricField():
            levels = {criterion.name: values_of(criterion.levels) for criterion in field.criteria}
            return _check_rows(field, value, levels)
        case RankingField():
            return _check_ranking(field, value)
        case BestWorstField():
            return _check_best_worst(field, value)
        case PairwiseField():
            offered = [*values_of(field.items), *([] if field.tie is None else [TIE])]
            return None if _is_one_of(value, offered) else NOT_OFFERED


def _check_text(field: TextField, value: object) -> str | None:
    limit = field.max_length
    if not isinstance(value, str):
        return NOT_OFFERED
    # Browsers count UTF-16 code units.
    return TOO_LONG if limit is not None and len(value.encode("utf-16-le", "surrogatepass")) // 2 > limit else None


def _check_checkbox(field: CheckboxField, value: object) -> str | None:
    if not isinstance(value, bool):
        return NOT_OFFERED
    return REQUIRED if field.required and not value else None


def _check_file(field: FileField, value: object) -> str | None:
    files = value if isinstance(value, list) else [value]
    if len(files) > 1 and not field.multiple:
        return TOO_MANY
    return None if all(isinstance(file, dict) for file in files) else NOT_OFFERED


def _check_slider(slider: SliderField, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return NOT_OFFERED
    steps = (value - slider.min) / slider.step
    is_on_step = abs(steps - round(steps)) < _SLIDER_TOLERANCE
    return None if slider.min <= value <= slider.max and is_on_step else NOT_OFFERED


def _check_multi_choice(multi: MultiChoiceField, value: object) -> str | None:
    options = values_of(multi.options)
    if not isinstance(value, list) or not all(_is_one_of(one, options) for one in value):
        return NOT_OFFERED
    if _has_doubles(value):
        return SAME_TWICE
    if len(value) < multi.min_choices:
        return TOO_FEW
    return TOO_MANY if multi.max_choices is not None and len(value) > multi.max_choices else None


def _check_rows(field: FormField, value: object, offered: Mapping[str, list[Any]]) -> str | None:
    """Check answers by row, each of which is one of the row's values, or null."""
    if not isinstance(value, dict) or not set(value) <= set(offered):
        return NOT_OFFERED
    given = {row: answer for row, answer in value.items() if answer is not None}
    if not all(_is_one_of(answer, offered[row]) for row, answer in given.items()):
        return NOT_OFFERED
    return INCOMPLETE if field.required and len(given) < len(offered) else None


def _check_ranking(ranking: RankingField, value: object) -> str | None:
    items = values_of(ranking.items)
    if not isinstance(value, list) or not all(_is_one_of(one, items) for one in value):
        return NOT_OFFERED
    if _has_doubles(value):
        return SAME_TWICE
    return INCOMPLETE if len(value) < len(items) else None


def _check_best_worst(best_worst: BestWorstField, value: object) -> str | None:
    items = values_of(best_worst.items)
    if not isinstance(value, dict) or not set(value) <= {"best", "worst"}:
        return NOT_OFFERED
    given = [one for one in (value.get("best"), value.get("worst")) if one is not None]
    if not all(_is_one_of(one, items) for one in given):
        return NOT_OFFERED
    if len(given) < 2:
        return INCOMPLETE
    return SAME_TWICE if _has_doubles(given) else None


def _is_whole(value: object, least: int, most: int) -> bool:
    # JSON has one kind of numbers: 4.0 is a whole one.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and value == int(value)


def _is_one_of(value: object, values: Collection[object]) -> bool:
    # In Python, 1 == True; in JSON they are two values.
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)


def _has_doubles(values: Sequence[object]) -> bool:
    return any(_is_one_of(value, values[:position]) for position, value in enumerate(values))
