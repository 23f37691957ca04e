"""Choices and made-up values for random histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import cache
from random import Random

import msgspec

from mephisto_es.core.lifecycles.table import Lifecycle, S
from mephisto_es.core.payloads import seal
from mephisto_es.core.ports import Payload
from mephisto_es.events import ids
from mephisto_es.events.base import Event, PayloadRef
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.codec import KIND_OF

#: A choice falls mostly on one of the latest entities, with which something can still happen.
RECENT = 6


#: Each call would evaluate the annotations again.
_fields_of = cache(msgspec.structs.fields)
_info_of = cache(msgspec.inspect.type_info)


class RandomValues:
    """Makes choices, and up values, from one source of chance."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._serial = 0
        self._payloads: list[Payload] = []
        self._streams: defaultdict[str, list[str]] = defaultdict(list)

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _pick(self, category: str) -> str:
        known = self._streams[category]
        return self._random.choice(known if self._seldom() else known[-RECENT:])

    def _id(self, category: str) -> int:
        return int(self._pick(category).rpartition("/")[2])

    def _seldom(self) -> bool:
        return self._random.randint(0, 3) == 0

    def _kind(self, lifecycle: Lifecycle[S], status: S, without: Collection[type[Event]] = ()) -> type[Event] | None:
        legal = sorted((kind for kind in lifecycle.events - {*without} if lifecycle.allows(status, kind)), key=str)
        return self._random.choice(legal) if legal else None

    def _fill(self, kind: type[Event], subject: ids.WorkerId | None = None, **known: int) -> AnyEvent:
        """An event of a kind, with made-up values for the fields that are not known."""
        values = {
            field.encode_name: known[field.name] if field.name in known else self._made_up(field.type, subject)
            for field in _fields_of(kind)
        }
        event: AnyEvent = msgspec.convert(values | {"kind": KIND_OF[kind]}, AnyEvent)
        return event

    def _made_up(self, wanted: object, subject: ids.WorkerId | None) -> object:
        if wanted is PayloadRef:
            return self._json({"answer": 42}, subject)
        match _info_of(wanted):
            case msgspec.inspect.EnumType(cls=cls):
                return self._random.choice([member.value for member in cls])
            case msgspec.inspect.IntType():
                return self._random.randint(0, 9)
            case msgspec.inspect.FloatType():
                return self._random.random()
            case msgspec.inspect.StrType():
                return f"text {self._next()}"
            case msgspec.inspect.BoolType():
                return True
            case msgspec.inspect.UnionType(types=types):
                if any(isinstance(one, msgspec.inspect.StrType) for one in types):
                    return f"text {self._next()}"
                if any(isinstance(one, msgspec.inspect.StructType) and one.cls is PayloadRef for one in types):
                    return self._json({"answer": 42}, subject)
                if any(isinstance(one, msgspec.inspect.IntType) for one in types):
                    return self._random.randint(0, 9)
                # `True` fits each other one there is.
                return True
            case msgspec.inspect.VarTupleType():
                return []
            case msgspec.inspect.DictType():
                return {"pid": 4711}
            case other:
                raise TypeError(f"no value made up for {other}")

    def _json(self, value: object, subject: ids.WorkerId | None = None) -> PayloadRef:
        return self._seal(msgspec.json.encode(value), subject)

    def _text(self, text: str, subject: ids.WorkerId) -> PayloadRef:
        return self._seal(text.encode(), subject)

    def _seal(self, body: bytes, subject: ids.WorkerId | None) -> PayloadRef:
        payload = seal(body, self._next().to_bytes(16, "big"), subject)
        self._payloads.append(payload)
        return payload.ref
