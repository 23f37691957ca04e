"""Generates tables of settings, packets, columns, errors and texts that the code defines."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import get_args, get_type_hints

import msgspec

from mephisto_es.adapters.architects.router.python.settings import RouterSettings
from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.metrics.latencies import Latencies
from mephisto_es.adapters.metrics.operator_metrics import OperatorMetrics
from mephisto_es.core import errors, packets
from mephisto_es.core.abstractions.architect import Architect
from mephisto_es.core.abstractions.blueprint import Blueprint
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.operations.hydra_config import AbstractionType, MephistoConfig
from mephisto_es.core.operations.registry import (
    fill_registries,
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
)
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.projections.audit.report import FindingKind
from mephisto_es.projections.queries.unit_records import UnitRecord

from .sources import code, fields_of, first_line, table

_CLASS_OF: dict[AbstractionType, Callable[[str], type[Blueprint] | type[Architect] | type[CrowdProvider]]] = {
    AbstractionType.BLUEPRINT: get_blueprint_from_type,
    AbstractionType.ARCHITECT: get_architect_from_type,
    AbstractionType.PROVIDER: get_crowd_provider_from_type,
}


def run_settings() -> str:
    """Return the settings of a run, including those of each blueprint, architect and provider."""
    fill_registries()
    sections = ["### `mephisto`", _settings(MephistoConfig, "mephisto")]
    chosen_by_name = {kind.value for kind in _CLASS_OF}
    for part, settings in get_type_hints(MephistoConfig).items():
        if isinstance(settings, type) and dataclasses.is_dataclass(settings) and part not in chosen_by_name:
            sections += [f"### `mephisto.{part}`", _settings(settings, f"mephisto.{part}")]
    for kind, class_of in _CLASS_OF.items():
        for name in get_valid_types(kind):
            chosen = class_of(name)
            sections += [f"### `{kind.group}={name}`", first_line(chosen)]
            sections.append(_settings(chosen.ArgsClass, f"mephisto.{kind.value}"))
    return "\n\n".join(sections)


def _settings(args: type, prefix: str) -> str:
    rows = [
        (code(f"{prefix}.{field.name}"), _default(field), str(field.metadata["help"]))
        for field in dataclasses.fields(args)
        if "help" in field.metadata
    ]
    return table(("setting", "default", "meaning"), rows)


def _default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return code(repr(field.default_factory()))
    if field.default == "???":
        return "must be set"
    return "" if field.default is None else code(repr(field.default))


def router_settings() -> str:
    """Return the environment variables of a router."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(RouterSettings)}
    rows = [(code(names[one.name]), code(one.default), one.comment) for one in fields_of(RouterSettings)]
    return table(("variable", "default", "meaning"), rows)


def router_packets() -> str:
    """Return the packets of the operator's link, in both directions."""
    sections = []
    for title, union in (("router to operator", packets.Inbound), ("operator to router", packets.Outbound)):
        rows = [_packet(packet) for packet in get_args(union)]
        sections.append(f"**From {title}**\n\n{table(('`packet_type`', 'meaning', 'data'), rows)}")
    return "\n\n".join(sections)


def _packet(packet: type) -> tuple[str, str, str]:
    (data,) = (field for field in fields_of(packet) if field.name == "data")
    shape = getattr(packets, data.annotation, None)
    names = ", ".join(code(one.name) for one in fields_of(shape)) if shape else code(data.annotation)
    kept = " Kept until acknowledged." if issubclass(packet, packets.OutboxPacket) else ""
    return code(str(packet.__struct_config__.tag)), first_line(packet) + kept, names  # type: ignore[attr-defined]  # a Struct


def export_columns() -> str:
    """Return the columns of an export."""
    rows = [(code(one.name), code(one.annotation), one.comment) for one in fields_of(UnitRecord)]
    return table(("column", "type", "meaning"), rows)


def finding_kinds() -> str:
    """Return the kinds of findings of an audit."""
    rows = [(code(str(FindingKind[one.name].value)), one.comment) for one in fields_of(FindingKind)]
    return table(("kind", "meaning"), rows)


def refusal_texts() -> str:
    """Return the texts that workers see when they get no work."""
    return table(
        ("name in the log", "text on the page"), ((code(one.name), refusal_text(one)) for one in RefusalReason)
    )


def metrics() -> str:
    """Return the metrics that an operator exposes to Prometheus."""
    figures = OperatorMetrics()
    Latencies(figures.registry, SystemClock())
    families = sorted(figures.registry.collect(), key=lambda family: family.name)
    rows = [(code(one.name), one.type, one.documentation) for one in families if not one.name.startswith("process_")]
    return table(("name", "type", "meaning"), rows)


def error_tree() -> str:
    """Return the tree of errors."""
    return f"```text\n{inspect.cleandoc(str(errors.__doc__))}\n```"
