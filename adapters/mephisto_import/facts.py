"""Facts: events with the time at which they must have happened.

Mephisto keeps one status for each entity and no history. So each status becomes the shortest legal way to it, at the
times that are known; where one is not, a step happened when the one before it did. Whoever looks at an event sees by
its actor, `import`, that it was told afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...core.payloads import seal
from ...core.ports import Ids, NewEvent, Payload
from ...events.catalogue import AnyEvent
from ...events.ids import WorkerId

#: Why things happened that Mephisto gives no reason for.
IMPORTED = "so it was in the imported database"


class Fact(NamedTuple):
    """Events that happened together."""

    #: Microseconds since the epoch.
    at: int
    events: tuple[NewEvent, ...]
    payloads: tuple[Payload, ...] = ()


def fact(at: int, stream: str, *events: AnyEvent, payloads: tuple[Payload, ...] = ()) -> Fact:
    """Something that happened to one entity."""
    return Fact(at, tuple(NewEvent(stream, event) for event in events), payloads)


class Sealer:
    """Makes payloads."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def json(self, value: object, subject: WorkerId | None = None) -> Payload:
        """A JSON value."""
        return seal(msgspec.json.encode(value), self._ids.salt(), subject)

    def text(self, value: str, subject: WorkerId | None = None) -> Payload:
        """A text."""
        return seal(value.encode(), self._ids.salt(), subject)
