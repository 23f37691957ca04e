"""Generates the page of what verbs print with `--json`: the fields of every object, with their types and meanings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import msgspec

from mephisto_es.adapters.cli.schema import ERROR, SHAPES, USER_CONFIG, schema_of, types_of

from .sources import code, fields_of, first_line, table

_TITLES = {ERROR: "Any verb that fails", USER_CONFIG: "config"}
_WORDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


def all_shapes() -> str:
    """Return a section for each verb, and one for each object or word that is part of what they print."""
    outer: list[type] = []
    sections = []
    for name in (ERROR, *(one for one in SHAPES if one != ERROR)):
        kinds = types_of(name)
        outer += kinds
        lines = " One object on each line." if SHAPES[name].is_lines else ""
        objects = "\n\nor\n\n".join(_object(kind, schema_of(name)) for kind in kinds)
        sections.append(f"## {_TITLES.get(name, name)}\n\n`{schema_of(name)['$id']}`.{lines}\n\n{objects}")
    parts = dict(sorted((kind.__name__, kind) for kind in _parts_of(outer)))
    _, components = msgspec.json.schema_components(parts.values(), ref_template="{name}")
    for kind in parts.values():
        about = _words_of(kind) if issubclass(kind, Enum) else _object(kind, {"$defs": components})
        sections.append(f"### {kind.__name__} {{#type-{kind.__name__.lower()}}}\n\n{about}")
    first = len(sections) - len(parts)
    return "\n\n".join([*sections[:first], "## Parts of these", *sections[first:]])


def _parts_of(kinds: Iterable[type]) -> set[type]:
    """Return the structs and enums that are somewhere within the given structs."""
    found: set[type] = set()
    waiting: list[object] = [
        field.type
        for info in msgspec.inspect.multi_type_info(kinds)
        if isinstance(info, msgspec.inspect.StructType)
        for field in info.fields
    ]
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields) if cls not in found:
                found.add(cls)
                waiting += [field.type for field in fields]
            case msgspec.inspect.EnumType(cls=cls):
                found.add(cls)
            case msgspec.inspect.StructType():
                pass
            case msgspec.Struct() as other:
                for value in msgspec.structs.asdict(other).values():
                    waiting += value if isinstance(value, tuple) else [value]
    return found


def _object(kind: type, schema: Mapping[str, Any]) -> str:
    """Return the description and the fields of a struct."""
    shape = schema["$defs"][kind.__name__]
    comments = {field.name: field.comment for each in reversed(_structs(kind)) for field in fields_of(each)}
    rows = [
        (
            code(name) + ("" if name in shape.get("required", ()) else " (may be left out)"),
            _type(one),
            comments.get(name, ""),
        )
        for name, one in shape["properties"].items()
    ]
    return f"{first_line(kind)}\n\n{table(('field', 'type', 'meaning'), rows)}"


def _structs(kind: type) -> list[type]:
    """Return a struct and those it extends."""
    return [each for each in kind.__mro__ if issubclass(each, msgspec.Struct) and each is not msgspec.Struct]


def _words_of(kind: type[Enum]) -> str:
    comments = {field.name: field.comment for field in fields_of(kind)}
    rows = [(code(str(member.value)), comments.get(member.name, "")) for member in kind]
    return f"{first_line(kind)}\n\n{table(('word', 'meaning'), rows)}"


def _type(schema: Mapping[str, Any]) -> str:
    """Return a type in words, with links to objects."""
    match schema:
        case {"$ref": str() as ref}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#type-{name.lower()})"
        case {"anyOf": members}:
            return " or ".join(map(_type, members))
        case {"type": "array", "prefixItems": members}:
            return f"list of {', '.join(map(_type, members))}"
        case {"type": "array", "items": dict() as items}:
            return f"list of {_type(items)}"
        case {"type": "array"}:
            return "list"
        case {"type": "object", "additionalProperties": dict() as values} if values:
            return f"object whose values are {_type(values)}"
        case {"type": "object"}:
            return "object"
        case {"type": str() as word}:
            return _WORDS[word]
        case _:
            return "any"
