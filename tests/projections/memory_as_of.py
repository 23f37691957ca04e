"""Histories as of their end, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.projections.mephisto_db import MephistoDB

from ..histories import numbered
from .views import lived


class MemoryAsOf:
    """A history as of its end."""

    def __init__(self, history: Sequence[AppendRequest]) -> None:
        self.events = numbered(history)
        view, store = lived(history)
        self.db = MephistoDB(view, store.read)
        self.payload = store.read
        self.seq = len(self.events)
        self.at = history[-1].at if history else 0

    def stream(self, name: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.stream == name]

    def streams(self, names: Collection[str]) -> dict[str, list[RecordedEvent]]:
        return {name: self.stream(name) for name in names}

    def under(self, prefix: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.stream.startswith(prefix)]

    def command(self, name: str) -> list[RecordedEvent]:
        return [one for one in self.events if one.envelope.command == name]

    def latest(self, count: int) -> list[RecordedEvent]:
        return self.events[-count:]
