"""Checks the settings of the stock page, alone and against the data that they refer to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import msgspec

from ...core.errors import ConfigError
from ...core.suggestions import did_you_mean
from .form_spec import check_form

STOCK_PAGE = Path(__file__).parent / "static_task_page"
#: Settings that the stock page gets below `frontend` of its task config.
FRONTEND_SETTINGS = ("form", "show", "onboarding", "submit_label", "submitted")
PREFIX = "mephisto.blueprint"
#: Columns that an error lists if none is similar.
LISTED_COLUMNS = 20

_ONBOARDING_SETTINGS = ("instructions", "show", "form")
_SHOW_HINT = "An entry is the name of a column, or {name: ..., label: ..., as: image}"


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"drawing": "as"}):
    """One entry of `show`: the column whose value is shown, and how."""

    name: str
    label: str | None = None
    drawing: Literal["text", "image"] = "text"

    @property
    def is_media(self) -> bool:
        """True if the value is the address of a medium, or the name of its file."""
        return self.drawing != "text"


def check_settings(settings: dict[str, Any]) -> None:
    """Check whether the page could be drawn from a blueprint's settings, whatever the data is.

    Raises:
        ConfigError: naming the entry or the form field at fault.
    """
    onboarding = settings["onboarding"] or {}
    for name in onboarding:
        if name not in _ONBOARDING_SETTINGS:
            key = f"{PREFIX}.onboarding"
            raise ConfigError(f"{key} has no {name!r}", key=key, hint=did_you_mean(name, _ONBOARDING_SETTINGS))
    for prefix, part in ((PREFIX, settings), (f"{PREFIX}.onboarding", onboarding)):
        if part.get("show") is not None:
            read_show(part["show"], f"{prefix}.show")
        if part.get("form") is not None:
            check_form(part["form"], f"{prefix}.form")


def read_show(show: object, key: str) -> list[Shown]:
    """Return the entries of a `show` setting.

    Raises:
        ConfigError: naming the entry at fault.
    """
    entries = (
        [{"name": entry} if isinstance(entry, str) else entry for entry in show] if isinstance(show, list) else show
    )
    try:
        return msgspec.convert(entries, list[Shown])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} is not a list of columns: {error}", key=key, hint=_SHOW_HINT) from error


def media_columns(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns whose values the page shows as media."""
    shown = read_show(settings["show"] or [], f"{PREFIX}.show")
    return tuple(entry.name for entry in shown if entry.is_media)


def check_columns(show: object, columns: Collection[str], key: str) -> list[str]:
    """Check that the columns that the page shows exist.

    Args:
        show: a `show` setting; None: the page shows all columns.
        columns: the names of all values in the data.
        key: the setting, for the error.

    Returns:
        The columns that the page does not show.

    Raises:
        ConfigError: naming the first one that does not exist, and the one that may be meant.
    """
    if show is None:
        return []
    names = [entry.name for entry in read_show(show, key)]
    for name in names:
        if name not in columns:
            hint = did_you_mean(name, list(columns)[:LISTED_COLUMNS])
            raise ConfigError(f"{key} names {name!r}, which is not in the data", key=key, hint=hint)
    return [column for column in columns if column not in names]
