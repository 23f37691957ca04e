"""Reads a log file from any process, without a lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from itertools import count, takewhile
from operator import itemgetter
from pathlib import Path

from ....core.chain import GENESIS, ChainPage, ChainRow, Columns
from ....core.errors import DamagedLogError, LogError, UnknownEventError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.codec import UndecodableError, UnknownKindError, decode, decode_page
from ....events.envelope import RecordedEvent, recorded_of
from . import schema

#: Events read by one query. Between two queries a reader holds no transaction, so it never blocks checkpoints. A page's
#: objects are freed before there are enough of them to trigger the garbage collector, which would make a replay a tenth
#: slower.
PAGE_EVENTS = 250

#: A damaged row may hold any type where bytes belong, or NULL. Empty bytes are neither an event nor a link.
_AS_BYTES = "CAST(ifnull({0}, '') AS BLOB)"
_DATA = _AS_BYTES.format("data")
_COLUMNS = f"{_DATA}, {_AS_BYTES.format('chain')}, {', '.join(ChainRow._fields[3:])}"
_PAGE = f"SELECT {_DATA} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq"
_EXTENT = "SELECT count(*), max(seq) FROM events WHERE seq > ?"
_RAW_PAGE = f"SELECT seq, {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
_STREAM = f"SELECT seq, {_DATA} FROM events WHERE stream = ? ORDER BY version"
_COLUMNS_PAGE = f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq"
_CHAIN = "SELECT chain FROM events WHERE seq = ?"
_COMMAND = f"""
    SELECT seq, {_DATA}, command FROM events
    WHERE seq >= (SELECT seq FROM events WHERE command = ?) ORDER BY seq
"""
_HEAD = "SELECT seq, chain, at FROM events ORDER BY seq DESC LIMIT 1"
_POSITIONS = "SELECT name, seq FROM projections WHERE live = 1"
_PAYLOAD = "SELECT body FROM payloads WHERE sha256 = ?"
_FIRST = itemgetter(0)
#: The largest position SQLite can hold.
_END = 2**63 - 1


class LogReader:
    """The current content of a log. May be used beside the writer, from any thread.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a log for reading only.

        Raises:
            UnusableLogError: it is not a log that this version can open.
        """
        self.path = path
        self._db = schema.connect_read_only(path)
        try:
            schema.check_ours(self._db, path)
        except BaseException:
            self._db.close()
            raise

    @cached_property
    def pseudonym_key(self) -> bytes:
        """The secret key of all pseudonyms in this log."""
        key: bytes = self._db.execute("SELECT pseudonym_key FROM meta").fetchone()[0]
        return key

    def connect(self) -> sqlite3.Connection:
        """Open another read-only connection to the file, for reading the tables of projections."""
        return schema.connect_read_only(self.path)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """Return the events of a command, or nothing if the log does not contain it."""
        return find(self._db, command)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events with `after < seq <= until`, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: a newer version wrote it.
        """
        last = _END if until is None else until
        while after < last:
            page_end = min(last, after + PAGE_EVENTS)
            rows = _page(self._db, after, page_end)
            try:
                yield from map(recorded_of, zip(count(after + 1), decode_page(map(_FIRST, rows))))
            except UndecodableError:
                yield from (recorded(seq, data) for seq, (data,) in enumerate(rows, after + 1))
            if len(rows) < page_end - after:
                return
            after = page_end

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """Return all events of a stream, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: a newer version wrote it.
        """
        return tuple(recorded(seq, data) for seq, data in self._db.execute(_STREAM, (stream,)).fetchall())

    def raw(self, after: int = 0) -> Iterator[ChainRow]:
        """Yield the stored rows in order, neither decoded nor checked.

        Raises:
            DamagedLogError: the rest of the file cannot be read.
        """
        for page in pages(self._db, after):
            yield from page.named()

    def chain_at(self, seq: int) -> bytes | None:
        """Return the stored value of the chain at a position, or None if there is no such event."""
        row = self._db.execute(_CHAIN, (seq,)).fetchone()
        return row[0] if row else None

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return payload(self._db, ref)

    def projection_positions(self) -> dict[str, int]:
        """Return the position of each projection kept in the file, by name."""
        return dict(self._db.execute(_POSITIONS).fetchall())

    def head(self) -> Head:
        """Return the position, chain and time of the last event."""
        return head(self._db)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def pages(db: sqlite3.Connection, after: int = 0) -> Iterator[ChainPage]:
    """Yield the stored rows in pages; a gap ends a page.

    Raises:
        DamagedLogError: the rest of the file cannot be read; everything before was yielded.
    """
    while True:
        columns: list[Columns] = []
        with suppress(sqlite3.DatabaseError):
            columns = db.execute(_COLUMNS_PAGE, (after, after + PAGE_EVENTS)).fetchall()
        if len(columns) == PAGE_EVENTS:
            # As many rows as positions, so there are no gaps.
            yield ChainPage(after + 1, columns)
            after += PAGE_EVENTS
            continue
        rows: list[ChainRow] = []
        try:
            rows.extend(map(ChainRow._make, db.execute(_RAW_PAGE, (after, PAGE_EVENTS))))
        except sqlite3.DatabaseError as error:
            yield from _runs(rows)
            last = rows[-1].seq if rows else after
            raise DamagedLogError(last + 1, f"the rest of the file cannot be read: {error}") from error
        if not rows:
            return
        yield from _runs(rows)
        after = rows[-1].seq


