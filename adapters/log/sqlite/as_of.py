"""Reads a log file as of its head, an earlier position, or a time."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import msgspec

from ....core.chain import genesis
from ....core.errors import DamagedLogError, UnknownEntityError, UnusableLogError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....projections.engine import rebuild
from ....projections.engine.fingerprint import code_fingerprint
from ....projections.mephisto_db import MephistoDB, MephistoDbProjection
from . import reader, schema, snapshots
from .open_checks import IN_POSTGRES

_AT = "SELECT at FROM events WHERE seq = ?"
_FIRST_AFTER = "SELECT seq FROM events WHERE at > ? ORDER BY seq LIMIT 1"
_CHAIN = "SELECT chain FROM events WHERE seq = ?"
_SEQ = attrgetter("seq")
_LIVE_VIEW = "SELECT code, seq FROM projections WHERE name = ? AND live = 1"


class LogAsOf:
    """A log file as of a position. Everything is read in one transaction, whatever a writer does meanwhile.

    At the head, the view's own tables are read. For an earlier position, or if other code built the tables, they are
    rebuilt in a separate database.

    Attributes:
        path: the file.
        seq: the position.
        at: the time of the event at that position, in microseconds.
        db: the MephistoDB view.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, seq: int, *, can_advance: bool = False) -> None:
        """Read through a connection that is in a transaction, as of a position in its log."""
        self.path = path
        self.seq = seq
        self._db = db
        self.at = _time_at(db, seq) if seq else 0
        self._tables = db if self._has_view() and not can_advance else self._built_view()
        self.db = MephistoDB(self._tables, None if self._tables is self._db else self.payload)

    def stream(self, name: str) -> list[RecordedEvent]:
        """Return the events of a stream, oldest first."""
        return self._recorded("WHERE stream = ? AND seq <= ? ORDER BY version", name, self.seq)

    def streams(self, names: Collection[str]) -> dict[str, list[RecordedEvent]]:
        """Return the events of several streams by their names, read together, oldest first."""
        found: dict[str, list[RecordedEvent]] = {name: [] for name in names}
        among = f"{reader.EVENTS} WHERE stream IN (SELECT value FROM json_each(?)) AND seq <= ?"
        rows = self._db.execute(among, (msgspec.json.encode(list(found)).decode(), self.seq)).fetchall()
        for one in reader.recorded_page(rows):
            found[one.envelope.stream].append(one)
        for events in found.values():
            events.sort(key=_SEQ)
        return found

    def under(self, prefix: str) -> list[RecordedEvent]:
        """Return the events of all streams whose names start with a prefix, in log order."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._recorded("WHERE stream >= ? AND stream < ? AND seq <= ? ORDER BY seq", prefix, end, self.seq)

    def command(self, name: str) -> list[RecordedEvent]:
        """Return the events of a command."""
        return [one for one in reader.find(self._db, name) if one.seq <= self.seq]

    def latest(self, count: int) -> list[RecordedEvent]:
        """Return the last events, in log order."""
        return self._recorded("WHERE seq > ? AND seq <= ? ORDER BY seq", self.seq - count, self.seq)

    def events(self, after: int = 0) -> Iterator[RecordedEvent]:
        """Yield the events after a position, in order."""
        rows = self._db.execute(f"{reader.EVENTS} WHERE seq > ? AND seq <= ? ORDER BY seq", (after, self.seq))
        for seq, data in reader.ascending(rows, after):
            yield reader.recorded(seq, data)

    def head(self) -> Head:
        """Return the position, and the chain and time there."""
        found = self._db.execute(_CHAIN, (self.seq,)).fetchone()
        return Head(self.seq, found[0] if found else genesis(*reader.meta(self._db)), self.at)

    def advance(self, at: int) -> None:
        """Advance to a later time, in microseconds, and update the view. Requires `can_advance`.

        Raises:
            ValueError: it was opened without `can_advance`, so the view is the file's own.
        """
        if self._tables is self._db:
            raise ValueError("the file's own view stays at the head; open it with can_advance")
        behind, self.seq = self.seq, max(self.seq, _position(self._db, None, at))
        for batch in rebuild.batches(self.events(behind)):
            rebuild.apply_batch(self._tables, [MephistoDbProjection()], batch, self.payload)
            self.at = batch[-1].envelope.at

    @property
    def pseudonym_key(self) -> bytes:
        """The secret key of all pseudonyms in the log."""
        return reader.meta(self._db)[0]

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return reader.payload(self._db, ref)

    def close(self) -> None:
        """Close the file."""
        if self._tables is not self._db:
            self._tables.close()
        self._db.close()

    def _recorded(self, condition: str, *arguments: str | int) -> list[RecordedEvent]:
        return [reader.recorded(*row) for row in self._db.execute(f"{reader.EVENTS} {condition}", arguments)]

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
    path: Path, *, seq: int | None = None, at: int | None = None, can_advance: bool = False
) -> Iterator[LogAsOf]:
    """Open a log as of a position, for reading only.

    Args:
        path: the file.
        seq: the position; the head by default.
        at: a time in microseconds, instead of a position: everything up to and including that time.
        can_advance: whether `advance` will be called.

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
        as_of = LogAsOf(path, db, _position(db, seq, at), can_advance=can_advance)
        yield as_of
    except sqlite3.DatabaseError as error:
        raise UnusableLogError(f"{path} cannot be read: {error}; restore it from a backup") from error
    finally:
        if as_of is not None:
            as_of.close()
        db.close()


def _position(db: sqlite3.Connection, seq: int | None, at: int | None) -> int:
    last = reader.last(db)
    head = 0 if last is None else last.seq
    if at is not None and reader.meta(db)[1].endswith(IN_POSTGRES):
        # Several clocks: the moment is before the first event that is later.
        later = db.execute(_FIRST_AFTER, (at,)).fetchone()
        return head if later is None else int(later[0]) - 1
    if at is not None:
        return bisect_right(range(1, head + 1), at, key=lambda position: _time_at(db, position))
    if seq is not None and not 0 <= seq <= head:
        raise UnknownEntityError(f"seq {seq}", f"seq {head}")
    return head if seq is None else seq


def _time_at(db: sqlite3.Connection, seq: int) -> int:
    match db.execute(_AT, (seq,)).fetchone():
        case (int() as at,):
            return at
        case None:
            raise DamagedLogError(seq, "the event is missing")
        case _:
            raise DamagedLogError(seq, "the time of the event is damaged")
