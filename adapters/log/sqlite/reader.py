"""Reading a log file: what readers of any process may do, without a lock."""

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
from ....events.codec import UndecodableError, UnknownKind, decode, decode_page
from ....events.envelope import RecordedEvent, recorded_of
from . import schema

#: Events read by one query. Between two queries a reader holds no transaction, so it never keeps the file from
#: being checkpointed. So few that a page's objects are gone before there are enough of them to start the garbage
#: collector, which would cost a replay a tenth of its time.
PAGE_EVENTS = 250

#: A damaged row may hold anything where bytes belong, also nothing. No bytes are no event, and no link of a chain.
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
    """A log as of whenever it is asked. May be used beside the writer, from any thread.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Open a log; nothing is written.

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
        """The secret that keys all pseudonyms of this log."""
        key: bytes = self._db.execute("SELECT pseudonym_key FROM meta").fetchone()[0]
        return key

    def connect(self) -> sqlite3.Connection:
        """Another read-only connection to the same file, for reading the projections' tables."""
        return schema.connect_read_only(self.path)

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """The events of a command, empty if the log does not know it."""
        return find(self._db, command)

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Events with `after < seq <= until`, in order.

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
        """All events of one stream, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: a newer version wrote it.
        """
        return tuple(recorded(seq, data) for seq, data in self._db.execute(_STREAM, (stream,)).fetchall())

    def raw(self, after: int = 0) -> Iterator[ChainRow]:
        """Rows as they are stored, undecoded and unchecked, in order.

        Raises:
            DamagedLogError: the file cannot be read any further.
        """
        for page in pages(self._db, after):
            yield from page.named()

    def chain_at(self, seq: int) -> bytes | None:
        """The stored value of the chain at a position; None if there is no such event."""
        row = self._db.execute(_CHAIN, (seq,)).fetchone()
        return row[0] if row else None

    def payload(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None if they were erased."""
        return payload(self._db, ref)

    def projection_positions(self) -> dict[str, int]:
        """Return the position of each projection kept in the file, by name."""
        return dict(self._db.execute(_POSITIONS).fetchall())

    def head(self) -> Head:
        """The last event's position, chain and time."""
        return head(self._db)

    def close(self) -> None:
        """Release the file. Twice is harmless."""
        self._db.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def pages(db: sqlite3.Connection, after: int = 0) -> Iterator[ChainPage]:
    """Rows as they are stored, some at a time; a gap ends a page.

    Raises:
        DamagedLogError: the file cannot be read any further; all that can be was handed out before.
    """
    while True:
        columns: list[Columns] = []
        with suppress(sqlite3.DatabaseError):
            columns = db.execute(_COLUMNS_PAGE, (after, after + PAGE_EVENTS)).fetchall()
        if len(columns) == PAGE_EVENTS:
            # As many as there are positions, so there is no gap among them.
            yield ChainPage(after + 1, columns)
            after += PAGE_EVENTS
            continue
        rows: list[ChainRow] = []
        try:
            rows.extend(map(ChainRow._make, db.execute(_RAW_PAGE, (after, PAGE_EVENTS))))
        except sqlite3.DatabaseError as error:
            yield from _runs(rows)
            last = rows[-1].seq if rows else after
            raise DamagedLogError(last + 1, f"the file cannot be read from here on: {error}") from error
        if not rows:
            return
        yield from _runs(rows)
        after = rows[-1].seq


def _runs(rows: list[ChainRow]) -> Iterator[ChainPage]:
    """Rows cut into pages at their gaps."""
    start = 0
    for place, row in enumerate(rows):
        if place + 1 == len(rows) or rows[place + 1].seq != row.seq + 1:
            yield ChainPage(rows[start].seq, [each[1:] for each in rows[start : place + 1]])
            start = place + 1


def _page(db: sqlite3.Connection, after: int, last: int) -> list[tuple[bytes]]:
    """The data of the events with `after < seq <= last`, in order. Positions have no gaps, so they need not be read."""
    try:
        rows = db.execute(_PAGE, (after, last)).fetchall()
        if len(rows) < last - after:
            # The end of the log, or a gap.
            found, highest = db.execute(_EXTENT, (after,)).fetchone()
            if found and highest != after + found:
                raise DamagedLogError(
                    after + 1, f"events are missing from about here on: the last one is seq {highest}"
                )
    except sqlite3.DatabaseError as error:
        raise DamagedLogError(after + 1, f"the file cannot be read from about here on: {error}") from error
    return rows


def recorded(seq: int, data: bytes) -> RecordedEvent:
    """An event from its row.

    Raises:
        DamagedLogError: the row does not decode.
        UnknownEventError: a newer version wrote it.
    """
    try:
        return RecordedEvent(seq, decode(data))
    except UnknownKind as error:
        raise UnknownEventError(f"seq {seq}: {error}; update mephisto-es to read on") from error
    except UndecodableError as error:
        raise DamagedLogError(seq, f"the event cannot be read: {error}") from error


def find(db: sqlite3.Connection, command: str) -> tuple[RecordedEvent, ...]:
    """The events of a command: they stand together."""
    rows = takewhile(lambda row: row[2] in (command, None), db.execute(_COMMAND, (command,)))
    return tuple(recorded(seq, data) for seq, data, _ in rows)


def head(db: sqlite3.Connection) -> Head:
    """The end of the chain.

    Raises:
        LogError: the file cannot be read there.
    """
    try:
        row = db.execute(_HEAD).fetchone()
    except sqlite3.Error as error:
        raise LogError(f"the end of the log cannot be read: {error}") from error
    return Head(*row) if row else Head(0, GENESIS, 0)


def payload(db: sqlite3.Connection, ref: PayloadRef) -> bytes | None:
    """The bytes behind a reference."""
    row = db.execute(_PAYLOAD, (ref.sha256,)).fetchone()
    return row[0] if row else None
