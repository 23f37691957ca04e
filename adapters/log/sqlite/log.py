"""The log in one SQLite file: many readers, one writer, and every event durable when `commit` returns."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Self

from ....core.errors import LogError, OutcomeUnknownError, UnusableLogError, WriterFencedError
from ....core.operations.logger_core import get_logger
from ....core.ports import AppendRequest, Head, Outcome, Turn
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....projections.engine.projection import Projection
from ..anchor import append_anchor, last_anchor
from ..batch_plan import BatchPlan, executed_before
from . import reader, schema, snapshots
from .file_identity import FileGuard, has_wal
from .open_checks import check_before_writing
from .projector import Projector, Rebuilt
from .reader import LogReader
from .snapshots import StoredSnapshot
from .version_cache import VersionCache
from .wal_pages import WalPages
from .writer_lock import WriterLock

#: How often SQLite waits for a foreign lock, for `BUSY_TIMEOUT_SECONDS` each time: five minutes in all.
LOCK_ATTEMPTS = 60
#: The part of an SQLite error code that is not extended.
_PRIMARY_CODE = 0xFF

logger = get_logger(__name__)

_VERSION = "SELECT max(version) FROM events WHERE stream = ?"


class SqliteLog:
    """The writer of a log file. There is one at a time; a new writer increments the epoch, which fences earlier ones.

    `commit` blocks until the disk has synced and belongs in a worker thread; other methods may be called meanwhile.

    Attributes:
        path: the file.
        lock_attempts: how often SQLite waits for a foreign lock; may be lowered during a commit.
        epoch: the number of this writer: 1, 2, 3 ...
        erasures: a number that is another one before and after each commit that erases something.
    """

    is_shared = False
    #: True if the file is a copy of a log on a server.
    IS_COPY = False

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock, projections: Sequence[Projection]) -> None:
        """Take over a log that was checked; use `create_or_open` instead."""
        self.path = path
        self.lock_attempts = LOCK_ATTEMPTS
        self._db = db
        self._lock = lock
        self._closed = False
        #: The reason why nothing more can be written, if that is so.
        self._stopped: LogError | None = None
        self._wal = WalPages(path, db)
        self.erasures = 0
        self._snapshot = snapshots.WaitingSnapshot()
        if has_wal(path):
            self._wal.empty()  # a writer that was killed may have left erased values there
        db.execute("UPDATE writer SET epoch = ?", (1 + reader.last_epoch(db),))
        self.epoch: int = db.execute("SELECT epoch FROM writer").fetchone()[0]
        self._reader = LogReader(path)
        self._head = self._reader.head()
        self._anchored = last_anchor(path)
        self._versions = VersionCache(self._stored_version)
        self.projector = Projector(db, projections)
        self.projector.catch_up(self._reader)
        self._files = FileGuard(path, partial(reader.head_of_whole_log, path))

    @classmethod
    def create_or_open(
        cls, path: str | Path, projections: Sequence[Projection] = (), *, pseudonym_key: bytes | None = None
    ) -> Self:
        """Become the writer of a log, and create it if it does not exist.

        The tail since the last anchor is verified, and each projection is brought to the head.

        Args:
            path: the file.
            projections: the projections updated within each commit.
            pseudonym_key: the secret key of a new log, 32 bytes; random by default.

        Raises:
            UnusableLogError: it is no log of this format, is locked, or cannot be written to. Nothing was changed.
            DamagedLogError: events are missing or changed. Nothing was changed.
        """
        path = Path(path)
        fresh, lock = schema.is_fresh(path), WriterLock(path)
        try:
            check_before_writing(path, fresh=fresh, is_copy=cls.IS_COPY)
            if fresh:
                key = pseudonym_key or secrets.token_bytes(32)
                schema.create_file(path, key, f"mephisto-es {version('mephisto-es')}")
            db = schema.connect_read_write(path)
            try:
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
        """Open a log for reading only, without a lock.

        Raises:
            UnusableLogError: it is not a log that this version can open.
        """
        return LogReader(Path(path))

    @property
    def pseudonym_key(self) -> bytes:
        """The secret key of all pseudonyms in this log."""
        return self._reader.pseudonym_key

    @property
    def genesis(self) -> bytes:
        """The value of the chain before the first event."""
        return self._reader.genesis

    def chain_at(self, seq: int) -> bytes | None:
        """Return the value of the chain at a position, or None if there is no such event."""
        return self._reader.chain_at(seq)

    @property
    def holds_erased(self) -> bool:
        """True while erased values may still be in the `-wal` file, because a reader has it open."""
        return self._wal.holds_forgotten

    @property
    def has_upkeep(self) -> bool:
        """True after a large commit, until `do_upkeep` has moved its pages to the log's own file."""
        return self._wal.are_many

    def do_upkeep(self) -> None:
        """Move the pages of large commits to the log's own file, so that no commit does."""
        self._wal.move()

    def unconfirmed(self, _position: int, _patience_seconds: float, /) -> tuple[str, ...]:
        """Return nothing: there are no copies that are kept up to date."""
        return ()

    def begin(self, _partitions: Sequence[str], _beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        """Return the events of those commands that were executed before; the whole file is locked already."""
        return Turn(known=executed_before(partial(reader.find, self._db), commands))

    def take_news(self) -> tuple[RecordedEvent, ...]:
        """Return nothing: nobody else writes."""
        return ()

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order, in one transaction; each is accepted or rejected individually.

        Raises:
            WriterFencedError: another writer has taken over; nothing was written.
            OutcomeUnknownError: COMMIT failed, or the file that was written is no longer the log. The log accepts
                nothing more until it is reopened.
            LogError: nothing was written, for example because the disk is full.
        """
        return self.prepare(batch)()

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Plan a batch, best in the thread that made it: the part of `commit` that does not wait for the disk.

        Returns:
            A function that writes the batch, to be called before anything else is committed. Raises like `commit`.

        Raises:
            LogError: nothing was written.
        """
        if self._stopped is not None:
            raise LogError(f"the log accepts nothing more: {self._stopped}") from self._stopped
        try:
            planned = self._plan(batch, assume_new=self._versions.peek)
        except sqlite3.Error as error:
            raise LogError(f"nothing was written to {self.path}: {error}") from error
        return partial(self._commit, batch, planned)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """Return the events of a command, or nothing if the log does not contain it."""
        return self._reader.find(command)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events with `after < seq <= until`, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """
        return self._reader.read(after, until)

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """Return all events of a stream, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """
        return self._reader.history(stream)

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return self._reader.payload(ref)

    def connect(self) -> sqlite3.Connection:
        """Open a read-only connection to the file, for reading the tables of projections."""
        return self._reader.connect()

    def projection_positions(self) -> dict[str, int]:
        """Return the position of each projection, by name."""
        return self._reader.projection_positions()

    def head(self) -> Head:
        """Return the position, chain and time of the last event."""
        return self._head

    def write_anchor(self) -> Head:
        """Write the head to the anchor file, unless it is there, and wait until it is on disk.

        Called once a second, in a worker thread.

        Raises:
            LogError: it could not be written.
        """
        head = self._head
        if head.seq and (self._anchored is None or self._anchored.seq < head.seq):
            append_anchor(self.path, head)
            self._anchored = head
        return head

    def last_snapshot(self, projection: Projection) -> int:
        """Return the position of the last snapshot of a view; 0 if there is none that this version can use."""
        return snapshots.last_position(self._db, projection)

    def keep_snapshot(self, snapshot: StoredSnapshot, erasures: int) -> None:
        """Store a snapshot of a view after the next commit, or at the end, if `erasures` is still what it is here."""
        self._snapshot.keep(snapshot, erasures)

    def rebuild(self, projection: Projection) -> Rebuilt:
        """Rebuild a projection; readers see the old tables until the new ones are complete."""
        return self.projector.rebuild(projection, self._reader)

    def close(self) -> None:
        """Anchor the head, close the file and release the writer's lock. May be called twice.

        Raises:
            LogError: the head could not be anchored; everything else was done.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._stopped is None:
                self.write_anchor()
                self._snapshot.store(self._db, self.erasures)
        finally:
            # The last connection to close empties the `-wal` file, so the writer has to be last.
            self._reader.close()
            self._db.close()
            self._lock.release()

    def __enter__(self) -> Self:
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

    def _plan(
        self, batch: Sequence[AppendRequest], assume_new: Callable[[str], int | None] | None
    ) -> tuple[BatchPlan, list[Outcome]]:
        find = partial(reader.find, self._db)
        plan = BatchPlan(self._head, self._versions.get, find, epoch=self.epoch, assume_new=assume_new)
        return plan, [plan.add(request) for request in batch]

    def _commit(self, batch: Sequence[AppendRequest], planned: tuple[BatchPlan, list[Outcome]]) -> list[Outcome]:
        plan, outcomes = planned
        try:
            try:
                self._write(plan)
            except sqlite3.IntegrityError:
                # Something assumed to be new is not.
                plan, outcomes = self._plan(batch, assume_new=None)
                self._write(plan)
        except sqlite3.Error as error:
            raise LogError(f"nothing was written to {self.path}: {error}") from error
        self._finish(plan)
        return outcomes

    def _finish(self, plan: BatchPlan) -> None:
        """Commit what was written."""
        self._end_transaction()
        self._check_files(self._files.check_in_place)
        self._head = plan.head
        self._versions.update(plan.versions)
        if self._wal.holds_forgotten:
            self.erasures += 1
            self._check_files(self._wal.empty)
        self._snapshot.store(self._db, self.erasures)

    def _write(self, plan: BatchPlan) -> None:
        """Begin a transaction and write a plan in it; roll back on an error."""
        try:
            self._begin()
            self._check_epoch()
            self._check_files(partial(self._files.check_not_cut, self._head))
            self._insert(plan)
        except BaseException:
            self._roll_back()
            raise

    def _begin(self) -> None:
        """Begin a transaction; a lock of another program, for instance of a backup, is waited for."""
        for attempt in count(1):
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # Read each time: whoever is about to close the log waits no longer.
                if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY or attempt >= self.lock_attempts:
                    raise
                logger.warning(
                    "another program has locked the log; work goes on when it lets go",
                    path=str(self.path),
                    hint=f"`lsof {self.path}` or `fuser -v {self.path}` shows which one",
                )
            else:
                return

    def _insert(self, plan: BatchPlan) -> None:
        schema.insert_events(self._db, plan.rows)
        if plan.payloads:
            self._wal.expect(plan.payloads)
            schema.insert_payloads(self._db, [(it.ref.sha256, it.salt, it.body, it.subject) for it in plan.payloads])
        if plan.forgotten or plan.withdrawn:
            schema.forget_workers(self._db, plan.forgotten)
            schema.forget_payloads(self._db, plan.withdrawn)
            self._wal.holds_forgotten = True
            self.erasures += 1
        if plan.recorded:
            self.projector.apply(plan.recorded)

    def _end_transaction(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                # The commit frame was not written, so nothing is in doubt.
                self._roll_back()
                raise LogError(f"nothing was written to {self.path}: {error}; free some space") from error
            self._stopped = OutcomeUnknownError(
                f"COMMIT to {self.path} failed ({error}): reopen the log to see whether its events were written"
            )
            raise self._stopped from error

    def _check_files(self, check: Callable[[], None]) -> None:
        """Accept nothing more if somebody has done something to the files."""
        try:
            check()
        except LogError as error:
            self._stopped = error
            raise

    def _roll_back(self) -> None:
        try:
            # Some errors have rolled the transaction back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._stopped = LogError(f"{self.path} could not be rolled back: {error}")

    def _stored_version(self, stream: str) -> int:
        return self._db.execute(_VERSION, (stream,)).fetchone()[0] or 0
