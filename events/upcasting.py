"""From the events of earlier releases to those of this one.

A released shape never changes: what comes to mean something else gets a new tag. The old struct is then kept here with
a function that makes its successor of it. A successor may be retired in its turn: the functions are applied until the
event is one of this release, so each of them is written once and never touched again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import msgspec

from .base import Event

Old = TypeVar("Old", bound=Event)


class Upcasters:
    """The events that are written no more, and what became of each."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[bytes], Event]] = {}
        self._steps: dict[type[Event], Callable[[Event], Event]] = {}

    @property
    def kinds(self) -> frozenset[str]:
        """The retired tags."""
        return frozenset(self._readers)

    def __contains__(self, kind: str) -> bool:
        """Whether a tag is retired."""
        return kind in self._readers

    def add(self, old: type[Old], successor: Callable[[Old], Event]) -> None:
        """Retire an event.

        Args:
            old: its struct, as it was released.
            successor: makes the event that stands in its place. It sees the old event and nothing else.

        Raises:
            ValueError: the tag was retired before.
        """
        tag = tag_of(old)
        if tag in self:
            raise ValueError(f"{tag!r} was retired before; a tag is never used again")
        self._readers[tag] = msgspec.json.Decoder(old).decode
        self._steps[old] = cast(Callable[[Event], Event], successor)

    def upcast(self, kind: str, data: bytes) -> Event:
        """The event that stands for a retired one.

        Args:
            kind: a retired tag.
            data: the JSON of the retired event.

        Raises:
            msgspec.DecodeError: the JSON is not that of the retired event.
        """
        event = self._readers[kind](data)
        for _ in self._steps:  # at most each of them once
            step = self._steps.get(type(event))
            if step is None:
                break
            event = step(event)
        return event


def tag_of(event: type[msgspec.Struct]) -> str:
    """The tag under which events of a type are stored."""
    return str(event.__struct_config__.tag)


#: The retired events of this project. There is none yet: all that was ever released is still written.
UPCASTERS = Upcasters()
