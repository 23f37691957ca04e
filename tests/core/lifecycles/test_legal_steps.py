"""The steps of all lifecycles, the fields that each changes, and the groups of statuses: those of `legal_steps.txt`.

A log that has a step must stay legal in later releases, so a line is added to the file and none is removed.
`python -m tests.core.lifecycles.test_legal_steps` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from mephisto_es.core.lifecycles.table import ABSENT
from mephisto_es.events.base import Event, kind_of

from .test_tables import KINDS, Kind

FILE = Path(__file__).with_name("legal_steps.txt")


def filled(shape: inspect.Type, number: int) -> Any:
    """A value of a type in which nothing is empty or as it is by default; other numbers give other values."""
    match shape:
        case inspect.IntType():
            return number
        case inspect.FloatType():
            return number + 0.5
        case inspect.BoolType():
            return number % 2 == 1
        case inspect.StrType():
            return f"text {number}"
        case inspect.AnyType():
            return number
        case inspect.EnumType(cls=cls):
            return list(cls)[-number % len(cls)].value
        case inspect.UnionType(types=types):
            return filled(next(one for one in types if not isinstance(one, inspect.NoneType)), number)
        case inspect.VarTupleType(item_type=item) | inspect.FrozenSetType(item_type=item):
            return [filled(item, number)]
        case inspect.TupleType(item_types=items):
            return tuple(filled(item, number) for item in items)
        case inspect.DictType(key_type=key, value_type=value):
            return {filled(key, number): filled(value, number)}
        case inspect.StructType(cls=cls, fields=fields, array_like=True):
            return [filled(field.type, number) for field in fields]
        case inspect.StructType(cls=cls, fields=fields):
            kind = {"kind": kind_of(cls)} if issubclass(cls, Event) else {}
            return kind | {field.encode_name: filled(field.type, number) for field in fields}
        case _:
            raise TypeError(shape)


def example(kind: type, number: int) -> Any:
    return msgspec.convert(filled(inspect.type_info(kind), number), kind, strict=False)


def changes(kind: Kind, source: Enum | None, event: type[Event]) -> str:
    """The fields that an event changes besides the status, numbers with their values."""
    happened = example(event, 1)
    if source is None:
        return "created"
    birth = next(row.event for row in kind.lifecycle.steps if None in row.sources)
    state_type = type(kind.evolve(None, example(birth, 1)))
    before = msgspec.structs.replace(example(state_type, 2), status=source)
    after = kind.evolve(before, happened)
    changed = [
        (name, getattr(before, name), getattr(after, name))
        for name in before.__struct_fields__
        if name != "status" and getattr(before, name) != getattr(after, name)
    ]
    texts = (f"{name} {old} to {new}" if isinstance(old, int) else name for name, old, new in changed)
    return ", ".join(texts) or "nothing"


def legal_steps() -> Iterator[str]:
    """Every step of every lifecycle, one a line."""
    for kind in KINDS.values():
        for row in kind.lifecycle.steps:
            for source in row.sources:
                status = ABSENT if source is None else source.value
                step = f"{kind.lifecycle.name}: {status} --{kind_of(row.event)}--> {row.target.value}"
                yield f"{step} ({changes(kind, source, row.event)})"


def status_groups() -> Iterator[str]:
    """The named groups of statuses, one a line."""
    for kind in KINDS.values():
        for name, value in vars(sys.modules[kind.evolve.__module__]).items():
            if name.isupper() and not name.startswith("_") and isinstance(value, tuple | frozenset):
                yield f"{name}: {', '.join(sorted(one.value if isinstance(one, Enum) else one for one in value))}"


def legal() -> list[str]:
    return [*sorted(legal_steps()), "", *sorted(set(status_groups()))]


def test_the_legal_steps_are_those_that_logs_may_have() -> None:
    assert legal() == FILE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in legal()), encoding="utf-8")
