"""Describes the fields of a form, and checks a description before a worker sees it.

The stock page draws the fields (`static_task_page/fields_*.js`); `form_validation` checks the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, ClassVar, Literal, get_args

import msgspec

from ...core.errors import ConfigError
from ...core.suggestions import did_you_mean
from ...projections.queries.quality.process_signals import PROCESS_SIGNALS

#: Points of a scale at most, so that it fits on a phone; a slider has as many as one likes.
MAX_SCALE_POINTS = 21
#: The name under which a submission lists its uploads, and the one for the order in which things were presented.
UPLOADS = "files"
PRESENTED_ORDER = "presented_order"
#: The answer to a pairwise choice if neither is better.
TIE = "tie"

#: Members of the browser's `form.elements`, and of every JavaScript object: a page's script that looks a field up by
#: such a name finds the member in its place.
_TAKEN_BY_BROWSERS = frozenset(
    {"item", "length", "namedItem", "elements", "constructor", "prototype", "__proto__", "toString", "valueOf"}
    | {"hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString"}
)
_TAKEN_BY_SUBMISSIONS = {
    UPLOADS: "the name under which a submission lists its uploads",
    PRESENTED_ORDER: "the name under which a submission says in which order things were presented",
    PROCESS_SIGNALS: "the name under which a submission says how the form was filled in",
}

#: How the page can draw the value of a column.
Drawing = Literal["text", "image", "audio", "video"]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"value": "is"}):
    """The answer to an earlier field on which a field depends."""

    field: str
    #: One value, or a list of values of which any will do.
    value: Any

    @property
    def values(self) -> list[Any]:
        """The values of which any will do."""
        return self.value if isinstance(self.value, list) else [self.value]


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several answers."""

    value: Any
    label: str | None = None
    description: str | None = None


class FormField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Settings that all fields have."""

    name: str
    label: str | None = None
    help: str | None = None
    required: bool = False
    show_if: Condition | None = None

    #: Whether the field shows values of the item.
    has_items: ClassVar[bool] = False

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from ()


class TextField(FormField, frozen=True, kw_only=True, tag="text"):
    """A line of text."""

    max_length: int | None = None
    placeholder: str | None = None


class TextAreaField(TextField, frozen=True, kw_only=True, tag="textarea"):
    """A text of several lines."""

    rows: int = 4


class CheckboxField(FormField, frozen=True, kw_only=True, tag="checkbox"):
    """A box to tick; a required one must be ticked."""


class FileField(FormField, frozen=True, kw_only=True, tag="file"):
    """An upload."""

    accept: str | None = None
    multiple: bool = False


class ScaleField(FormField, frozen=True, kw_only=True, tag="scale"):
    """Whole numbers in a row, one of which is chosen."""

    min: int = 1
    max: int = 5
    min_label: str | None = None
    max_label: str | None = None

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        if self.min >= self.max:
            yield f"goes from {self.min} to {self.max}. Set min below max"
        elif self.max - self.min >= MAX_SCALE_POINTS:
            yield f"has {self.max - self.min + 1} points, at most {MAX_SCALE_POINTS} fit on a phone. Use type: slider"


class SliderField(FormField, frozen=True, kw_only=True, tag="slider"):
    """A number that is set by moving a handle; unanswered until it was moved."""

    min: float = 0
    max: float = 100
    step: float = 1
    min_label: str | None = None
    max_label: str | None = None

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        if self.min >= self.max:
            yield f"goes from {self.min:g} to {self.max:g}. Set min below max"
        elif not 0 < self.step <= self.max - self.min:
            yield f"has the step {self.step:g}. It must be positive, and at most max - min"


class ChoiceField(FormField, frozen=True, kw_only=True, tag="choice"):
    """Options, all visible, one of which is chosen."""

    options: list[Any] = []

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from _option_faults("options", self.options)


class SelectField(ChoiceField, frozen=True, kw_only=True, tag="select"):
    """Options in a list that opens, one of which is chosen."""


class MultiChoiceField(ChoiceField, frozen=True, kw_only=True, tag="multi_choice"):
    """Options, any number of which are chosen."""

    min_choices: int = 0
    max_choices: int | None = None

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from super().faults()
        most = len(self.options) if self.max_choices is None else self.max_choices
        if not 0 <= self.min_choices <= most <= len(self.options):
            yield f"asks for {self.min_choices} to {most} of {len(self.options)} options. Correct min_ and max_choices"


class MatrixField(ChoiceField, frozen=True, kw_only=True, tag="matrix"):
    """The same options for each of several rows."""

    rows: list[Any] = []

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from super().faults()
        yield from _option_faults("rows", self.rows)


class Criterion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of a rubric, with levels of its own."""

    name: str
    label: str | None = None
    description: str | None = None
    levels: list[Any] = []


