"""Implements `mephisto-es wut`: show the settings of a blueprint, an architect, a provider, or any run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from enum import Enum
from typing import Any

import click
import msgspec
from omegaconf import MISSING
from rich.markup import escape

from ...core.operations.hydra_config import AbstractionType, TaskRunArgs
from ...core.operations.registry import (
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
)
from ...core.suggestions import did_you_mean
from ..terminal import echo
from .common.output import as_json_option, console, facts, print_json

_TASK, _REQUESTER = "task", "requester"
_CLASSES: dict[str, Callable[[str], Any]] = {
    # These classes have only `ArgsClass` in common.
    AbstractionType.BLUEPRINT.value: get_blueprint_from_type,
    AbstractionType.ARCHITECT.value: get_architect_from_type,
    AbstractionType.PROVIDER.value: get_crowd_provider_from_type,
    _REQUESTER: get_crowd_provider_from_type,
}


class Setting(msgspec.Struct, frozen=True):
    """One setting."""

    #: The name on a launch script's command line.
    name: str
    about: str
    #: The default value; None if the setting is `needed`.
    default: Any
    needed: bool


class SettingList(msgspec.Struct, frozen=True):
    """The settings of one thing."""

    of: str
    settings: list[Setting]


@click.command("wut")
@click.argument("what", metavar="task|KIND[=NAME]")
@click.argument("names", nargs=-1, metavar="[SETTING]...")
@as_json_option
def wut_command(what: str, names: tuple[str, ...], as_json: bool) -> None:
    """Show the settings of every run (`task`), or of one blueprint, architect, provider or requester.

    KIND without a name lists the names of that kind.

    \b
    Examples:
      mephisto-es wut task
      mephisto-es wut blueprint=static_task
      mephisto-es wut architect=local port
    """
    kind, equals, name = what.partition("=")
    if kind != _TASK and kind not in _CLASSES:
        raise click.UsageError(f"There is no {kind!r}. {did_you_mean(kind, [_TASK, *_CLASSES])}.")
    if kind != _TASK and not equals:
        echo("\n".join(get_valid_types(_kind_of(kind))))
        return
    found = SettingList(what, _settings(kind, name))
    if names:
        known = {setting.name.rpartition(".")[2]: setting for setting in found.settings}
        for wanted in names:
            if wanted not in known:
                raise click.UsageError(f"{what} has no setting {wanted!r}. {did_you_mean(wanted, known)}.")
        found = SettingList(what, [known[wanted] for wanted in names])
    if as_json:
        print_json(found)
        return
    table = facts()
    for setting in found.settings:
        default = "must be set" if setting.needed else f"default: {setting.default!r}"
        table.add_row(setting.name, f"{escape(setting.about)} [dim]{escape(default)}[/]")
    console().print(table)


def _kind_of(kind: str) -> AbstractionType:
    return AbstractionType.PROVIDER if kind == _REQUESTER else AbstractionType(kind)


def _settings(kind: str, name: str) -> list[Setting]:
    if kind == _TASK:
        return [_setting(field, "mephisto.task.") for field in fields(TaskRunArgs)]
    found = _CLASSES[kind](name)
    if kind == _REQUESTER:
        return [_setting(field, "") for field in fields(found.RequesterArgsClass)]
    # A field that begins with an underscore is set by choosing the class.
    return [_setting(field, f"mephisto.{kind}.") for field in fields(found.ArgsClass) if field.name[0] != "_"]


def _setting(field: Field[Any], prefix: str) -> Setting:
    needed = field.default == MISSING
    default = field.default_factory() if callable(field.default_factory) else field.default
    if isinstance(default, Enum):
        default = default.name  # as configurations have it
    return Setting(f"{prefix}{field.name}", field.metadata.get("help", ""), None if needed else default, needed)
