"""Implements `mephisto-es schema`: print the JSON Schema of a configuration, an export, or the output of a verb."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click
import msgspec

from ...projections.mephisto_db.queries import JsonValue
from ..exports.columns import COLUMNS, Column, ColumnKind
from ..terminal import echo
from .common.output import print_json

CONFIG = "config"
EXPORT = "export"


class OutputShape(NamedTuple):
    """The type of a verb's output, without its code."""

    #: `module:class`, the module being one of the package.
    target: str
    #: Raised when a field is removed, renamed or means something else; a new field does not raise it.
    version: int = 1


#: What verbs print with `--json`, by the name of the verb.
SHAPES = {
    "blockers": OutputShape("projections.queries.runs.blockers:OpenReport"),
    "design": OutputShape("adapters.quality.design:Design"),
    "explain": OutputShape("projections.queries.history.explain:Explanation"),
    "preferences": OutputShape("adapters.exports.preferences:Preference"),
    "quality": OutputShape("projections.queries.quality.report:QualityReport", version=2),
    "rehearse": OutputShape("adapters.rehearsal.report:RehearsalReport"),
    "replay": OutputShape("projections.audit.report:ReplayReport"),
    "report": OutputShape("adapters.reports.run_report:ReportData"),
    "runs": OutputShape("projections.queries.runs.run_status:Runs"),
    "status": OutputShape("projections.queries.runs.run_status:RunStatus"),
    "timeline": OutputShape("adapters.cli.timeline:Timeline"),
}
_PACKAGE = __package__.rpartition(".adapters")[0]
_TYPES: dict[ColumnKind, dict[str, JsonValue]] = {
    ColumnKind.INTEGER: {"type": "integer"},
    ColumnKind.NUMBER: {"type": "number"},
    ColumnKind.BOOLEAN: {"type": "boolean"},
    ColumnKind.TEXT: {"type": "string"},
    ColumnKind.TIME: {"type": "string", "format": "date-time"},
    ColumnKind.INTEGERS: {"type": "array", "items": {"type": "integer"}},
    ColumnKind.TEXTS: {"type": "array", "items": {"type": "string"}},
    ColumnKind.JSON: {},
}


@click.command("schema")
@click.argument("name", type=click.Choice([CONFIG, EXPORT, *SHAPES]), required=False)
def schema_command(name: str | None) -> None:
    """Print the JSON Schema of NAME: config, export (one line of JSON Lines), or what a verb prints with --json.

    Without NAME, list what there is. The last part of a schema's $id is its version. New fields do not change it; a
    field that is removed, or means something else, does.

    \b
    Examples:
      mephisto-es schema config > config.schema.json
      mephisto-es schema quality
    """
    if name is None:
        for one in (CONFIG, EXPORT, *SHAPES):
            echo(one)
        return
    print_json(schema_of(name))


def schema_of(name: str) -> dict[str, object]:
    """Return a schema by its name: `config`, `export`, or a key of `SHAPES`."""
    if name == CONFIG:
        module = importlib.import_module("..starters.config_schema", __package__)
        return dict(module.config_schema())
    if name == EXPORT:
        return _titled(name, 1, _row_schema())
    shape = SHAPES[name]
    return _titled(name, shape.version, msgspec.json.schema(type_of(name)))


def type_of(name: str) -> type[msgspec.Struct]:
    """Return the type of what a verb prints with `--json`.

    Args:
        name: a key of `SHAPES`.
    """
    module, _, found = SHAPES[name].target.partition(":")
    kind = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), found)
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise TypeError(f"{found} is no struct")
    return kind


def _titled(name: str, version: int, schema: dict[str, object]) -> dict[str, object]:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:mephisto-es:json:{name}:{version}"}
    return {**head, **schema}


def _row_schema() -> dict[str, object]:
    return {
        "title": "UnitRecord",
        "type": "object",
        "properties": {column.name: _cell_schema(column) for column in COLUMNS},
        "required": [column.name for column in COLUMNS],
    }


def _cell_schema(column: Column) -> JsonValue:
    value = _TYPES[column.kind]
    return {"anyOf": [value, {"type": "null"}]} if column.nullable and value else {**value}
