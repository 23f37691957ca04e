"""Says how many units the items of a task get: all the same, a share of them more, or as many as their labels need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from omegaconf import DictConfig, ListConfig, OmegaConf

from ....core.abstractions.agent import Update
from ....core.abstractions.blueprint import PlannedUnits
from ....core.commands.labels import LabelPlan
from ....core.errors import ConfigError
from ..form_spec import AnyField, read_form
from .overlap import KEY as OVERLAP_KEY
from .overlap import Overlap, chosen_items, read_overlap
from .stop_rule import KEY as STOP_KEY
from .stop_rule import read_stop_rule


class UnitCounts(msgspec.Struct, frozen=True):
    """The numbers of units that a configuration gives to items."""

    #: Units that an item gets at first, if it is not among those with more.
    usual: int
    overlap: Overlap | None
    plan: LabelPlan | None

    def check(self) -> None:
        """Check that the items with more units do not get too many.

        Raises:
            ConfigError: they do.
        """
        if self.overlap is not None and self.plan is not None and self.overlap.count > self.plan.rule.most:
            raise ConfigError(
                f"{OVERLAP_KEY}.count is {self.overlap.count}, and {STOP_KEY}.max is {self.plan.rule.most}",
                key=OVERLAP_KEY,
                hint=f"Raise {STOP_KEY}.max, or lower the count",
            )

    def of(self, items: Sequence[Update]) -> list[int]:
        """Return the number of units that each item gets at first.

        Raises:
            ConfigError: an item has no value in the column to stratify by.
        """
        if self.overlap is None:
            return [self.usual] * len(items)
        chosen = chosen_items(self.overlap, items)
        return [self.overlap.count if place in chosen else self.usual for place in range(len(items))]

    def planned(self, items: int, counts: Sequence[int] | None = None) -> PlannedUnits:
        """Return the number of units that items get: at most, if they get as many as they need.

        Args:
            items: number of items.
            counts: units that each gets at first; None if that is the usual number.
        """
        first = items * self.usual if counts is None else sum(counts)
        if self.plan is None:
            return PlannedUnits(first, max(counts or (), default=self.usual))
        return PlannedUnits(items * self.plan.rule.most, self.plan.rule.most, first)


def read_unit_counts(blueprint: DictConfig) -> UnitCounts:
    """Return the numbers of units that a static task's settings give to items. Other settings are not looked at.

    Raises:
        ConfigError: they make no sense.
        InterpolationResolutionError: one of them refers to a setting that does not exist.
    """
    units = int(blueprint.units_per_assignment)
    plan = read_stop_rule(_plain(blueprint.stop_when), stock_form(blueprint), units)
    usual = units if plan is None else plan.rule.least
    return UnitCounts(usual, read_overlap(_plain(blueprint.overlap), usual), plan)


def stock_form(blueprint: DictConfig) -> list[AnyField]:
    """Return the fields of the stock page's form; none if the page is another, or has no form.

    Raises:
        ConfigError: a field is wrong.
        InterpolationResolutionError: one of the settings refers to one that does not exist.
    """
    fields = _plain(blueprint.form) if blueprint.task_source is None else None
    return [] if fields is None else read_form(fields, "mephisto.blueprint.form")


def _plain(setting: object) -> Any:
    """Return a setting as plain data, whose form the reader of each setting checks."""
    return OmegaConf.to_container(setting, resolve=True) if isinstance(setting, DictConfig | ListConfig) else setting


def check_units_per_assignment(units: int) -> None:
    """Check that there is at least one.

    Raises:
        ConfigError: there is none.
    """
    if units < 1:
        key = "mephisto.blueprint.units_per_assignment"
        raise ConfigError(f"{key} is {units}", key=key, hint="It must be 1 or more")
