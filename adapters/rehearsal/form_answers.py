"""Fills in forms as simulated workers do: the honest ones everything they see, the careless ones what they must."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from ..blueprints.form_spec import (
    PRESENTED_ORDER,
    TIE,
    AnyField,
    BestWorstField,
    CheckboxField,
    ChoiceField,
    FileField,
    MatrixField,
    MultiChoiceField,
    PairwiseField,
    RankingField,
    RubricField,
    ScaleField,
    SliderField,
    TextAreaField,
    TextField,
    values_of,
)
from ..blueprints.form_validation import is_visible
from ..crowd.bot import BotFile

_WORDS = (
    *("the", "a", "sentence", "word", "reads", "sounds", "seems", "quite", "rather", "odd", "fine", "clear", "long"),
    *("short", "because", "its", "order", "end", "is", "was", "and", "but", "not", "very", "well", "here", "more"),
)
#: Words of an honest text, at least and at most, in a line and in a field of several lines.
LINE_WORDS = (1, 3)
TEXT_WORDS = (6, 20)
#: The smallest PNG, for fields that take images.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
    "5e6f2d0e0000000049454e44ae426082"
)


class FormAnswers:
    """Answers a form.

    Args:
        fields: the form.
        is_careless: True to answer only what is required, and that with the least effort.
    """

    def __init__(self, fields: Sequence[AnyField], *, is_careless: bool = False) -> None:
        self._fields = fields
        self._is_careless = is_careless

    def __call__(self, _unit_data: Any, rng: Random) -> object:
        """Return the answers; fields that are not shown have none."""
        answers: dict[str, Any] = {}
        orders: dict[str, list[Any]] = {}
        for field in self._fields:
            shown = is_visible(field, answers, self._fields)
            wanted = shown and (field.required or not self._is_careless)
            answers[field.name] = self._answer(field, rng) if wanted else None
            if isinstance(field, PairwiseField | RankingField | BestWorstField):
                orders[field.name] = rng.sample(values_of(field.items), len(field.items))
        return {**answers, PRESENTED_ORDER: orders} if orders else answers

    def _answer(self, field: AnyField, rng: Random) -> object:
        match field:
            case TextField():
                return self._text(field, rng)
            case CheckboxField():
                return field.required or rng.random() < 0.5
            case FileField():
                upload = _upload(field)
                return [upload, upload] if field.multiple and not self._is_careless else upload
            case ScaleField():
                return field.min if self._is_careless else rng.randint(field.min, field.max)
            case SliderField():
                steps = int((field.max - field.min) / field.step)
                return field.min + field.step * rng.randint(0, steps)
            case MultiChoiceField():
                return self._several(field, rng)
            case MatrixField():
                return {str(row): self._one_of(field.options, rng) for row in values_of(field.rows)}
            case ChoiceField():
                return self._one_of(field.options, rng)
            case RubricField():
                return {one.name: self._one_of(one.levels, rng) for one in field.criteria}
            case RankingField():
                return rng.sample(values_of(field.items), len(field.items))
            case BestWorstField():
                best, worst = rng.sample(values_of(field.items), 2)
                return {"best": best, "worst": worst}
            case PairwiseField():
                return rng.choice([*values_of(field.items), *([] if field.tie is None else [TIE])])

    def _text(self, field: TextField, rng: Random) -> str:
        least, most = TEXT_WORDS if isinstance(field, TextAreaField) else LINE_WORDS
        words = 1 if self._is_careless else rng.randint(least, most)
        text = " ".join(rng.choices(_WORDS, k=words))
        return text if field.max_length is None else text[: field.max_length]

    def _one_of(self, options: Sequence[Any], rng: Random) -> Any:
        values = values_of(options)
        return values[0] if self._is_careless else rng.choice(values)

    def _several(self, field: MultiChoiceField, rng: Random) -> list[Any]:
        values = values_of(field.options)
        most = len(values) if field.max_choices is None else field.max_choices
        least = max(1, field.min_choices)
        return rng.sample(values, least if self._is_careless else rng.randint(least, max(least, most)))


def _upload(field: FileField) -> BotFile:
    if "image" in (field.accept or ""):
        return BotFile("rehearsal.png", _PIXEL, "image/png")
    return BotFile("rehearsal.txt", b"An upload of a rehearsal.\n", "text/plain")
