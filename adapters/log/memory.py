"""A log in memory that lives as long as its object, for tests and experiments."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ...core.chain import ChainRow, genesis
from ...core.ports import AppendRequest, Head, Outcome, Payload, Turn
from ...events.base import PayloadRef
from ...events.codec import decode
from ...events.envelope import RecordedEvent
from ...projections.engine import rebuild
from ...projections.engine.projection import Projection
from .batch_plan import BatchPlan, executed_before

#: Not a secret, because the pseudonyms of such a log never leave the process.
_PSEUDONYM_KEY = bytes(32)
_CREATED_BY = "memory"
#: There is never another writer.
_EPOCH = 1


class MemoryLog:
    """Decides and numbers like `SqliteLog`, but keeps everything in memory."""

    def __init__(self, projections: Sequence[Projection] = ()) -> None:
        """Create an empty log.

        Args:
            projections: the projections updated within each commit, in an in-memory database.
        """
        self._rows: list[ChainRow] = []
        self._commands: dict[str, list[ChainRow]] = {}
        self._versions: dict[str, int] = {}
        self._payloads: dict[str, Payload] = {}
        self._head = Head(0, self.genesis, 0)
        self._projections = tuple(projections)
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        rebuild.build(self._db, self._projections, (), self.payload)

    @property
    def holds_erased(self) -> bool:
        """False: there are no files."""
        return False

    @property
    def has_upkeep(self) -> bool:
        """False: there are no files."""
        return False

    def do_upkeep(self) -> None:
        """Do nothing."""

    def unconfirmed(self, _position: int, _patience_seconds: float, /) -> tuple[str, ...]:
        """Return nothing: there are no copies that are kept up to date."""
        return ()

    @property
    def pseudonym_key(self) -> bytes:
        """The key of all pseudonyms; not a secret."""
        return _PSEUDONYM_KEY

    @property
    def genesis(self) -> bytes:
        """The value of the chain before the first event."""
        return genesis(_PSEUDONYM_KEY, _CREATED_BY)

    @property
    def is_shared(self) -> bool:
        """False: nobody else can write to it."""
        return False

    def begin(self, _partitions: Sequence[str], _beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        """Return the events of those commands that were executed before."""
        return Turn(known=executed_before(self.find, commands))

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order; each is accepted or rejected individually."""
        plan = BatchPlan(self._head, lambda stream: self._versions.get(stream, 0), self.find, epoch=_EPOCH)
        outcomes = [plan.add(request) for request in batch]
        before = self._payloads
        self._payloads = self._payloads_after(plan)
        if plan.recorded:
            try:
                rebuild.apply_batch(self._db, self._projections, plan.recorded, self.payload)
            except BaseException:
                self._payloads = before
                raise
        self._keep(plan)
        return outcomes

    def take_news(self) -> tuple[RecordedEvent, ...]:
        """Return nothing: nobody else writes."""
        return ()

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Return a function that commits the batch."""
        return partial(self.commit, batch)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """Return the events of a command, or nothing if the log does not contain it."""
        return tuple(RecordedEvent(row.seq, decode(row.data)) for row in self._commands.get(command, ()))

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events with `after < seq <= until`, in order."""
        seq = after
        while seq < len(self._rows) and (until is None or seq < until):
            seq += 1
            yield RecordedEvent(seq, decode(self._rows[seq - 1].data))

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """Return all events of a stream, in order."""
        return tuple(RecordedEvent(row.seq, decode(row.data)) for row in self._rows if row.stream == stream)

    def raw(self, after: int = 0) -> Iterator[ChainRow]:
        """Yield the stored rows."""
        return iter(self._rows[after:])

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        payload = self._payloads.get(ref.sha256)
        return payload.body if payload else None

    def connect(self) -> sqlite3.Connection:
        """Return the database that holds the tables of the projections."""
        return self._db

    def head(self) -> Head:
        """Return the position, chain and time of the last event."""
        return self._head

    def write_anchor(self) -> Head:
        """Return the head; there is no anchor file to write it to."""
        return self._head

    def close(self) -> None:
        """Do nothing: only memory is held."""

    def _payloads_after(self, plan: BatchPlan) -> dict[str, Payload]:
        payloads = self._payloads | {one.ref.sha256: one for one in plan.payloads}
        forgotten, withdrawn = set(plan.forgotten), set(plan.withdrawn)
        return {
            sha256: one for sha256, one in payloads.items() if one.subject not in forgotten and sha256 not in withdrawn
        }

    def _keep(self, plan: BatchPlan) -> None:
        rows = [ChainRow._make(row) for row in plan.rows]
        self._rows += rows
        for row, (_, envelope) in zip(rows, plan.recorded, strict=True):
            self._commands.setdefault(envelope.command, []).append(row)
        self._versions |= plan.versions
        self._head = plan.head
