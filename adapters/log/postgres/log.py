"""The log in PostgreSQL: several writers, each partition of it with its own positions, chain and owner."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

from psycopg import DatabaseError, Error, errors

from ....core.chain import ChainRow, genesis
from ....core.errors import LogError, OutcomeUnknownError, UnusableLogError
from ....core.ports import AppendRequest, Head, Outcome, Payload, Turn
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....events.streams import partition_of
from ..sqlite.reader import recorded
from ..sqlite.version_cache import VersionCache
from . import reading, writing
from .plan import PartitionPlan
from .server import Server

_ADD_PARTITIONS = "INSERT INTO es.partition (partition) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING"
_CONFIRM = "SELECT es.confirm(%s, %s)"
_RESERVE = "SELECT es.reserve(%s, %s, %s)"


class PostgresLog:
    """One writer of a log in PostgreSQL. There may be many, on any machines.

    An event belongs to the partition of its stream: that of its run, or the directory. `AppendResult`, `find`,
    `history` and `Turn` give positions within the partition; `read` and `head` give those of the common order, which is
    the same for all readers, has causes before effects, and is made with the commit or after it.

    Methods that write belong in a worker thread, one at a time. Reading methods use another connection.
    """

    def __init__(self, address: str, *, pseudonym_key: bytes | None = None) -> None:
        """Open the log, and install its tables if the database has none.

        Args:
            address: the server and database, as a URL or connection string of libpq.
            pseudonym_key: the secret key of a new log, 32 bytes; random by default.

        Raises:
            UnusableLogError: the server cannot be reached, or its tables are of another version.
        """
        #: The name under which this writer owns partitions; None while it owns none.
        self._operator: str | None = None
        self._owned: dict[str, int] = {}
        self._server = self._reader = Server(address)
        try:
            self._server.call(lambda db: writing.install(db, pseudonym_key or secrets.token_bytes(32)))
            self._reader = Server(address)
            self._pseudonym_key, self._created_by = self._server.call(reading.meta)
            #: A number that no other writer of the log has or had.
            self.epoch = self._server.call(writing.next_epoch)
            self._heads = self._server.call(reading.ends)
        except BaseException:
            self.close()
            raise
        self._seen_at = max((head.at for head in self._heads.values()), default=0)
        self._versions = VersionCache(self._stored_version)
        #: Partitions that are known to exist.
        self._named = set(self._heads)
        #: Read by a commit that took its own turn, and not returned by `begin` yet.
        self._unread: tuple[RecordedEvent, ...] = ()
        self._fences: dict[str, int] | None = None
        self._known: dict[str, tuple[RecordedEvent, ...]] = {}

    @property
    def is_shared(self) -> bool:
        """True: other operators write to it too."""
        return True

    @property
    def pseudonym_key(self) -> bytes:
        """The secret key of all pseudonyms in this log."""
        return self._pseudonym_key

    @property
    def name(self) -> str:
        """The server and database, for messages; without user and password."""
        return self._server.name

    @property
    def created_by(self) -> str:
        """The name and version of the program that created the log."""
        return self._created_by

    @property
    def copies_genesis(self) -> bytes:
        """The value before the first event of the chain that all copies of this log have."""
        return genesis(self._pseudonym_key, self._created_by)

    @property
    def holds_erased(self) -> bool:
        """False. Copies that the server keeps in its files and archives are in the hands of its administrator."""
        return False

    @property
    def has_upkeep(self) -> bool:
        """False: the server does its work by itself."""
        return False

    def do_upkeep(self) -> None:
        """Do nothing."""

    def genesis(self, partition: str) -> bytes:
        """Return the value of a partition's chain before its first event."""
        return reading.partition_genesis(self._pseudonym_key, self._created_by, partition)

    @property
    def own_pids(self) -> frozenset[int]:
        """The numbers of the server's processes that place events on behalf of this writer."""
        return frozenset((self._server.backend_pid, self._reader.backend_pid))

    @property
    def reader_connection(self) -> int:
        """The number of the connection that reads: another one after it was lost, perhaps to another server."""
        return self._reader.connections

    def own(self, operator: str, partition: str, fence: int) -> None:
        """Write to a partition as its owner from now on, and to nothing once the operator has lost what it owned.

        Args:
            operator: the name under which this writer owns partitions.
            partition: the partition.
            fence: the number of this ownership: the epoch of the events that are appended from now on.
        """
        self._operator, self._owned[partition] = operator, fence

    def disown(self, partition: str) -> None:
        """Write to a partition as a guest from now on."""
        self._owned.pop(partition, None)

    @property
    def owned(self) -> str:
        """The partitions that this writer owns, for messages."""
        return ", ".join(sorted(self._owned)) or "the log"

    def reserve(self, category: str, used: int, count: int) -> int:
        """Reserve a block of ids, and return the last one of it.

        Args:
            category: the category of streams.
            used: an id that is used at least.
            count: the number of ids.
        """
        row = self._reader.call(lambda db: db.execute(_RESERVE, (category, used, count)).fetchone())
        return used + count if row is None else int(row[0])

    def saw(self, at: int) -> None:
        """Take note of the time of an event that was read elsewhere: what is decided from now on is an effect of it."""
        self._seen_at = max(self._seen_at, at)

    def begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        """Lock partitions until the next `commit`, and return what others wrote and which commands were executed.

        Raises:
            WriterFencedError: another operator has taken over a partition of this writer.
            DamagedLogError: the chain of a partition is broken.
            LogError: the server refused or cannot be reached.
        """
        self._end_turn()
        self._name(partitions)
        seen = {partition: self._head_of(partition) for partition in (*partitions, *beside)}
        found = self._server.call(lambda db: writing.take_turn(db, self._operator, partitions, seen, commands))
        self._check_fences(found)
        try:
            news = self._unread + self._take_in(found.news)
        except BaseException:
            self._server.roll_back()
            raise
        self._unread = ()
        self._fences = found.fences
        self._known = found.known
        return Turn(news, found.known)

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order, in one transaction; each is accepted or rejected individually.

        Without a turn, one is taken of the partitions of all the events.

        Raises:
            WriterFencedError: another operator has taken over a partition; nothing was written.
            OutcomeUnknownError: the connection was lost during COMMIT and could not be made again in time.
            LogError: nothing was written.
        """
        try:
            if self._fences is None:
                self._begin_for(batch)
            plan, outcomes = self._plan(batch, self._versions.peek)
            try:
                self._write(plan)
            except errors.UniqueViolation:
                # Something assumed to be new is not.
                self._begin_for(batch)
                plan, outcomes = self._plan(batch, None)
                self._write(plan)
        finally:
            self._end_turn()
        self._heads.update(plan.heads)
        self._versions.update(plan.versions)
        self._seen_at = max(self._seen_at, plan.head.at)
        return outcomes

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Return a function that commits the batch."""
        return partial(self.commit, batch)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """Return the events of a command, or nothing if the log does not contain it."""
        return self._reader.call(lambda db: reading.find(db, command))

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events with `after < seq <= until` of the common order.

        Raises:
            DamagedLogError: an event is missing or does not decode.
            UnknownEventError: written by a newer version.
        """
        last = self.head().seq
        last = last if until is None else min(until, last)
        while after < last:
            page = min(last, after + reading.PAGE_EVENTS)
            yield from self._reader.call(partial(reading.page, after=after, last=page))
            after = page

    def placed(self, after: int, limit: int) -> tuple[RecordedEvent, ...]:
        """Return the next events of the common order, in one round trip; fewer than the limit if there are no more."""
        return self._reader.call(partial(reading.placed, after=after, limit=limit))

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """Return all events of a stream, in order."""
        return self._reader.call(lambda db: reading.history(db, partition_of(stream), stream))

    def raw(self, partition: str) -> Iterator[ChainRow]:
        """Yield the stored rows of a partition."""
        return iter(self._reader.call(lambda db: reading.rows(db, partition)))

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return self._reader.call(lambda db: reading.payload(db, ref.sha256))

    def payloads(self, sha256s: Sequence[str]) -> list[Payload]:
        """Return the payloads with some commitments, as far as they were not erased."""
        return self._reader.call(lambda db: reading.payloads(db, sha256s)) if sha256s else []

    def confirm(self, copy: str, position: int) -> None:
        """Record that a copy of the log has deleted what was erased up to a position of the common order.

        Args:
            copy: the machine and path of the copy.
            position: the position.
        """
        self._reader.call(lambda db: db.execute(_CONFIRM, (copy, position)))

    def unconfirmed(self, position: int, patience_seconds: float, /) -> tuple[str, ...]:
        """Return the copies that have not confirmed that they deleted what was erased up to a position.

        Args:
            position: the position.
            patience_seconds: how long to wait until all have.

        Raises:
            LogError: the server cannot be reached.
        """
        give_up_at = time.monotonic() + patience_seconds
        try:
            with closing(self._server.listener()) as db:
                while found := reading.unconfirmed(db, position):
                    left = give_up_at - time.monotonic()
                    if left <= 0:
                        break
                    for _ in db.notifies(timeout=left, stop_after=1):
                        pass
                return found
        except Error as error:
            raise LogError(f"{self.name} did not say which copies have deleted what was erased") from error

    def take_news(self) -> tuple[RecordedEvent, ...]:
        """Return what a commit without a turn has read of others."""
        news, self._unread = self._unread, ()
        return news

    def head(self) -> Head:
        """Return position and time of the last event in the common order, and the chain of its partition there."""
        return self._reader.call(reading.common_head)

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._server.close()
        self._reader.close()

    def _name(self, partitions: Sequence[str]) -> None:
        """Make the rows of partitions that do not exist, before they can be locked."""
        fresh = sorted(set(partitions) - self._named)
        if fresh:
            self._server.call(lambda db: db.execute(_ADD_PARTITIONS, (fresh,)))
            self._named.update(fresh)

    def _head_of(self, partition: str) -> Head:
        return self._heads.get(partition) or Head(0, self.genesis(partition), 0)

    def _check_fences(self, found: writing.TurnRows) -> None:
        taken = [partition for partition, fence in found.fences.items() if self._owned.get(partition, fence) != fence]
        if taken or not found.is_operator:
            self._server.roll_back()
            raise writing.fenced(", ".join(taken) or self.owned)

    def _take_in(self, news: Sequence[reading.NewsRow]) -> tuple[RecordedEvent, ...]:
        """Return what others wrote, causes before effects, and remember how far it goes."""
        heads: dict[str, Head] = {}
        for row in news:
            heads[row.partition] = reading.linked(heads.get(row.partition) or self._head_of(row.partition), row)
        events = tuple(
            recorded(row.seq, row.data) for row in sorted(news, key=lambda row: (row.at, row.command, row.ordinal))
        )
        self._heads.update(heads)
        self._versions.update({each.envelope.stream: each.envelope.version for each in events})
        self._seen_at = max((self._seen_at, *(head.at for head in heads.values())))
        return events

    def _begin_for(self, batch: Sequence[AppendRequest]) -> None:
        partitions = sorted({partition_of(stream) for request in batch for stream, _ in request.events})
        turn = self.begin(partitions, (), [request.command for request in batch])
        self._unread = turn.news

    def _plan(
        self, batch: Sequence[AppendRequest], assume_new: Callable[[str], int | None] | None
    ) -> tuple[PartitionPlan, list[Outcome]]:
        fences = self._fences or {}
        heads = {partition: self._head_of(partition) for partition in fences}
        find = self._known_events
        plan = PartitionPlan(heads, fences, self._seen_at, self._versions.get, find, assume_new)
        return plan, [plan.add(request) for request in batch]

    def _known_events(self, command: str) -> tuple[RecordedEvent, ...]:
        return self._known.get(command, ())

    def _write(self, plan: PartitionPlan) -> None:
        if not (plan.written or plan.payloads):
            return
        fences = self._fences or {}
        heads = {partition: self._head_of(partition) for partition in fences}
        try:
            self._server.call(lambda db: writing.append(db, self._operator, plan, fences, heads))
        except UnusableLogError as error:
            raise OutcomeUnknownError(f"{error}. Open the log again to see whether its events were written") from error
        except errors.UniqueViolation:
            raise
        except DatabaseError as error:
            raise writing.refusal(error) from error
        self._fences = None

    def _end_turn(self) -> None:
        if self._fences is not None:
            self._fences, self._known = None, {}
            self._server.roll_back()

    def _stored_version(self, stream: str) -> int:
        return self._server.call(lambda db: reading.version_of(db, partition_of(stream), stream))