class RubricField(FormField, frozen=True, kw_only=True, tag="rubric"):
    """Criteria, each with levels that say what they mean."""

    criteria: list[Criterion] = []

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from _option_faults("criteria", [criterion.name for criterion in self.criteria])
        for criterion in self.criteria:
            yield from _option_faults(f"levels of {criterion.name!r}", criterion.levels)


class ComparisonField(FormField, frozen=True, kw_only=True, rename={"drawing": "as"}):
    """Settings of fields that compare columns of the item, in an order that is random for each worker and unit."""

    has_items: ClassVar[bool] = True
    min_items: ClassVar[int] = 2
    max_items: ClassVar[int] = 12

    items: list[Any] = []
    drawing: Drawing = "text"

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from _option_faults("items", self.items)
        if not self.min_items <= len(self.items) <= self.max_items:
            most = "" if self.min_items == self.max_items else f" to {self.max_items}"
            yield f"compares {len(self.items)} items. List the names of {self.min_items}{most} columns"


class RankingField(ComparisonField, frozen=True, kw_only=True, tag="ranking"):
    """Columns of the item, to be put in order."""


class BestWorstField(ComparisonField, frozen=True, kw_only=True, tag="best_worst"):
    """Columns of the item, of which the best and the worst are chosen."""

    min_items: ClassVar[int] = 3
    best_label: str | None = None
    worst_label: str | None = None


class PairwiseField(ComparisonField, frozen=True, kw_only=True, tag="pairwise"):
    """Two columns of the item side by side, one of which is chosen."""

    max_items: ClassVar[int] = 2
    #: Text of the choice that neither is better; None: there is no such choice.
    tie: str | None = None

    def faults(self) -> Iterator[str]:
        """Yield why the field cannot be drawn or answered."""
        yield from super().faults()
        if TIE in values_of(self.items):
            yield f"compares an item called {TIE!r}, the answer that neither is better. Choose another name"


AnyField = (
    TextField
    | TextAreaField
    | CheckboxField
    | FileField
    | ScaleField
    | SliderField
    | ChoiceField
    | SelectField
    | MultiChoiceField
    | MatrixField
    | RubricField
    | RankingField
    | BestWorstField
    | PairwiseField
)
#: The classes of fields by the name of their type.
FIELD_TYPES: dict[str, type[FormField]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyField)}
_TYPE_HINT = f"Write for instance type: text. There are {', '.join(FIELD_TYPES)}"
#: Characters of a faulty field that an error shows.
MAX_SHOWN = 80


def read_form(form: object, key: str) -> list[AnyField]:
    """Return the fields of a form, after checking whether a page could draw it and all answers would arrive.

    Args:
        form: the list of its fields.
        key: the setting that holds it.

    Raises:
        ConfigError: naming the field at fault.
    """
    for description in form if isinstance(form, list) else ():
        _check_spelling(description, key)
    try:
        fields = msgspec.convert(form, list[AnyField])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} is not a list of form fields: {error}", key=key) from error
    if not fields:
        raise ConfigError(f"{key} is empty", key=key, hint="Add a field, or leave the setting out for a text field")
    earlier: list[FormField] = []
    for field in fields:
        _check_name(field.name, [other.name for other in earlier], key)
        _check_condition(field, earlier, key)
        for fault in field.faults():
            raise ConfigError(f"{key}: the field {field.name!r} {fault}", key=key)
        earlier.append(field)
    return fields


def options_of(options: Iterable[Any]) -> list[Option]:
    """Return options as objects; a plain value stands for an option that is labelled by it."""
    return [msgspec.convert(one, Option) if isinstance(one, dict) else Option(one) for one in options]


