"""Registers blueprints, architects and crowd providers by name.

A class is registered in one of two ways: it is decorated with `register_mephisto_abstraction()` and its module is
imported, or an installed package names it in one of the entry point groups below. The plugins of this package use the
second way too, so core depends on no adapter. A plugin that does not load affects nothing else, and the reason is kept.

The class attribute `BLUEPRINT_TYPE`, `ARCHITECT_TYPE` or `PROVIDER_TYPE` gives the name of a class, and its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar, cast

import msgspec

from ..abstractions.architect import Architect
from ..abstractions.blueprint import Blueprint
from ..abstractions.crowd_provider import CrowdProvider
from ..abstractions.resources import HoldsResources
from ..errors import ConfigError
from ..suggestions import did_you_mean
from .configuration.closed_sites import closed_site_error, hint_for_missing
from .hydra_config import ARGS_BASES, AbstractionType, register_abstraction_config
from .logger_core import get_logger

ENTRY_POINT_GROUPS = {
    AbstractionType.BLUEPRINT: "mephisto_es.blueprints",
    AbstractionType.ARCHITECT: "mephisto_es.architects",
    AbstractionType.PROVIDER: "mephisto_es.providers",
}

AnyClass = TypeVar("AnyClass", bound=type)

logger = get_logger(__name__)


class LoadFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An installed plugin that could not be loaded."""

    abstraction_type: AbstractionType
    name: str
    #: Entry point, as `module:attribute`.
    target: str
    #: Package that the plugin comes from, if known.
    package: str | None
    reason: str


_classes: dict[AbstractionType, dict[str, type]] = {kind: {} for kind in AbstractionType}
_tried: set[EntryPoint] = set()
_failures: dict[EntryPoint, LoadFailure] = {}


def register_mephisto_abstraction() -> Callable[[AnyClass], AnyClass]:
    """Decorate a blueprint, architect or crowd provider to register it under its name.

    Its `ArgsClass` becomes an option of the Hydra group of its kind.

    Raises:
        ConfigError: raised by the decorator: the class has no kind, has no `ArgsClass` of its kind, or its name is
            already registered for another class.
    """

    def register(abstraction: AnyClass) -> AnyClass:
        _register(abstraction)
        return abstraction

    return register


def uses_mephisto(module: ModuleType) -> None:
    """Register all plugins that a module defines, decorated or not.

    Raises:
        ConfigError: as `register_mephisto_abstraction`.
    """
    for found in vars(module).values():
        if isinstance(found, type) and found.__module__ == module.__name__ and _kinds_of(found):
            _register(found)


def fill_registries() -> None:
    """Load every installed plugin that was not tried yet; failures are logged and kept in `load_failures`."""
    # Once for all groups: each call reads the metadata of all installed packages.
    installed = entry_points()
    for kind, group in ENTRY_POINT_GROUPS.items():
        for plugin in installed.select(group=group):
            if plugin not in _tried:
                _tried.add(plugin)
                _load(kind, plugin)


def load_failures() -> tuple[LoadFailure, ...]:
    """Return the installed plugins that could not be loaded, with the reasons."""
    return tuple(_failures.values())


def resource_holders() -> Iterator[type[HoldsResources]]:
    """Iterate over all architects and crowd providers."""
    fill_registries()
    for kind in (AbstractionType.ARCHITECT, AbstractionType.PROVIDER):
        for found in _classes[kind].values():
            if issubclass(found, HoldsResources):
                yield found


def get_blueprint_from_type(type_name: str) -> type[Blueprint]:
    """Return the blueprint with a name.

    Raises:
        ConfigError: there is none; the hint has the closest name.
    """
    return cast("type[Blueprint]", _named(AbstractionType.BLUEPRINT, type_name))


def get_architect_from_type(type_name: str) -> type[Architect]:
    """Return the architect with a name.

    Raises:
        ConfigError: there is none; the hint has the closest name.
    """
    return cast("type[Architect]", _named(AbstractionType.ARCHITECT, type_name))


