"""Turns errors of Hydra and OmegaConf into one sentence: which setting, where it is, what it should be.

The values of settings with a secret's name are not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    ValidationError,
)

from ...errors import ConfigError
from ...redaction import REDACTED, looks_secret
from ...suggestions import did_you_mean, nearest
from ..hydra_config import AbstractionType, TaskConfig
from ..registry import unknown_type

#: Errors that composing a configuration from files and overrides can raise.
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError)

_BASE_CONFIG = OmegaConf.structured(TaskConfig)
_GROUPS = tuple(kind.group for kind in AbstractionType)
_TYPE_NAMES: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    NoneType: "null",
}
#: The remedy for settings of a class that are merged after those of the plugins that the defaults list chooses.
_SELF_FIRST = 'Put "_self_" first in the defaults list: defaults = ["_self_", {"mephisto/blueprint": ...}, ...]'
#: Remedies for errors of Hydra that have none.
_HINTS = (
    (
        r"Could not override '([^']+)'\. No match",
        "Add '- /{key}: NAME' to the file's defaults list, or write +{key}=NAME",
    ),
    (r"(\S+) appears more than once in the final defaults list", "Write {key}=NAME without a +, or remove a line"),
    (r"Multiple values for (\S+)\.", "Write {key}=NAME without a +, or remove a line"),
    (r"Ambiguous value for argument '([^']+)'", "Write a list as {key}=[a,b] and a text as {key}='\"a,b\"'"),
)


def explained(error: Exception, config_dir: Path = Path()) -> ConfigError:
    """Return the error to show for one of `COMPOSITION_ERRORS`.

    Args:
        error: the error of Hydra or OmegaConf.
        config_dir: the folder of configuration files, if there is one, to name the faulty file.
    """
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    match error:
        case MissingConfigException():
            return _no_such_option(error)
        case OverrideParseException():
            key = error.override.partition("=")[0]
            return ConfigError(
                f"on the command line: {key!r} is not followed by =value, or the value needs quotes",
                key=key,
                hint=f"Write {key}=value, or '{key}=\"a value, with punctuation\"'",
            )
        case yaml.MarkedYAMLError() if error.problem_mark:
            mark = error.problem_mark
            return ConfigError(f"{mark.name}, line {mark.line + 1} is not YAML: {error.problem}", key=mark.name)
        case UnicodeDecodeError():
            return ConfigError(f"a file in {config_dir} is not UTF-8 text", key=str(config_dir))
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return _wrong_setting(cause, _place(error, config_dir))
    message = _first_line(error)
    for pattern, hint in _HINTS:
        if found := re.search(pattern, message):
            return ConfigError(message.rstrip("."), key=found[1], hint=hint.format(key=found[1]))
    if message.endswith(":") and isinstance(cause, Exception):
        message = f"{message} {_without_value(_first_line(cause))}"
    remedy = _SELF_FIRST if re.search(r"\b\w+Args is not a subclass of \w+Args", message) else None
    return ConfigError(f"the configuration cannot be composed: {message}", hint=remedy)


def _without_value(message: str) -> str:
    """Return a message of OmegaConf without the value that it quotes, which may be a secret."""
    return re.sub(r"[.,]? value: .*", "", message)


def unknown_setting(full_key: str, owner: object, place: str = "", name: str | None = None) -> ConfigError:
    """Return the error for an unknown setting.

    Args:
        full_key: the setting.
        owner: the args class that lacks it.
        place: the place where it was written, ending in a colon and a space.
        name: the part of the key that the args class lacks, which may have dots; by default what follows the last dot.
    """
    if "/" in full_key:
        hint = did_you_mean(full_key, [*_GROUPS, "conf"])
        return ConfigError(f"{place}there is no group {full_key!r}", key=full_key, hint=hint)
    if full_key == "conf":
        return ConfigError(
            f"{place}the settings are in the wrong place",
            key=full_key,
            hint="The first line of the file must be: #@package _global_",
        )
    if owner is dict:
        hint = f"The setting before the dot is a mapping; the command line adds a key with a plus: +{full_key}=..."
        return ConfigError(f"{place}{full_key!r} is not set yet", key=full_key, hint=hint)
    leaf = full_key.rpartition(".")[2] if name is None else name
    parent = full_key.removesuffix(leaf).removesuffix(".")
    names = [known.name for known in fields(owner)] if isinstance(owner, type) and is_dataclass(owner) else []
    siblings = [f"{parent}.{name}" if parent else name for name in names if _is_public(name)]
    near = _nearest_key(leaf, [*_settings_within(OmegaConf.to_container(_BASE_CONFIG), ""), *siblings])
    return ConfigError(
        f"{place}there is no setting {full_key!r}",
        key=full_key,
        hint=f"Did you mean {near!r}?" if near else did_you_mean(full_key, siblings),
    )


def _settings_within(config: object, prefix: str) -> Iterator[str]:
    if isinstance(config, dict):
        for name, value in config.items():
            if _is_public(name):
                yield f"{prefix}{name}"
                yield from _settings_within(value, f"{prefix}{name}.")


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name != "defaults"


def _nearest_key(leaf: str, known: Iterable[str]) -> str | None:
    """Return the setting whose last part is closest to a name; the last of several."""
    by_leaf = {key.rpartition(".")[2]: key for key in known}
    near = nearest(leaf, by_leaf)
    return None if near is None else by_leaf[near]


def _no_such_option(error: MissingConfigException) -> ConfigError:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    for kind in AbstractionType:
        if group == kind.group:
            return unknown_type(kind, name)
    hint = did_you_mean(name, error.options) if error.options else did_you_mean(group, _GROUPS)
    return ConfigError(f"there is no {name!r} in the group {group!r}", key=group, hint=hint)


def _wrong_setting(error: OmegaConfBaseException, place: str) -> ConfigError:
    key = str(error.full_key)
    owner = error.object_type
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        name = str(error.key) if key.endswith(f".{error.key}") else None
        return unknown_setting(key, owner, place, name)
    if isinstance(error, InterpolationResolutionError):
        missing = re.sub(r"^\w+ (raised )?while resolving interpolation: ", "", _first_line(error))
        return ConfigError(f"{place}{key} refers to something that does not exist: {missing}", key=key)
    group = key.replace(".", "/")
    if group in _GROUPS:
        return ConfigError(
            f"{place}{key} is a group of settings and takes no value", key=key, hint=f"Choose one with {group}=NAME"
        )
    name = key.rpartition(".")[2]
    hints = get_type_hints(owner) if isinstance(owner, type) and is_dataclass(owner) else {}
    if isinstance(error, ValidationError) and name in hints:
        value = "null" if error.value is None else REDACTED if looks_secret(name) else repr(error.value)
        return ConfigError(f"{place}{key} is {value}, which is not {_described(hints[name])}", key=key)
    return ConfigError(f"{place}{key}: {_first_line(error)}", key=key)


def _described(hint: object) -> str:
    """Describe a type."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_described(choice) for choice in get_args(hint))
    name = _TYPE_NAMES.get(get_origin(hint) or hint)
    return name or ("a group of settings" if is_dataclass(hint) else str(hint))


def _place(error: Exception, config_dir: Path) -> str:
    """Return the place where a setting was written, as far as Hydra names it."""
    text = str(error)
    in_file = re.match(r"In '([^']+)'", text)
    if in_file:
        return f"in {config_dir / in_file[1]}.yaml: "
    return "on the command line: " if "overrid" in text.partition("\n")[0] else ""


def _first_line(error: Exception) -> str:
    """Return the first line of a message, without the values of overrides that it quotes."""
    return re.sub(r"'([^'=\s]+)=[^']*'", r"'\1'", str(error).partition("\n")[0])
