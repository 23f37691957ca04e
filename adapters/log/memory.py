"""A log that lives as long as its object: for tests, and for trying things out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ...core.chain import GENESIS, ChainRow
from ...core.ports import AppendRequest, Head, Outcome, Payload
from ...events.base import PayloadRef
from ...events.codec import decode
from ...events.envelope import RecordedEvent
from ...projections.engine import rebuild
from ...projections.engine.projection import Projection
from .batch_plan import BatchPlan

#: Nothing outside this process ever sees the pseudonyms of such a log.
_PSEUDONYM_KEY = bytes(32)


class MemoryLog:
    """Decides and numbers like `SqliteLog`, and forgets everything when it is let go."""

    def __init__(self, projections: Sequence[Projection] = ()) -> None:
        """Begin an empty log.

        Args:
            projections: tables that are kept within each commit, in a database in memory.
        """
        self._rows: list[ChainRow] = []
        self._commands: dict[str, list[ChainRow]] = {}
        self._versions: dict[str, int] = {}
        self._payloads: dict[str, Payload] = {}
        self._head = Head(0, GENESIS, 0)
        self._projections = tuple(projections)
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        rebuild.build(self._db, self._projections, (), self.payload)

    @property
    def pseudonym_key(self) -> bytes:
        """A key that is no secret."""
        return _PSEUDONYM_KEY

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order; each is accepted or refused for itself."""
        draft = BatchPlan(self._head, lambda stream: self._versions.get(stream, 0), self.find)
        outcomes = [draft.add(request) for request in batch]
        before = self._payloads
        self._payloads = self._payloads_after(draft)
        if draft.recorded:
            try:
                rebuild.apply_batch(self._db, self._projections, draft.recorded, self.payload)
            except BaseException:
                self._payloads = before
                raise
        self._keep(draft)
        return outcomes

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """All of `commit`, to be called."""
        return partial(self.commit, batch)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """The events of a command, empty if the log does not know it."""
        return tuple(RecordedEvent(row.seq, decode(row.data)) for row in self._commands.get(command, ()))

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Events with `after < seq <= until`, in order."""
        seq = after
        while seq < len(self._rows) and (until is None or seq < until):
            seq += 1
            yield RecordedEvent(seq, decode(self._rows[seq - 1].data))

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """All events of one stream, in order."""
        return tuple(RecordedEvent(row.seq, decode(row.data)) for row in self._rows if row.stream == stream)

    def raw(self, after: int = 0) -> Iterator[ChainRow]:
        """Rows as they are stored."""
        return iter(self._rows[after:])

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
        payload = self._payloads.get(ref.sha256)
        return payload.body if payload else None

    def connect(self) -> sqlite3.Connection:
        """The database that holds the projections' tables."""
        return self._db

    def head(self) -> Head:
        """The last event's position, chain and time."""
        return self._head

    def write_anchor(self) -> Head:
        """The head; there is nothing outside to keep it in."""
        return self._head

    def close(self) -> None:
        """Nothing to release but memory."""

    def _payloads_after(self, draft: BatchPlan) -> dict[str, Payload]:
        payloads = self._payloads | {one.ref.sha256: one for one in draft.payloads}
        forgotten = set(draft.forgotten)
        return {sha256: one for sha256, one in payloads.items() if one.subject not in forgotten}

    def _keep(self, draft: BatchPlan) -> None:
        rows = [ChainRow._make(row) for row in draft.rows]
        self._rows += rows
        for row, (_, envelope) in zip(rows, draft.recorded, strict=True):
            self._commands.setdefault(envelope.command, []).append(row)
        self._versions |= draft.versions
        self._head = draft.head