def get_crowd_provider_from_type(type_name: str) -> type[CrowdProvider]:
    """Return the crowd provider with a name.

    Raises:
        ConfigError: there is none; the hint has the closest name.
    """
    return cast("type[CrowdProvider]", _named(AbstractionType.PROVIDER, type_name))


def get_valid_types(kind: AbstractionType) -> list[str]:
    """Return the names of all plugins of one kind, installed ones included."""
    fill_registries()
    return sorted(_classes[kind])


def get_valid_blueprint_types() -> list[str]:
    """Return the names of all blueprints."""
    return get_valid_types(AbstractionType.BLUEPRINT)


def get_valid_architect_types() -> list[str]:
    """Return the names of all architects."""
    return get_valid_types(AbstractionType.ARCHITECT)


def get_valid_provider_types() -> list[str]:
    """Return the names of all crowd providers."""
    return get_valid_types(AbstractionType.PROVIDER)


def type_of_args(kind: AbstractionType, args_class: object) -> str | None:
    """Return the name of the only plugin whose settings are of a class; None if there is none, or several.

    A class that all plugins of a kind share says nothing, even if only one of them has no class of its own.
    """
    if args_class in ARGS_BASES.values():
        return None
    fill_registries()
    names = [name for name, found in _classes[kind].items() if getattr(found, "ArgsClass", None) is args_class]
    return names[0] if len(names) == 1 else None


def unknown_type(kind: AbstractionType, type_name: str) -> ConfigError:
    """Return the error for a name that is not registered: not installed, misspelt, or failed to load."""
    for failure in load_failures():
        if failure.abstraction_type is kind and failure.name == type_name:
            return ConfigError(
                f"the {kind.value} {type_name!r} is installed but did not load: {failure.reason}",
                key=kind.group,
                hint=f"Repair or remove {failure.package or failure.target}",
            )
    if kind is AbstractionType.PROVIDER and (closed := closed_site_error(type_name)) is not None:
        return closed
    hint = hint_for_missing(kind, type_name) or did_you_mean(type_name, get_valid_types(kind))
    return ConfigError(f"there is no {kind.value} {type_name!r}", key=kind.group, hint=hint)


def _named(kind: AbstractionType, type_name: str) -> type:
    if type_name not in _classes[kind]:
        fill_registries()
    if type_name not in _classes[kind]:
        raise unknown_type(kind, type_name)
    return _classes[kind][type_name]


def _kinds_of(abstraction: type) -> list[AbstractionType]:
    return [kind for kind in AbstractionType if isinstance(getattr(abstraction, kind.class_attribute, None), str)]


def _register(abstraction: type) -> None:
    kinds = _kinds_of(abstraction)
    if len(kinds) != 1:
        attributes = ", ".join(kind.class_attribute for kind in AbstractionType)
        raise ConfigError(f"{_path(abstraction)} must have exactly one of the class attributes {attributes}")
    [kind] = kinds
    name: str = getattr(abstraction, kind.class_attribute)
    known = _classes[kind].get(name)
    if known is not None and _path(known) != _path(abstraction):
        raise ConfigError(
            f"{_path(abstraction)} has the name of another {kind.value}: {name!r} is {_path(known)}",
            key=kind.class_attribute,
            hint=f"Give it another {kind.class_attribute}",
        )
    register_abstraction_config(name, getattr(abstraction, "ArgsClass", None), kind.value)
    _classes[kind][name] = abstraction


def _load(kind: AbstractionType, plugin: EntryPoint) -> None:
    try:
        found = plugin.load()
        if found not in _classes[kind].values():
            _register(found)
    except Exception as error:  # noqa: BLE001 - a plugin is foreign code whose import may raise anything
        _failures[plugin] = LoadFailure(
            abstraction_type=kind,
            name=plugin.name,
            target=plugin.value,
            package=plugin.dist.name if plugin.dist else None,
            reason=f"{type(error).__name__}: {error}",
        )
        logger.warning("plugin did not load", kind=kind.value, plugin=plugin.name, reason=_failures[plugin].reason)


def _path(abstraction: type) -> str:
    return f"{abstraction.__module__}.{abstraction.__qualname__}"
