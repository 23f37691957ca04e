"""Checks the description of a form before a worker sees it; `form_fields.js` draws it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...core.errors import ConfigError

#: Members of the browser's `form.elements`, and of every JavaScript object: a page's script that looks a field up by
#: such a name finds the member in its place.
_TAKEN_BY_BROWSERS = frozenset(
    {"item", "length", "namedItem", "elements", "constructor", "prototype", "__proto__", "toString", "valueOf"}
    | {"hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString"}
)
#: The name under which a submission lists its uploads.
UPLOADS = "files"


class _Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field of a form, with the options of all types."""

    name: str
    type: Literal["scale", "choice", "select", "checkbox", "text", "textarea", "file"]
    label: str | None = None
    help: str | None = None
    required: bool = False
    min: int = 1
    max: int = 5
    min_label: str | None = None
    max_label: str | None = None
    options: list[Any] = []
    max_length: int | None = None
    placeholder: str | None = None
    rows: int | None = None
    accept: str | None = None
    multiple: bool = False


def check_form(form: object, key: str) -> None:
    """Check whether a page could draw a form, and whether all answers would arrive.

    Args:
        form: the list of its fields.
        key: the setting that holds it.

    Raises:
        ConfigError: naming the field at fault.
    """
    try:
        fields = msgspec.convert(form, list[_Field])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} is not a list of form fields: {error}", key=key) from error
    if not fields:
        raise ConfigError(f"{key} is empty", key=key, hint="Add a field, or leave the setting out for a text field")
    names: set[str] = set()
    for field in fields:
        _check_name(field.name, key)
        where = f"{key}: the field {field.name!r}"
        if field.name in names:
            raise ConfigError(f"{where} is there twice", key=key, hint="Give each field another name")
        if field.type in {"choice", "select"} and not field.options:
            raise ConfigError(f"{where} has nothing to choose from", key=key, hint="Add options: [first, second]")
        if field.type == "scale" and field.min >= field.max:
            raise ConfigError(f"{where} goes from {field.min} to {field.max}", key=key, hint="Set min below max")
        names.add(field.name)


def _check_name(name: str, key: str) -> None:
    """Check that an answer by this name arrives.

    Raises:
        ConfigError: it does not.
    """
    where = f"{key}: a field is called {name!r}"
    if not name.strip():
        raise ConfigError(
            f"{key}: a field has no name", key=key, hint="Answers are stored by the names of their fields"
        )
    if name in _TAKEN_BY_BROWSERS:
        raise ConfigError(
            f"{where}, as is a part of every form in a browser, and its answer would be lost",
            key=key,
            hint=f"Call it otherwise, for instance {name.strip('_')}_answer",
        )
    if name == UPLOADS:
        raise ConfigError(
            f"{where}, the name under which a submission lists its uploads", key=key, hint="Call it otherwise"
        )
