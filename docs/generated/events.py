"""Generates the catalogue of events: the meaning, the step and the fields of each."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import get_args

from mephisto_es.events.base import FileRef, PayloadRef
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.envelope import Envelope

from .lifecycles import steps_by_event
from .sources import code, fields_of, first_line, table

_HEAD = ("field", "type", "meaning")


def event_catalogue() -> str:
    """Return the envelope, the structs that events refer to, and a section for each module of events."""
    steps = steps_by_event()
    sections = ["## The envelope of each event", first_line(Envelope), _fields(Envelope)]
    for shared in (PayloadRef, FileRef):
        sections += [f"### `{shared.__name__}`", first_line(shared), _fields(shared)]
    for module, events in groupby(get_args(AnyEvent), key=lambda event: str(event.__module__)):
        sections += [f"## {_title(module)}", str(sys.modules[module].__doc__)]
        for event in events:
            sections += _event(event, steps.get(KIND_OF[event], []))
    return "\n\n".join(sections)


def _event(event: type, steps: list[str]) -> list[str]:
    kind = KIND_OF[event]
    step = f" Step: {', '.join(code(step) for step in steps)}." if steps else ""
    return [f"### `{kind}` {{: #{kind} }}", f"{first_line(event)}{step}", _fields(event)]


def _fields(struct: type) -> str:
    fields = fields_of(struct)
    if not fields:
        return ""
    return table(_HEAD, ((code(one.name), code(_type(one.annotation, one.default)), one.comment) for one in fields))


def _type(annotation: str, default: str) -> str:
    return f"{annotation} = {default}" if default else annotation


def _title(module: str) -> str:
    name = module.rpartition(".")[2].replace("_", " ")
    return name[0].upper() + name[1:]