def values_of(options: Iterable[Any]) -> list[Any]:
    """Return the values of options."""
    return [one["value"] if isinstance(one, dict) else one for one in options]


def _option_faults(what: str, options: list[Any]) -> Iterator[str]:
    if not options:
        yield f"has no {what}. Add {what.split()[0]}: [first, second]"
        return
    try:
        values = [option.value for option in options_of(options)]
    except msgspec.ValidationError as error:
        yield f"has {what} that cannot be read: {error}. Each is a text, or {{value: ..., label: ...}}"
        return
    for position, value in enumerate(values):
        if value in values[:position]:
            yield f"has {value!r} twice in its {what}. Give each another value"


def _check_spelling(description: object, key: str) -> None:
    """Check the type of a field and the names of its settings, to say what is meant.

    Raises:
        ConfigError: one of them is not known.
    """
    if not isinstance(description, dict):
        return  # the decoder says it better
    for setting, hint in (("name", "Answers are stored by the names of their fields"), ("type", _TYPE_HINT)):
        if setting not in description:
            shown = ", ".join(f"{one}: {value}" for one, value in list(description.items())[:2])[:MAX_SHOWN]
            raise ConfigError(f"{key}: a field has no {setting} ({shown or 'it is empty'})", key=key, hint=hint)
    kind = FIELD_TYPES.get(description["type"]) if isinstance(description["type"], str) else None
    where = f"{key}: the field {description['name']!r}"
    if kind is None:
        hint = did_you_mean(str(description["type"]), FIELD_TYPES)
        raise ConfigError(f"{where} has the unknown type {description['type']!r}", key=key, hint=hint)
    known = {"type", *(field.encode_name for field in msgspec.structs.fields(kind))}
    for name in description:
        if name not in known:
            raise ConfigError(f"{where} has the unknown setting {name!r}", key=key, hint=did_you_mean(name, known))


def _check_name(name: str, earlier: Collection[str], key: str) -> None:
    """Check that an answer by this name arrives.

    Raises:
        ConfigError: it does not.
    """
    where = f"{key}: a field is named {name!r}"
    if not name.strip():
        raise ConfigError(
            f"{key}: a field has no name", key=key, hint="Answers are stored by the names of their fields"
        )
    if name in _TAKEN_BY_BROWSERS:
        raise ConfigError(
            f"{where}, like a property of every form in a browser, so its answer would be lost",
            key=key,
            hint=f"Choose another name, for instance {name.strip('_')}_answer",
        )
    if name in _TAKEN_BY_SUBMISSIONS:
        raise ConfigError(f"{where}, {_TAKEN_BY_SUBMISSIONS[name]}", key=key, hint="Choose another name")
    if name in earlier:
        raise ConfigError(f"{key}: the field {name!r} is there twice", key=key, hint="Give each field another name")


def _check_condition(field: FormField, earlier: Collection[FormField], key: str) -> None:
    """Check that a field depends on an answer that there can be.

    Raises:
        ConfigError: it does not.
    """
    condition = field.show_if
    if condition is None:
        return
    where = f"{key}: the field {field.name!r} depends on"
    other = next((one for one in earlier if one.name == condition.field), None)
    if other is None:
        hint = did_you_mean(condition.field, [one.name for one in earlier])
        raise ConfigError(f"{where} {condition.field!r}, which is no field before it", key=key, hint=hint)
    possible: list[Any]
    if isinstance(other, CheckboxField):
        possible = [True, False]
    elif isinstance(other, ScaleField):
        possible = list(range(other.min, other.max + 1))
    elif isinstance(other, ChoiceField) and not isinstance(other, MatrixField):
        possible = values_of(other.options)
    else:
        hint = "It can depend on a scale, choice, select, multi_choice or checkbox"
        raise ConfigError(f"{where} {condition.field!r}, whose answers cannot be listed", key=key, hint=hint)
    for value in condition.values:
        if value not in possible:
            hint = did_you_mean(str(value), map(str, possible))
            raise ConfigError(
                f"{where} the answer {value!r} to {condition.field!r}, which is not a possible answer",
                key=key,
                hint=hint,
            )
