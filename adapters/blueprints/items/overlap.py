"""Chooses the items that get more answers than the others, so that agreement can be measured without paying for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from ....core.abstractions.agent import Update
from ....core.errors import ConfigError
from ....core.suggestions import did_you_mean

KEY = "mephisto.blueprint.overlap"


class Overlap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The items that get more answers."""

    fraction: Annotated[float, Meta(description="The share of the items that get more units.")]
    count: Annotated[int, Meta(description="Units for each of these; the others get units_per_assignment.")]
    stratify_by: Annotated[
        str | None, Meta(description="A column: of the items with each of its values, the same share is chosen.")
    ] = None
    seed: Annotated[int, Meta(description="Another seed chooses other items.")] = 0


def read_overlap(setting: Mapping[str, object] | None, units_per_assignment: int) -> Overlap | None:
    """Return the overlap that a configuration describes; None if it describes none.

    Args:
        setting: the setting.
        units_per_assignment: units for each of the other items.

    Raises:
        ConfigError: it makes no sense.
    """
    if setting is None:
        return None
    for name in setting:
        if name not in Overlap.__struct_fields__:
            raise ConfigError(f"{KEY} has no {name!r}", key=KEY, hint=did_you_mean(name, Overlap.__struct_fields__))
    try:
        overlap = msgspec.convert(setting, Overlap)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{KEY} cannot be used: {error}", key=KEY, hint="Write for instance {fraction: 0.2, count: 3}"
        ) from error
    if not 0 < overlap.fraction <= 1:
        raise ConfigError(f"{KEY}.fraction is {overlap.fraction:g}", key=KEY, hint="Write for instance 0.2 for a fifth")
    if overlap.count <= units_per_assignment:
        raise ConfigError(
            f"{KEY}.count is {overlap.count}, and every item gets {units_per_assignment} units anyway",
            key=KEY,
            hint="It must be more than mephisto.blueprint.units_per_assignment, or than stop_when.min",
        )
    return overlap


def chosen_items(overlap: Overlap, items: Sequence[Update]) -> frozenset[int]:
    """Return the places of the items that get more answers; always the same for the same items and seed.

    Args:
        overlap: the overlap.
        items: all items, in order.

    Raises:
        ConfigError: an item has no value in the column to stratify by.
    """
    strata: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        strata[_stratum(overlap, place, item)].append(place)
    rng = Random(f"overlap {overlap.seed}")
    chosen: set[int] = set()
    for _, places in sorted(strata.items()):
        chosen.update(rng.sample(places, round(overlap.fraction * len(places))))
    return frozenset(chosen)


def _stratum(overlap: Overlap, place: int, item: Update) -> str:
    if overlap.stratify_by is None:
        return ""
    if overlap.stratify_by not in item:
        raise ConfigError(
            f"{KEY}.stratify_by is {overlap.stratify_by!r}, which item {place + 1} does not have",
            key=KEY,
            hint=did_you_mean(overlap.stratify_by, item),
        )
    return msgspec.json.encode(item[overlap.stratify_by]).decode()
