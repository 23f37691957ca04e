"""Implements `mephisto-es plugins`: list what is installed, and why something does not load."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.operations.hydra_config import AbstractionType
from ...core.operations.registry import (
    ENTRY_POINT_GROUPS,
    LoadFailure,
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
    load_failures,
)
from ..terminal import echo
from .common.output import ILLEGAL, as_json_option, console, print_json

_GETTERS = {
    AbstractionType.BLUEPRINT: get_blueprint_from_type,
    AbstractionType.ARCHITECT: get_architect_from_type,
    AbstractionType.PROVIDER: get_crowd_provider_from_type,
}


class Plugin(msgspec.Struct, frozen=True):
    """A blueprint, architect or crowd provider."""

    abstraction_type: str
    name: str
    #: The class, as `module:class`.
    target: str
    #: The distribution that provides it; None if its module registered it.
    package: str | None


class PluginList(msgspec.Struct, frozen=True):
    """Everything that is installed."""

    plugins: list[Plugin]
    failures: list[LoadFailure]


@click.command("plugins")
@as_json_option
def plugins_command(as_json: bool) -> None:
    """List the installed blueprints, architects and crowd providers, and why one does not load.

    Exit code 0: all of them load. 1: at least one does not.

    \b
    Example:
      mephisto-es plugins
    """
    found = installed()
    if as_json:
        print_json(found)
    else:
        console().print(_table(found.plugins))
        for failure in found.failures:
            where = failure.package or failure.target
            echo(
                f"{failure.abstraction_type.value} {failure.name!r} of {where} does not load: {failure.reason}",
                err=True,
            )
    sys.exit(ILLEGAL if found.failures else 0)


def installed() -> PluginList:
    """Return everything that is installed, by kind and name."""
    plugins = [
        Plugin(kind.value, name, f"{found.__module__}:{found.__qualname__}", _package(kind, name))
        for kind in AbstractionType
        for name in get_valid_types(kind)
        for found in (_GETTERS[kind](name),)
    ]
    return PluginList(plugins, list(load_failures()))


def _package(kind: AbstractionType, name: str) -> str | None:
    for plugin in entry_points(group=ENTRY_POINT_GROUPS[kind], name=name):
        if plugin.dist is not None:
            return plugin.dist.name
    return None


def _table(plugins: list[Plugin]) -> Table:
    table = Table("kind", "name", "class", "package", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for plugin in plugins:
        table.add_row(plugin.abstraction_type, escape(plugin.name), escape(plugin.target), plugin.package or "")
    return table
