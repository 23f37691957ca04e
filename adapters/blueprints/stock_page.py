"""Checks the settings of the stock page, alone and against the data that they refer to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...core.errors import ConfigError
from ...core.suggestions import did_you_mean
from .form_spec import AnyField, ComparisonField, Drawing, read_form, values_of

STOCK_PAGE = Path(__file__).parent / "static_task_page"
SIGNALS_SETTING = "process_signals"
#: Settings that the stock page gets below `frontend` of its task config.
FRONTEND_SETTINGS = ("form", "show", "onboarding", "submit_label", "submitted", SIGNALS_SETTING)
PREFIX = "mephisto.blueprint"
#: Columns that an error or a warning lists.
LISTED_COLUMNS = 20

_ONBOARDING_SETTINGS = ("instructions", "show", "form", "training")
_SHOW_HINT = "An entry is the name of a column, or {name: ..., label: ..., as: image}"
#: Stands for the value of a column in the page's texts.
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def check_no_signals(settings: dict[str, Any]) -> None:
    """Check that a page of the task's own is not asked to count how it is filled in.

    Raises:
        ConfigError: it is.
    """
    if settings[SIGNALS_SETTING]:
        raise ConfigError(
            "only the stock page counts how its form is filled in",
            key=f"{PREFIX}.{SIGNALS_SETTING}",
            hint="Remove the setting, or task_source",
        )


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"drawing": "as"}):
    """One entry of `show`: the column whose value is shown, and how."""

    name: str
    label: str | None = None
    drawing: Drawing = "text"


class PageSettings:
    """The settings of one of the two pages: that of the task, or that of its onboarding.

    Attributes:
        fields: the form; empty if the page has its own.
    """

    def __init__(self, settings: dict[str, Any], prefix: str) -> None:
        """Read the settings.

        Args:
            settings: they, with others that are of no interest here.
            prefix: where they stand, for errors.

        Raises:
            ConfigError: naming the entry or the form field at fault.
        """
        self._prefix = prefix
        self._texts = [settings.get("instructions"), settings.get("form")]
        show, form = settings.get("show"), settings.get("form")
        self._shown = None if show is None else _read_show(show, f"{prefix}.show")
        self.fields: list[AnyField] = [] if form is None else read_form(form, f"{prefix}.form")

    @property
    def media_columns(self) -> tuple[str, ...]:
        """The columns whose values the page shows as media."""
        shown = [entry.name for entry in self._shown or () if entry.drawing != "text"]
        compared = [item for field in self._comparisons() if field.drawing != "text" for item in values_of(field.items)]
        return tuple(dict.fromkeys([*shown, *map(str, compared)]))

    def check_columns(self, columns: Collection[str]) -> list[str]:
        """Check that the columns that the page refers to exist.

        Args:
            columns: the names of all values in the data.

        Returns:
            The columns that the page does not use.

        Raises:
            ConfigError: naming the first one that does not exist, and the one that may be meant.
        """
        used: list[str] = []
        for key, name in self._references():
            if name not in columns:
                hint = did_you_mean(name, list(columns)[:LISTED_COLUMNS])
                raise ConfigError(f"{key} names {name!r}, which is not in the data", key=key, hint=hint)
            used.append(name)
        # A column of ids is for whoever reads the results.
        used.append("id")
        return [] if self._shown is None else [column for column in columns if column not in used]

    def _references(self) -> Iterator[tuple[str, str]]:
        """Yield each column that the page refers to, after the setting that does."""
        for entry in self._shown or ():
            yield f"{self._prefix}.show", entry.name
        for field in self._comparisons():
            for item in values_of(field.items):
                yield f"{self._prefix}.form: the field {field.name!r}", str(item)
        for text in _texts_in(self._texts):
            for name in _PLACEHOLDER.findall(text):
                yield f"the text {text[:40]!r} of {self._prefix}", name

    def _comparisons(self) -> Iterator[ComparisonField]:
        return (field for field in self.fields if isinstance(field, ComparisonField))


def read_settings(settings: dict[str, Any]) -> tuple[PageSettings, PageSettings]:
    """Return the settings of the task's page and of the onboarding's.

    Raises:
        ConfigError: naming the setting at fault.
    """
    onboarding = settings["onboarding"] or {}
    key = f"{PREFIX}.onboarding"
    for name in onboarding:
        if name not in _ONBOARDING_SETTINGS:
            raise ConfigError(f"{key} has no {name!r}", key=key, hint=did_you_mean(name, _ONBOARDING_SETTINGS))
    return PageSettings(settings, PREFIX), PageSettings(onboarding, key)


def _read_show(show: object, key: str) -> list[Shown]:
    entries = (
        [{"name": entry} if isinstance(entry, str) else entry for entry in show] if isinstance(show, list) else show
    )
    try:
        return msgspec.convert(entries, list[Shown])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} is not a list of columns: {error}", key=key, hint=_SHOW_HINT) from error


def _texts_in(value: object) -> Iterator[str]:
    """Yield all texts of a setting, however deep they are."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(part)
