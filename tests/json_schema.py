"""Checks JSON values against JSON Schemas, as far as msgspec writes them; any other keyword is an error of the test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mephisto_es.adapters.cli.schema import SHAPES, schema_of

#: Keywords that describe, and constrain nothing.
_ABOUT = frozenset({"$schema", "$id", "$defs", "title", "description", "default", "format", "contentEncoding"})
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def assert_fits(name: str, printed: str) -> Any:
    """Assert that what a verb printed with `--json` is what its schema says; return the value, of lines the last one.

    Args:
        name: the verb, as `SHAPES` has it.
        printed: its standard output.
    """
    schema = json.loads(json.dumps(schema_of(name)))
    lines = printed.splitlines() if SHAPES[name].is_lines else [printed]
    assert lines
    for line in lines:
        value = json.loads(line)
        if wrong := list(problems(value, schema, schema, name)):
            raise AssertionError("; ".join(wrong))
    return value


def problems(value: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    """Yield why a value is not what a schema says."""
    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                yield from problems(value, root["$defs"][wanted.rpartition("/")[2]], root, where)
            case "anyOf":
                found = [list(problems(value, one, root, where)) for one in wanted]
                if all(found):
                    yield min(found, key=len)[0]
            case "type":
                if not isinstance(value, _TYPES[wanted]) or (
                    isinstance(value, bool) and wanted in ("integer", "number")
                ):
                    yield f"{where}: {value!r} is not of type {wanted}"
            case "enum":
                if value not in wanted:
                    yield f"{where}: {value!r} is none of {wanted}"
            case "const":
                if value != wanted:
                    yield f"{where}: {value!r} is not {wanted!r}"
            case "properties":
                yield from _fields(value, schema, root, where)
            case "additionalProperties":
                if isinstance(wanted, dict) and isinstance(value, dict) and "properties" not in schema:
                    for key, part in value.items():
                        yield from problems(part, wanted, root, f"{where}.{key}")
            case "items":
                if isinstance(wanted, dict):
                    for number, part in enumerate(value if isinstance(value, list) else []):
                        yield from problems(part, wanted, root, f"{where}[{number}]")
            case "prefixItems":
                for number, (part, one) in enumerate(zip(value, wanted, strict=True)):
                    yield from problems(part, one, root, f"{where}[{number}]")
            case "required" | "minItems" | "maxItems" | "propertyNames":
                pass  # with `properties` and `prefixItems`
            case _ if keyword not in _ABOUT:
                raise AssertionError(f"{keyword} is not checked")


def _fields(value: Any, schema: Any, root: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    known = schema["properties"]
    yield from (f"{where}.{key} is missing" for key in schema.get("required", ()) if key not in value)
    for key, part in value.items():
        if key in known:
            yield from problems(part, known[key], root, f"{where}.{key}")
        else:
            yield f"{where}.{key} is not in the schema"
