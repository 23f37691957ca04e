"""The log in one SQLite file: many readers, one writer, everything durable when `commit` returns."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from ....core.errors import LogError, OutcomeUnknownError, UnusableLogError, WriterFencedError
from ....core.ports import AppendRequest, Head, Outcome
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....projections.engine.projection import Projection
from ..anchor import append_anchor, last_anchor
from ..batch_plan import BatchPlan
from . import reader, schema
from .file_identity import FileGuard
from .open_checks import check_before_writing
from .projector import Projector, Rebuilt
from .reader import LogReader
from .schema import forget_workers, insert_events, insert_payloads
from .version_cache import VersionCache
from .writer_lock import WriterLock

_VERSION = "SELECT max(version) FROM events WHERE stream = ?"


class SqliteLog:
    """The writer's end of a log file. Only one process has it; taking over raises the epoch and fences the rest.

    `commit` blocks for a disk's sync and belongs in a worker thread; the other methods may be called beside it.

    Attributes:
        path: the file.
        epoch: which writer of this file this one is: 1, 2, 3 ...
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock, projections: Sequence[Projection]) -> None:
        """Take over a log that was checked. Use `create_or_open`."""
        self.path = path
        self._db = db
        self._lock = lock
        self._closed = False
        #: Why nothing more can be written, once that is so.
        self._stopped: LogError | None = None
        #: Bytes that were forgotten may still stand in the `-wal` file.
        self._wal_holds_forgotten = False
        db.execute("UPDATE writer SET epoch = epoch + 1")
        self.epoch: int = db.execute("SELECT epoch FROM writer").fetchone()[0]
        self._reader = LogReader(path)
        self._head = self._reader.head()
        self._anchored = last_anchor(path)
        self._versions = VersionCache(self._stored_version)
        self.projector = Projector(db, projections)
        self.projector.catch_up(self._reader)
        self._files = FileGuard(path)

    @classmethod
    def create_or_open(cls, path: str | Path, projections: Sequence[Projection] = ()) -> SqliteLog:
        """Become the writer of a log; one is made where there is none.

        The tail since the last anchor is verified, and each projection is brought to the head.

        Args:
            path: the file.
            projections: tables that are kept within each commit.

        Raises:
            UnusableLogError: the file is something else, of a newer format, locked, or in a folder that cannot be
                written to. Nothing was changed.
            DamagedLogError: events are missing or changed. Nothing was changed.
        """
        path = Path(path)
        fresh = schema.is_fresh(path)
        lock = WriterLock(path)
        try:
            check_before_writing(path, fresh=fresh)
            db = schema.connect_read_write(path)
            try:
                if fresh:
                    schema.create(db, secrets.token_bytes(32), f"mephisto-es {version('mephisto-es')}")
                return cls(path, db, lock, projections)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            lock.release()
            raise UnusableLogError(f"{path} cannot be opened for writing: {error}") from error
        except BaseException:
            lock.release()
            raise

    @staticmethod
    def open_read_only(path: str | Path) -> LogReader:
        """Read a log, here or copied from elsewhere, without a lock and without changing it.

        Raises:
            UnusableLogError: it is not a log that this version can open.
        """
        return LogReader(Path(path))

    @property
    def pseudonym_key(self) -> bytes:
        """The secret that keys all pseudonyms of this log."""
        return self._reader.pseudonym_key

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order, in one transaction; each is accepted or refused for itself.

        Raises:
            WriterFencedError: another writer has taken over; nothing was written.
            OutcomeUnknownError: COMMIT failed, or what was written to is not the log any more. The log takes no more
                until it is opened again.
            LogError: nothing was written, for instance because the disk is full.
        """
        return self.prepare(batch)()

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Draft a batch: the part of `commit` that costs time and does not wait for a disk.

        For the thread that made the batch, whose processor has it at hand: another one would have to fetch all of it.

        Returns:
            What writes it, and must be called before anything else is committed.

        Raises:
            LogError: nothing was written. What is returned raises as `commit` does.
        """
        if self._stopped is not None:
            raise LogError(f"the log takes nothing more: {self._stopped}") from self._stopped
        try:
            drafted = self._draft(batch, assume_new=self._versions.peek)
        except sqlite3.Error as error:
            raise LogError(f"nothing was written to {self.path}: {error}") from error
        return partial(self._commit, batch, drafted)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """The events of a command, empty if the log does not know it."""
        return self._reader.find(command)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Events with `after < seq <= until`, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """
        return self._reader.read(after, until)

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """All events of one stream, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """
        return self._reader.history(stream)

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
        return self._reader.payload(ref)

    def connect(self) -> sqlite3.Connection:
        """A read-only connection to the same file, for reading the projections' tables."""
        return self._reader.connect()

    def projection_positions(self) -> dict[str, int]:
        """Return the position of each projection, by name."""
        return self._reader.projection_positions()

    def head(self) -> Head:
        """The last event's position, chain and time."""
        return self._head

    def write_anchor(self) -> Head:
        """Put the head into the anchor file, unless it is there, and wait until it is on the disk.

        Whoever owns the timer calls this each second, in a worker thread.

        Raises:
            LogError: it could not be written.
        """
        head = self._head
        if head.seq and (self._anchored is None or self._anchored.seq < head.seq):
            append_anchor(self.path, head)
            self._anchored = head
        return head

    def rebuild(self, projection: Projection) -> Rebuilt:
        """Build a projection anew; readers see the old tables until the new ones are whole."""
        return self.projector.rebuild(projection, self._reader)

    def close(self) -> None:
        """Anchor the head, release the file and the writer's lock. Twice is harmless.

        Raises:
            LogError: the head could not be anchored; all else is done.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._stopped is None:
                self.write_anchor()
        finally:
            # The last connection to close empties the `-wal` file, and only the writer may write.
            self._reader.close()
            self._db.close()
            self._lock.release()

    def __enter__(self) -> SqliteLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check_epoch(self) -> None:
        epoch = self._db.execute("SELECT epoch FROM writer").fetchone()[0]
        if epoch != self.epoch:
            self._stopped = WriterFencedError(
                f"{self.path}: another process became the writer (epoch {epoch}, ours {self.epoch})"
            )
            raise self._stopped

    def _draft(
        self, batch: Sequence[AppendRequest], assume_new: Callable[[str], int | None] | None
    ) -> tuple[BatchPlan, list[Outcome]]:
        draft = BatchPlan(self._head, self._versions.get, partial(reader.find, self._db), assume_new=assume_new)
        return draft, [draft.add(request) for request in batch]

    def _commit(self, batch: Sequence[AppendRequest], drafted: tuple[BatchPlan, list[Outcome]]) -> list[Outcome]:
        draft, outcomes = drafted
        try:
            try:
                self._write(draft)
            except sqlite3.IntegrityError:
                # Something in the batch is not new, although it should be.
                draft, outcomes = self._draft(batch, assume_new=None)
                self._write(draft)
        except sqlite3.Error as error:
            raise LogError(f"nothing was written to {self.path}: {error}") from error
        self._end_transaction()
        self._check_in_place()
        self._head = draft.head
        self._versions.update(draft.versions)
        if self._wal_holds_forgotten:
            self._empty_wal()
        return outcomes

    def _write(self, draft: BatchPlan) -> None:
        """Begin a transaction and write a draft in it; when this raises, it is rolled back."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._check_epoch()
            self._insert(draft)
        except BaseException:
            self._roll_back()
            raise

    def _insert(self, draft: BatchPlan) -> None:
        db = self._db
        insert_events(db, draft.rows)
        if draft.payloads:
            insert_payloads(db, [(one.ref.sha256, one.salt, one.body, one.subject) for one in draft.payloads])
        if draft.forgotten:
            forget_workers(db, draft.forgotten)
            self._wal_holds_forgotten = True
        if draft.recorded:
            self.projector.apply(draft.recorded)

    def _end_transaction(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                # The last frame, which makes the others count, was not written: nothing is in doubt.
                self._roll_back()
                raise LogError(f"nothing was written to {self.path}: {error}; free some space") from error
            self._stopped = OutcomeUnknownError(
                f"COMMIT to {self.path} failed ({error}): whether its events were written shows when it is opened again"
            )
            raise self._stopped from error

    def _check_in_place(self) -> None:
        """Promise nothing that stands in a file which nobody will find. After COMMIT: until then it may be moved."""
        changed_file = self._files.changed_file()
        if changed_file is not None:
            self._stopped = OutcomeUnknownError(
                f"{changed_file} was removed or replaced while it was being written: put it back, and nothing is lost"
            )
            raise self._stopped

    def _roll_back(self) -> None:
        try:
            # Some errors have rolled the transaction back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._stopped = LogError(f"{self.path} could not be rolled back: {error}")

    def _empty_wal(self) -> None:
        try:
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            self._stopped = LogError(f"{self.path}-wal still holds what was forgotten: {error}")
            raise self._stopped from error
        self._wal_holds_forgotten = bool(busy)

    def _stored_version(self, stream: str) -> int:
        return self._db.execute(_VERSION, (stream,)).fetchone()[0] or 0
