"""Moments of histories, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.envelope import RecordedEvent

from ..histories import numbered
from .views import lived


class Remembered:
    """The moment at the end of a history."""

    def __init__(self, history: Sequence[AppendRequest]) -> None:
        self.events = numbered(history)
        self.view, self._vault = lived(history)
        self.seq = len(self.events)
        self.at = history[-1].at if history else 0

    def stream(self, name: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.stream == name]

    def under(self, prefix: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.stream.startswith(prefix)]

    def command(self, name: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.command == name]

    def latest(self, count: int) -> list[RecordedEvent]:
        return self.events[-count:]

    def payload(self, ref: PayloadRef) -> bytes | None:
        return self._vault.read(ref)
