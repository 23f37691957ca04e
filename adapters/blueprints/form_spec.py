"""The description of a form, checked before a worker sees it; what its fields mean, `form_fields.js` says."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...core.errors import ConfigError


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
    """See whether a page could draw a form.

    Args:
        form: the list of its fields.
        key: the setting that it stands in.

    Raises:
        ConfigError: naming the field at fault.
    """
    try:
        fields = msgspec.convert(form, list[_Field])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} is not a list of form fields: {error}", key=key) from error
    names: set[str] = set()
    for field in fields:
        where = f"{key}: the field {field.name!r}"
        if field.name in names:
            raise ConfigError(f"{where} is there twice", key=key, hint="Each answer needs a name of its own")
        if field.type in {"choice", "select"} and not field.options:
            raise ConfigError(f"{where} has nothing to choose from", key=key, hint="Add options: [first, second]")
        if field.type == "scale" and field.min >= field.max:
            raise ConfigError(f"{where} goes from {field.min} to {field.max}", key=key, hint="Set min below max")
        names.add(field.name)
