"""Defines facts: events with the time at which they must have happened.

Mephisto keeps one status for each entity and no history. So each status becomes the shortest legal sequence of events
that leads to it, at the known times; a step without a known time gets the time of the step before it. The actor of all
these events is `import`, which shows that they were recorded afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...core.payloads import seal
from ...core.ports import Ids, NewEvent, Payload
from ...events.catalogue import AnyEvent
from ...events.ids import WorkerId

#: The reason of events for which Mephisto gives none.
IMPORTED = "from the imported database"


class Fact(NamedTuple):
    """Events that happened together."""

    #: Microseconds since the epoch.
    at: int
    events: tuple[NewEvent, ...]
    payloads: tuple[Payload, ...] = ()


def fact(at: int, stream: str, *events: AnyEvent, payloads: tuple[Payload, ...] = ()) -> Fact:
    """Return a fact about one entity."""
    return Fact(at, tuple(NewEvent(stream, event) for event in events), payloads)


class Sealer:
    """Creates payloads."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def json(self, value: object, subject: WorkerId | None = None) -> Payload:
        """Return the payload of a JSON value."""
        return seal(msgspec.json.encode(value), self._ids.salt(), subject)

    def text(self, value: str, subject: WorkerId | None = None) -> Payload:
        """Return the payload of a text."""
        return seal(value.encode(), self._ids.salt(), subject)
