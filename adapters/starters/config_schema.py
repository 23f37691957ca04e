"""Describes the configuration files of launch scripts as a JSON Schema, by which editors complete and check them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from ...core.abstractions.architect import Architect
from ...core.abstractions.blueprint import Blueprint
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.operations.hydra_config import AbstractionType, MephistoConfig
from ...core.operations.registry import (
    fill_registries,
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
)
from ...projections.mephisto_db.queries import JsonValue
from ..blueprints.form_spec import AnyField
from ..blueprints.items.overlap import Overlap
from ..blueprints.items.stop_rule import StopWhen

SCHEMA_ID = "urn:mephisto-es:config:1"
_Schema = dict[str, JsonValue]
_CLASS_OF: dict[AbstractionType, Callable[[str], type[Blueprint] | type[Architect] | type[CrowdProvider]]] = {
    AbstractionType.BLUEPRINT: get_blueprint_from_type,
    AbstractionType.ARCHITECT: get_architect_from_type,
    AbstractionType.PROVIDER: get_crowd_provider_from_type,
}
#: YAML reads `0.30` as a number and `yes` as a boolean; both are fine where a text is wanted.
_TYPES: dict[object, JsonValue] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: ["string", "number", "boolean"],
}
#: A reference to another setting, which is allowed in place of any value.
_REFERENCE: _Schema = {"type": "string", "pattern": r"\$\{.*\}"}
_DEFINITIONS = "#/$defs/"
#: The types of settings whose values have a form of their own.
_FORMS: dict[str, object] = {"form": list[AnyField], "stop_when": StopWhen, "overlap": Overlap}


def config_schema() -> _Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration file, with the settings of all installed plugins."""
    fill_registries()
    sections: _Schema = {}
    for part, hint in get_type_hints(MephistoConfig).items():
        if part in {kind.value for kind in _CLASS_OF}:
            sections[part] = _plugins(AbstractionType(part))
        elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
            sections[part] = _section(_settings(hint))
    sections |= {name: one for name, one in _settings(MephistoConfig).items() if name not in sections}
    forms, definitions = msgspec.json.schema_components(_FORMS.values(), ref_template=f"{_DEFINITIONS}{{name}}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Configuration of a launch script of mephisto-es",
        "type": "object",
        "properties": {
            "defaults": {"type": "array", "items": _choices(), "description": "Plugins and files to start from."},
            "mephisto": _section(sections),
        },
        "$defs": {**cast(_Schema, definitions), **dict(zip(_FORMS, cast(list[JsonValue], forms), strict=True))},
    }


def _choices() -> JsonValue:
    """Return the schema of an entry of `defaults`: a plugin, `_self_`, or another file."""
    groups: _Schema = {
        f"/{kind.group}": {"enum": list(get_valid_types(kind)), "description": f"The {kind.value}."}
        for kind in _CLASS_OF
    }
    return {"anyOf": [{"type": "string"}, {"type": "object", "properties": groups}]}


def _plugins(kind: AbstractionType) -> _Schema:
    """Return the settings of all plugins of a kind: which of them is chosen stands in `defaults`."""
    merged: _Schema = {}
    for name in get_valid_types(kind):
        for setting, schema in _settings(_CLASS_OF[kind](name).ArgsClass).items():
            merged.setdefault(setting, schema)
    # Plugins of a script are not known here.
    return _section(merged) | {"additionalProperties": True}


def _section(settings: _Schema) -> _Schema:
    return {"type": "object", "properties": settings, "additionalProperties": False}


def _settings(args: type) -> _Schema:
    """Return the schema of each setting of a dataclass that has a help text."""
    hints = get_type_hints(args)
    return {
        field.name: _setting(field, hints[field.name]) for field in dataclasses.fields(args) if "help" in field.metadata
    }


def _setting(field: dataclasses.Field[Any], hint: object) -> _Schema:
    members = [member for member in get_args(hint) if member is not NoneType] if _is_union(hint) else [hint]
    values: list[JsonValue] = (
        [{"$ref": f"{_DEFINITIONS}{field.name}"}] if field.name in _FORMS else [*map(_value, members)]
    )
    # A default of None means that the setting may be missing, and everything may be a reference.
    schema: _Schema = {"anyOf": [*values, {"type": "null"}, _REFERENCE], "description": str(field.metadata["help"])}
    default = field.default
    if isinstance(default, bool | int | float | str) and default != "???":
        schema["default"] = default
    return schema


def _value(hint: object) -> JsonValue:
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    match get_origin(hint) or hint:
        case kind if kind is list:
            return {"type": "array"}
        case kind if kind is dict:
            return {"type": "object"}
        case _:
            return {}


def _is_union(hint: object) -> bool:
    return get_origin(hint) in (Union, UnionType)
