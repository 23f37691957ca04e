"""Converts events of earlier releases to those of this one.

A released shape never changes: a new meaning gets a new tag. The old struct is then kept here, with a function that
makes its successor from it. A successor may be retired later, too: the functions are applied until the event is one of
this release, so each of them is written once and never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import msgspec

from .base import Event, kind_of

Old = TypeVar("Old", bound=Event)


class Upcasters:
    """The retired events, each with a function that makes its successor."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[bytes], Event]] = {}
        self._steps: dict[type[Event], Callable[[Event], Event]] = {}

    @property
    def kinds(self) -> frozenset[str]:
        """Tags of the retired events."""
        return frozenset(self._readers)

    def __contains__(self, kind: str) -> bool:
        """Return whether a tag is retired."""
        return kind in self._readers

    def add(self, old: type[Old], successor: Callable[[Old], Event]) -> None:
        """Retire an event.

        Args:
            old: its struct, as it was released.
            successor: makes the successor. It sees the old event and nothing else.

        Raises:
            ValueError: the tag was retired before.
        """
        tag = kind_of(old)
        if tag in self:
            raise ValueError(f"{tag!r} was retired before; a tag is never used again")
        self._readers[tag] = msgspec.json.Decoder(old).decode
        self._steps[old] = cast(Callable[[Event], Event], successor)

    def upcast(self, kind: str, data: bytes) -> Event:
        """Return the successor of a retired event.

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


#: The retired events of this project. There is none yet: this version writes all that was ever released.
UPCASTERS = Upcasters()
