"""A log file as of one moment: its head, an earlier position, or a time."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....core.chain import GENESIS
from ....core.errors import LogError, UnknownEntityError, UnusableLogError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.mephisto_db import MephistoDB, MephistoDbProjection
from . import reader, schema, snapshots

_EVENTS = "SELECT seq, data FROM events"
_AT = "SELECT at FROM events WHERE seq = ?"
_LIVE_VIEW = "SELECT code, seq FROM projections WHERE name = ? AND live = 1"


class LogAsOf:
    """What a log file says up to a position. Everything is read in one transaction, beside any writer.

    At the head the view's own tables are read. For an earlier position, or where the tables were made by another
    version, they are built anew beside the file.

    Attributes:
        path: the file.
        seq: the position.
        at: the time of the event there, in microseconds.
        db: the MephistoDB view.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, seq: int, *, movable: bool = False) -> None:
        """Look at a connection that is in a transaction, at a position that it holds."""
        self.path = path
        self.seq = seq
        self._db = db
        self.at: int = db.execute(_AT, (seq,)).fetchone()[0] if seq else 0
        self._tables = db if self._has_view() and not movable else self._built_view()
        self.db = MephistoDB(self._tables, self.payload)

    def stream(self, name: str) -> list[RecordedEvent]:
        """The events of a stream, the oldest first."""
        return self._recorded("WHERE stream = ? AND seq <= ? ORDER BY version", name, self.seq)

    def under(self, prefix: str) -> list[RecordedEvent]:
        """The events of all streams whose names begin so, in the order of the log."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._recorded("WHERE stream >= ? AND stream < ? AND seq <= ? ORDER BY seq", prefix, end, self.seq)

    def command(self, name: str) -> list[RecordedEvent]:
        """The events that a command made."""
        return [one for one in reader.find(self._db, name) if one.seq <= self.seq]

    def latest(self, count: int) -> list[RecordedEvent]:
        """The last events, in the order of the log."""
        return self._recorded("WHERE seq > ? AND seq <= ? ORDER BY seq", self.seq - count, self.seq)

    def events(self, after: int = 0) -> Iterator[RecordedEvent]:
        """All events after a position, in order."""
        for row in self._db.execute(f"{_EVENTS} WHERE seq > ? AND seq <= ? ORDER BY seq", (after, self.seq)):
            yield reader.recorded(*row)

    def head(self) -> Head:
        """The position, the chain there, and the time."""
        chain = self._db.execute("SELECT chain FROM events WHERE seq = ?", (self.seq,)).fetchone()
        return Head(self.seq, chain[0] if chain else GENESIS, self.at)

    def forward(self, at: int) -> None:
        """Move on to a later time, in microseconds; the view follows. For a moment that was opened as movable.

        Raises:
            ValueError: the view is the file's.
        """
        if self._tables is self._db:
            raise ValueError("the file's own view stays at the head")
        behind, self.seq = self.seq, max(self.seq, _position(self._db, None, at))
        for page in rebuild.batches(self.events(behind)):
            rebuild.apply_batch(self._tables, [MephistoDbProjection()], page, self.payload)
            self.at = page[-1].envelope.at

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
        return reader.payload(self._db, ref)

    def close(self) -> None:
        """Release the file."""
        if self._tables is not self._db:
            self._tables.close()
        self._db.close()

    def _recorded(self, condition: str, *arguments: str | int) -> list[RecordedEvent]:
        return [reader.recorded(*row) for row in self._db.execute(f"{_EVENTS} {condition}", arguments)]

    def _has_view(self) -> bool:
        projection = MephistoDbProjection()
        found = self._db.execute(_LIVE_VIEW, (projection.name,)).fetchone()
        return bool(found == (code_fingerprint(projection), self.seq))

    def _built_view(self) -> sqlite3.Connection:
        projection = MephistoDbProjection()
        kept = snapshots.nearest(self._db, projection, self.seq)
        if kept is None:
            view = rebuild.temporary_database()
            rebuild.build(view, [projection], self.events(), self.payload)
            return view
        rebuild.apply_events(kept.view, [projection], self.events(after=kept.seq), self.payload)
        rebuild.create_indexes(kept.view, projection)
        return kept.view


@contextmanager
def open_as_of(
    path: Path, *, seq: int | None = None, at: int | None = None, movable: bool = False
) -> Iterator[LogAsOf]:
    """Open a log as of a moment; nothing is written.

    Args:
        path: the file.
        seq: the position; the head, unless given.
        at: a time in microseconds, instead of a position: all that had happened by then.
        movable: whether `forward` will be called.

    Raises:
        UnusableLogError: it is not a log that this version can open, or it cannot be read.
        UnknownEntityError: the log does not have that position.
        DamagedLogError, UnknownEventError: an event on the way does not decode.
    """
    db = schema.connect_read_only(path)
    as_of: LogAsOf | None = None
    try:
        db.execute("BEGIN")
        schema.check_ours(db, path)
        as_of = LogAsOf(path, db, _position(db, seq, at), movable=movable)
        yield as_of
    except sqlite3.DatabaseError as error:
        raise UnusableLogError(f"{path} cannot be read: {error}; restore it from a backup") from error
    finally:
        if as_of is not None:
            as_of.close()
        db.close()


def _position(db: sqlite3.Connection, seq: int | None, at: int | None) -> int:
    head = reader.head(db).seq
    if at is not None:
        return bisect_right(range(1, head + 1), at, key=lambda position: _time_at(db, position))
    if seq is not None and not 0 <= seq <= head:
        raise UnknownEntityError(f"seq {seq}", f"seq {head}")
    return head if seq is None else seq


def _time_at(db: sqlite3.Connection, seq: int) -> int:
    found = db.execute(_AT, (seq,)).fetchone()
    if found is None:
        raise LogError(f"the event at seq {seq} is missing")
    at: int = found[0]
    return at
