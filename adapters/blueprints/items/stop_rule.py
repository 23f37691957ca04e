"""Reads when items get further units: until their label is sure enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ....core.commands.labels import LabelPlan
from ....core.errors import ConfigError
from ....core.state.label_model import MOST_ANSWERS, StopRule, bounded_accuracy
from ....core.suggestions import did_you_mean
from ..form_spec import AnyField, ChoiceField, MatrixField, MultiChoiceField, values_of

KEY = "mephisto.blueprint.stop_when"
#: The most confidence: no number of answers makes a label certain.
MOST_CONFIDENCE = 0.9999
MAX_CLASSES = 100


class StopWhen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The setting `stop_when`."""

    confidence: Annotated[float, Meta(description="The probability of an item's label that is enough.")] = 0.95
    least: Annotated[int, Meta(description="Answers to an item at least.")] = msgspec.field(name="min", default=2)
    most: Annotated[int, Meta(description="Answers to an item at most.")] = msgspec.field(name="max", default=5)
    answer: Annotated[
        str | None, Meta(description="The field of the submission; by default the only choice of the form.")
    ] = None
    classes: Annotated[
        list[Any] | None, Meta(description="All possible answers; by default the options of the form's field.")
    ] = None
    accuracy: Annotated[
        float | None,
        Meta(description="The probability that an answer is right; by default it is estimated from the answers."),
    ] = None


_SETTINGS = [field.encode_name for field in msgspec.structs.fields(StopWhen)]


def read_stop_rule(
    setting: Mapping[str, object] | None, form: Sequence[AnyField], units_per_assignment: int
) -> LabelPlan | None:
    """Return when items get further units, as a configuration says; None if they get none.

    Args:
        setting: the setting.
        form: the fields of the stock page's form; empty if the page is another.
        units_per_assignment: the setting that `min` takes the place of.

    Raises:
        ConfigError: it makes no sense.
    """
    if setting is None:
        return None
    stop = _converted(setting)
    if not 0 < stop.confidence <= MOST_CONFIDENCE:
        raise ConfigError(
            f"{KEY}.confidence is {stop.confidence:g}",
            key=KEY,
            hint=f"Write for instance 0.95; at most {MOST_CONFIDENCE}",
        )
    if not 1 <= stop.least <= stop.most <= MOST_ANSWERS:
        raise ConfigError(
            f"{KEY} asks for {stop.least} to {stop.most} answers",
            key=KEY,
            hint=f"Write for instance min: 2 and max: 5; max is at most {MOST_ANSWERS}",
        )
    if units_per_assignment not in (1, stop.least):
        raise ConfigError(
            f"mephisto.blueprint.units_per_assignment is {units_per_assignment}, and {KEY}.min is {stop.least}",
            key=KEY,
            hint="Remove units_per_assignment: min says how many units an item gets at first",
        )
    answer, classes = _answer(stop, form)
    accuracy = stop.accuracy
    if accuracy is not None and accuracy != bounded_accuracy(accuracy, len(classes)):
        raise ConfigError(
            f"{KEY}.accuracy is {accuracy:g}, which is chance, or too good to be true",
            key=KEY,
            hint=f"With {len(classes)} classes, give one between {bounded_accuracy(0, len(classes)):.2f} and 0.999",
        )
    rule = StopRule(stop.confidence, stop.least, stop.most)
    return LabelPlan(answer=answer, classes=classes, accuracy=accuracy, rule=rule)


def _converted(setting: Mapping[str, object]) -> StopWhen:
    for name in setting:
        if name not in _SETTINGS:
            raise ConfigError(f"{KEY} has no {name!r}", key=KEY, hint=did_you_mean(name, _SETTINGS))
    try:
        return msgspec.convert(setting, StopWhen)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{KEY} cannot be used: {error}", key=KEY, hint="Write for instance {confidence: 0.95, min: 2, max: 5}"
        ) from error


def _answer(stop: StopWhen, form: Sequence[AnyField]) -> tuple[str, tuple[str, ...]]:
    """Return the field of the answer, and the classes.

    Raises:
        ConfigError: they are not given, and do not follow from the form; or they do not fit to it.
    """
    choices = {
        field.name: field
        for field in form
        if isinstance(field, ChoiceField) and not isinstance(field, MultiChoiceField | MatrixField)
    }
    answer = next(iter(choices)) if stop.answer is None and len(choices) == 1 else stop.answer
    if answer is None:
        named = f"the form has {len(choices)} choices: {', '.join(choices)}" if choices else "no form says it"
        raise ConfigError(
            f"{KEY} does not say which answer counts, and {named}",
            key=KEY,
            hint="Name the field of the submission: answer: label",
        )
    names = [field.name for field in form]
    if form and answer not in names:
        raise ConfigError(
            f"{KEY}.answer is {answer!r}, and the form has no such field", key=KEY, hint=did_you_mean(answer, names)
        )
    field = choices.get(answer)
    options = None if field is None else _texts(values_of(field.options))
    classes = options if stop.classes is None else _texts(stop.classes)
    if classes is None:
        raise ConfigError(
            f"{KEY} does not say which answers there are", key=KEY, hint="List them: classes: [cat, dog, bird]"
        )
    if not 2 <= len(set(classes)) == len(classes) <= MAX_CLASSES:
        raise ConfigError(
            f"{KEY}.classes are {len(classes)}, of which {len(set(classes))} differ",
            key=KEY,
            hint=f"Give at least two and at most {MAX_CLASSES}, each once",
        )
    unknown = [one for one in classes if options is not None and one not in options]
    if unknown:
        raise ConfigError(
            f"{KEY}.classes has {unknown[0]!r}, which is no option of the form's field {answer!r}",
            key=KEY,
            hint=did_you_mean(unknown[0], options or ()),
        )
    return answer, classes


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    """Return answers as text: a text as it is, another value as JSON."""
    return tuple(one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in values)