def _runs(rows: list[ChainRow]) -> Iterator[ChainPage]:
    """Divide rows into pages at their gaps."""
    start = 0
    for place, row in enumerate(rows):
        if place + 1 == len(rows) or rows[place + 1].seq != row.seq + 1:
            yield ChainPage(rows[start].seq, [each[1:] for each in rows[start : place + 1]])
            start = place + 1


def _page(db: sqlite3.Connection, after: int, last: int) -> list[tuple[bytes]]:
    """Return the data of the events with `after < seq <= last`. Positions have no gaps, so they need not be read."""
    try:
        rows = db.execute(_PAGE, (after, last)).fetchall()
        if len(rows) < last - after:
            # The end of the log, or a gap.
            found, highest = db.execute(_EXTENT, (after,)).fetchone()
            if found and highest != after + found:
                raise DamagedLogError(after + 1, f"events are missing near here: the last one is seq {highest}")
    except sqlite3.DatabaseError as error:
        raise DamagedLogError(after + 1, f"the file cannot be read near here: {error}") from error
    return rows


def recorded(seq: int, data: bytes) -> RecordedEvent:
    """Decode an event.

    Raises:
        DamagedLogError: the row does not decode.
        UnknownEventError: a newer version wrote it.
    """
    try:
        return RecordedEvent(seq, decode(data))
    except UnknownKindError as error:
        raise UnknownEventError(f"seq {seq}: {error}; update mephisto-es to read it") from error
    except UndecodableError as error:
        raise DamagedLogError(seq, f"the event cannot be read: {error}") from error


def find(db: sqlite3.Connection, command: str) -> tuple[RecordedEvent, ...]:
    """Return the events of a command, which are adjacent."""
    rows = takewhile(lambda row: row[2] in (command, None), db.execute(_COMMAND, (command,)))
    return tuple(recorded(seq, data) for seq, data, _ in rows)


def head(db: sqlite3.Connection) -> Head:
    """Return the head of the chain.

    Raises:
        LogError: that part of the file cannot be read.
    """
    try:
        row = db.execute(_HEAD).fetchone()
    except sqlite3.Error as error:
        raise LogError(f"the head of the log cannot be read: {error}") from error
    return Head(*row) if row else Head(0, GENESIS, 0)


def payload(db: sqlite3.Connection, ref: PayloadRef) -> bytes | None:
    """Return the bytes behind a reference, or None if they were erased."""
    row = db.execute(_PAYLOAD, (ref.sha256,)).fetchone()
    return row[0] if row else None
