"""Hypothesis strategies for msgspec types: any value that the type allows."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.codec import KIND_OF
from mephisto_es.events.envelope import Envelope

#: What JSON readers of every language agree on.
_INTEGERS = st.integers(-(2**63), 2**63 - 1)


def shaped(wanted: object, integers: st.SearchStrategy[int] = _INTEGERS) -> st.SearchStrategy[Any]:
    """Any value of a type, also such as make no sense; its integers may be chosen."""
    return _of(inspect.type_info(wanted), integers)


def events(kind: type[AnyEvent]) -> st.SearchStrategy[AnyEvent]:
    """Any event of a kind."""
    return shaped(kind)


def envelopes(kind: type[AnyEvent]) -> st.SearchStrategy[Envelope]:
    """Any envelope around an event of a kind."""
    fields = {field.name: shaped(field.type) for field in msgspec.structs.fields(Envelope) if field.name != "event"}
    return st.builds(Envelope, **fields, event=events(kind))


every_event = st.sampled_from(sorted(KIND_OF, key=KIND_OF.__getitem__)).flatmap(events)


def _of(shape: inspect.Type, integers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    match shape:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return integers
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.StrType():
            return st.text()
        case inspect.UnionType(types=types):
            return st.one_of(*(_of(one, integers) for one in types))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key, integers), _of(value, integers), max_size=3)
        case inspect.VarTupleType(item_type=item):
            return st.lists(_of(item, integers), max_size=3).map(tuple)
        case inspect.BytesType():
            return st.binary(max_size=20)
        case inspect.EnumType(cls=enum):
            return st.sampled_from(enum)
        case inspect.NamedTupleType(cls=cls, fields=fields) | inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _of(field.type, integers) for field in fields})
        case _:
            raise TypeError(f"no strategy for {shape}")
