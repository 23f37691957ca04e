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


#: What the verb `config` prints: your own settings. `config` is the schema of a run's configuration.
USER_CONFIG = "user-config"
#: What any verb prints with `--json` if it fails.
ERROR = "error"


class OutputShape(NamedTuple):
    """The types of a verb's output, without their code."""

    #: Each as `module:class`, the module being one of the package; the output is one of them, by the options.
    targets: tuple[str, ...]
    #: Raised when a field is removed, renamed or means something else; a new field does not raise it.
    version: int = 1
    #: Whether it prints one object on each line, until it ends.
    is_lines: bool = False


def _of(*targets: str, version: int = 1, is_lines: bool = False) -> OutputShape:
    return OutputShape(targets, version, is_lines)


#: What verbs print with `--json`, by the name of the verb. A verb with that option has an entry.
SHAPES = {
    "adjudicate": _of(
        "adapters.cli.adjudicate:Disagreements",
        "adapters.cli.adjudicate:AnswersAboutItem",
        "adapters.cli.adjudicate:ItemDecisions",
        "adapters.cli.adjudicate:FileDecisions",
    ),
    "backup": _of("projections.audit.report:ReplayReport"),
    "blockers": _of("projections.queries.runs.blockers:OpenReport"),
    "bundle": _of("adapters.diagnostics.bug_report:Manifest"),
    "check": _of("adapters.cli.check:CheckReport"),
    "check-config": _of("adapters.cli.check_config:FileReports"),
    "demo": _of("adapters.crowd.demo_run:DemoRun", "adapters.crowd.site_demo:SiteDemo"),
    "design": _of("adapters.quality.design:Design"),
    "diff": _of("adapters.cli.diff:LogDiff"),
    "doctor": _of("adapters.log.audit.salvage:SalvageReport"),
    "erase": _of("core.operations.control.requests:ErasureReport"),
    ERROR: _of("adapters.cli.main:ErrorOutput"),
    "explain": _of("projections.queries.history.explain:Explanation"),
    "files": _of("adapters.cli.files:UploadList"),
    "import-mephisto": _of("adapters.mephisto_import.importing:ImportReport"),
    "ledger": _of("adapters.cli.ledger:LedgerReport"),
    "log copy": _of("adapters.cli.log:CopyReport"),
    "log update": _of("adapters.cli.log:CopyHead"),
    "operators": _of("adapters.cli.operators:RunOperators"),
    "pay": _of("adapters.cli.pay:PayReport"),
    "plugins": _of("adapters.cli.plugins:PluginList"),
    "preferences": _of("adapters.exports.preferences:Preference", is_lines=True),
    "projections": _of("adapters.cli.projections:ViewList", "adapters.cli.projections:RebuildList"),
    "projects": _of("adapters.cli.projects:ProjectList"),
    "prove": _of("adapters.cli.prove:ProveReport"),
    "quality": _of("projections.queries.quality.report:QualityReport"),
    "reconcile": _of("adapters.cli.reconcile:RunRound"),
    "rehearse": _of("adapters.rehearsal.report:RehearsalReport"),
    "replay": _of("projections.audit.report:ReplayReport", "adapters.cli.replay:BundleReplay"),
    "report": _of("adapters.reports.run_report:ReportData"),
    "requesters": _of("adapters.cli.requesters:RequesterList"),
    "resources list": _of("adapters.cli.resources:RunResources"),
    "restore": _of("adapters.log.audit.restore:RestoreReport"),
    "review": _of(
        "adapters.cli.common.review_lists:UnreviewedWork",
        "adapters.cli.common.review_lists:UnacceptedLateWork",
        "adapters.cli.common.review_lists:UnansweredAppeals",
    ),
    "router check": _of("adapters.architects.router.handshake:RouterFigures"),
    "runs": _of("projections.queries.runs.run_status:Runs"),
    "seal": _of("adapters.cli.seal:SealReport"),
    "show": _of("adapters.cli.show:TableRows"),
    "status": _of("projections.queries.runs.run_status:RunStatus"),
    "tail": _of("adapters.cli.tail:EventLine", is_lines=True),
    "timeline": _of("adapters.cli.timeline:Timeline"),
    "top": _of("projections.queries.runs.run_status:RunStatus", is_lines=True),
    "torture": _of("adapters.cli.torture:TortureReport"),
    USER_CONFIG: _of("adapters.cli.config:ConfigFile", "adapters.cli.config:ConfigValue"),
    "verify": _of(
        "adapters.cli.verify:LogReport", "adapters.cli.verify:ProofReport", "adapters.cli.verify:ComparisonReport"
    ),
    "wut": _of("adapters.cli.wut:SettingList"),
}
_REFERENCE = "#/$defs/{name}"
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
    schemas, components = msgspec.json.schema_components(types_of(name), ref_template=_REFERENCE)
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    return _titled(name, shape.version, {**schema, "$defs": components})


def types_of(name: str) -> list[type[msgspec.Struct]]:
    """Return the types of what a verb prints with `--json`.

    Args:
        name: a key of `SHAPES`.
    """
    found = []
    for target in SHAPES[name].targets:
        module, _, kind = target.partition(":")
        found.append(getattr(importlib.import_module(f"{_PACKAGE}.{module}"), kind))
    return found


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
