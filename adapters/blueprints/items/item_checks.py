"""Checks the items of a run one by one, before it is launched or as a script's generator gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ....core.abstractions.agent import InitializationData, Update
from ....core.errors import ConfigError
from ....core.operations.launching.assignment_data import encoded
from ..page_files import MEDIA_KEY

ITEM_HINT = "Each item must be a dict, for instance {'text': 'Hello'}"


@dataclass(frozen=True)
class ItemRules:
    """Requirements on the items of one run."""

    #: The setting that they come from, for errors.
    key: str
    #: Bytes of one item as JSON at most.
    max_item_bytes: int
    #: Columns whose values the page shows as media: addresses, or names of files in the media folder.
    media_columns: tuple[str, ...] = ()
    media_dir: Path | None = None


@dataclass
class ItemsSeen:
    """Facts that all items of a run share, for checks of the settings that refer to them."""

    count: int = 0
    #: The names of all values that occur, in the order of their first occurrence.
    columns: dict[str, None] = field(default_factory=dict)


def check_items(items: Iterable[object], rules: ItemRules) -> ItemsSeen:
    """Check items that are there before the launch.

    Raises:
        ConfigError: naming the first item that cannot be used.
    """
    seen = ItemsSeen()
    for item in checked(items, rules):
        seen.count += 1
        seen.columns.update(dict.fromkeys(item))
    return seen


def checked(items: Iterable[object], rules: ItemRules) -> Iterator[Update]:
    """Yield items after each was checked.

    Raises:
        ConfigError: naming the first item that cannot be used, counted from 1.
    """
    for number, item in enumerate(items, start=1):
        yield check_item(item, number, rules)


def check_item(item: object, number: int, rules: ItemRules) -> Update:
    """Return an item as what it is, after it was checked.

    Raises:
        ConfigError: it is not a dict, cannot be stored as JSON, is too large, or a file that it names is missing.
    """
    if not isinstance(item, dict):
        raise ConfigError(f"{rules.key}: item {number} is a {type(item).__name__}", key=rules.key, hint=ITEM_HINT)
    try:
        encoded(InitializationData(shared=item), rules.max_item_bytes)
    except ConfigError as error:
        raise ConfigError(f"{rules.key}: item {number} {error}", key=error.key or rules.key) from error
    for column in rules.media_columns:
        _check_media(item, column, number, rules)
    return item


def _check_media(item: Mapping[str, object], column: str, number: int, rules: ItemRules) -> None:
    value = item.get(column)
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str) or not name or is_address(name):
            continue
        where = f"{rules.key}: item {number} shows {name!r} ({column})"
        if rules.media_dir is None:
            raise ConfigError(
                f"{where}, which is not a web address, and there is no media folder",
                key=MEDIA_KEY,
                hint=f"Set {MEDIA_KEY} to the folder that holds the file",
            )
        file = (rules.media_dir / name).resolve()
        if not file.is_relative_to(rules.media_dir.resolve()):
            raise ConfigError(
                f"{where}, which is outside of the media folder", key=MEDIA_KEY, hint="Use names of files below it"
            )
        if not file.is_file():
            raise ConfigError(
                f"{where}, and there is no such file in {rules.media_dir}",
                key=MEDIA_KEY,
                hint="Check the name, capital letters included",
            )


def is_address(name: str) -> bool:
    """Return True if a browser finds a medium by itself: `https://...`, `data:...`, or a path on the server."""
    return name.startswith("/") or len(urlsplit(name).scheme) > 1
