"""Reads a log file from any process, without a lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count, takewhile
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from ....core.chain import ChainPage, ChainRow, Columns, genesis
from ....core.errors import DamagedLogError, LogError, UnknownEventError
from ....core.ports import Head
from ....events.base import PayloadRef
from ....events.codec import UndecodableError, UnknownKindError, decode, decode_page
from ....events.envelope import RecordedEvent, recorded_of
from ..epochs import AFTER_COMMANDS, FIRST_COMMAND, epoch_of
from . import schema, schema_check

#: Events read by one query. Between two queries a reader holds no transaction, so it never blocks checkpoints. A page's
#: objects are freed before there are enough of them to trigger the garbage collector, which would make a replay a tenth
#: slower.
PAGE_EVENTS = 250

#: A damaged row may hold any type where bytes belong, or NULL. Empty bytes are neither an event nor a link.
_AS_BYTES = "CAST(ifnull({0}, '') AS BLOB)"
_DATA = _AS_BYTES.format("data")
_EPOCH = "CAST(ifnull(epoch, 0) AS INTEGER)"
_COLUMNS = f"{_DATA}, {_AS_BYTES.format('chain')}, {_EPOCH}, {', '.join(ChainRow._fields[4:])}"
_PAGE = f"SELECT {_DATA} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {PAGE_EVENTS}"
_EXTENT = "SELECT count(*), max(seq) FROM events WHERE seq > ?"
_RAW_PAGE = f"SELECT seq, {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
#: Selects events for `recorded`; conditions are appended.
EVENTS = f"SELECT seq, {_DATA} FROM events"
_STREAM = f"{EVENTS} WHERE stream = ? ORDER BY version"
_STORED_STREAM = f"SELECT seq, {_COLUMNS} FROM events WHERE stream = ? ORDER BY version"
_COLUMNS_PAGE = f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {PAGE_EVENTS + 1}"
_CHAIN = "SELECT chain FROM events WHERE seq = ?"
_COMMAND = f"""
    SELECT seq, {_DATA}, command FROM events
    WHERE seq >= (SELECT seq FROM events WHERE command = ?) ORDER BY seq
"""
_HEAD = "SELECT seq, chain, at FROM events ORDER BY seq DESC LIMIT 1"
_META = "SELECT pseudonym_key, created_by FROM meta"
_LAST_EPOCHS = "SELECT epoch, ifnull((SELECT epoch FROM events ORDER BY seq DESC LIMIT 1), 0) FROM writer"
_LAST_COMMAND = "SELECT max(command) FROM events WHERE command >= ? AND command < ?"
_POSITIONS = "SELECT name, seq FROM projections WHERE live = 1"
_PAYLOAD = "SELECT body FROM payloads WHERE sha256 = ?"
_FIRST, _SECOND = itemgetter(0), itemgetter(1)
#: The largest position SQLite can hold.
_END = 2**63 - 1

#: A row whose first value is its position.
R = TypeVar("R", bound=tuple[object, ...])


class LogReader:
    """The current content of a log. May be used beside the writer, from any thread.

    Every method raises LogError if the part of the file it needs cannot be read.

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
    def _meta(self) -> tuple[bytes, str]:
        return meta(self._db)

    @property
    def pseudonym_key(self) -> bytes:
        """The secret key of all pseudonyms in this log."""
        return self._meta[0]

    @property
    def created_by(self) -> str:
        """The name and version of the program that created the log."""
        return self._meta[1]

    @property
    def genesis(self) -> bytes:
        """The value of the chain before the first event."""
        return genesis(*self._meta)

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
        with reading(f"the events of {stream}"):
            rows = self._db.execute(_STREAM, (stream,)).fetchall()
        return tuple(recorded(seq, data) for seq, data in rows)

    def stored(self, stream: str) -> list[ChainRow]:
        """Return the stored rows of a stream in order, neither decoded nor checked."""
        with reading(f"the events of {stream}"):
            return [ChainRow(*row) for row in self._db.execute(_STORED_STREAM, (stream,)).fetchall()]

    def raw(self, after: int = 0) -> Iterator[ChainRow]:
        """Yield the stored rows in order, neither decoded nor checked.

        Raises:
            DamagedLogError: the rest of the file cannot be read.
        """
        for page in pages(self._db, after):
            yield from page.named()

    def chain_at(self, seq: int) -> bytes | None:
        """Return the stored value of the chain at a position, or None if there is no such event."""
        with reading(f"the event at seq {seq}"):
            row = self._db.execute(_CHAIN, (seq,)).fetchone()
        return row[0] if row else None

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference, or None if they were erased."""
        return payload(self._db, ref)

    def projection_positions(self) -> dict[str, int]:
        """Return the position of each projection kept in the file, by name."""
        with reading("the positions of the projections"):
            return dict(self._db.execute(_POSITIONS).fetchall())

    def schema_problems(self) -> list[str]:
        """Return the tables, indexes and triggers of a log that are missing or changed, and foreign triggers."""
        with reading("the schema"):
            return list(schema_check.log_schema_problems(self._db))

    def head(self) -> Head:
        """Return the position, chain and time of the last event."""
        found = last(self._db)
        return Head(0, self.genesis, 0) if found is None else found

    def is_whole(self) -> bool:
        """Return whether every page of the file can be read, which takes a second for each hundred megabytes."""
        return bool(self._db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._db.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Convert errors of SQLite while a part of a log is read.

    Args:
        part: what is read, for the message.

    Raises:
        LogError: it cannot be read.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise LogError(
            f"{part} cannot be read: {error}; "
            "see with `mephisto-es verify` how far the log is intact, and restore a backup"
        ) from error


def ascending(rows: Iterator[R], after: int) -> Iterator[R]:
    """Yield rows by their position, and refuse to go backwards, as a damaged page can make SQLite do.

    Args:
        rows: rows that begin with their position.
        after: the position before the first row.

    Raises:
        DamagedLogError: a position is not larger than the one before it.
    """
    for row in rows:
        seq = row[0]
        if not isinstance(seq, int) or seq <= after:
            raise DamagedLogError(after + 1, f"the rest of the file cannot be read: seq {seq} comes after seq {after}")
        after = seq
        yield row


def pages(db: sqlite3.Connection, after: int = 0) -> Iterator[ChainPage]:
    """Yield the stored rows in pages; a gap ends a page. Positions only ever increase.

    Raises:
        DamagedLogError: the rest of the file cannot be read; everything before was yielded.
    """
    while True:
        columns: list[Columns] = []
        with suppress(sqlite3.DatabaseError):
            columns = db.execute(_COLUMNS_PAGE, (after, after + PAGE_EVENTS)).fetchall()
        if len(columns) == PAGE_EVENTS:
            # As many rows as positions, so there are no gaps, or the chain will show that a page is damaged.
            yield ChainPage(after + 1, columns)
            after += PAGE_EVENTS
            continue
        rows, error = _raw_page(db, after)
        if error is not None:
            yield from _runs(rows)
            raise error
        if not rows:
            return
        yield from _runs(rows)
        after = rows[-1].seq


def _raw_page(db: sqlite3.Connection, after: int) -> tuple[list[ChainRow], DamagedLogError | None]:
    """Read the next rows one by one. Returns those that can be read, and the error that prevents reading more."""
    rows: list[ChainRow] = []
    text_factory, db.text_factory = db.text_factory, _lenient_text
    try:
        rows.extend(ascending(map(ChainRow._make, db.execute(_RAW_PAGE, (after, PAGE_EVENTS))), after))
    except DamagedLogError as error:
        return rows, error
    except sqlite3.DatabaseError as error:
        damaged = rows[-1].seq + 1 if rows else after + 1
        return rows, DamagedLogError(damaged, f"the rest of the file cannot be read: {error}")
    finally:
        db.text_factory = text_factory
    return rows, None


def _lenient_text(stored: bytes) -> str:
    """Decode text of a damaged row. The comparison with the event will show that it is wrong."""
    return stored.decode(errors="replace")


def _runs(rows: list[ChainRow]) -> Iterator[ChainPage]:
    """Divide rows into pages at their gaps."""
    start = 0
    for place, row in enumerate(rows):
        if place + 1 == len(rows) or rows[place + 1].seq != row.seq + 1:
            yield ChainPage(rows[start].seq, [each[1:] for each in rows[start : place + 1]])
            start = place + 1


def _page(db: sqlite3.Connection, after: int, last_seq: int) -> list[tuple[bytes]]:
    """Return the data of the events with `after < seq <= last_seq`. Positions have no gaps and are not read."""
    try:
        rows = db.execute(_PAGE, (after, last_seq)).fetchall()
        if len(rows) < last_seq - after:
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
        raise UnknownEventError(f"seq {seq}: {error}; update mephisto-es and start it again") from error
    except UndecodableError as error:
        raise DamagedLogError(seq, f"the event cannot be read: {error}") from error


def recorded_page(rows: Sequence[tuple[int, bytes]]) -> list[RecordedEvent]:
    """Decode events with their positions at less cost than one by one. Raises the errors of `recorded`."""
    try:
        return list(map(recorded_of, zip(map(_FIRST, rows), decode_page(map(_SECOND, rows)), strict=True)))
    except UndecodableError:
        return [recorded(seq, data) for seq, data in rows]


def find(db: sqlite3.Connection, command: str) -> tuple[RecordedEvent, ...]:
    """Return the events of a command, which are adjacent."""
    with reading(f"the events of the command {command}"):
        rows = ascending(db.execute(_COMMAND, (command,)), 0)
        of_command = [*takewhile(lambda row: row[2] in (command, None), rows)]
    return tuple(recorded(seq, data) for seq, data, _ in of_command)


def last(db: sqlite3.Connection) -> Head | None:
    """Return the position, chain and time of the last event, or None if there is none."""
    with reading("the head of the log"):
        row = db.execute(_HEAD).fetchone()
    match row:
        case None:
            return None
        case (int() as seq, bytes() as chain, int() as at):
            return Head(seq, chain, at)
        case _:
            raise LogError("the head of the log is damaged; restore a backup")


def meta(db: sqlite3.Connection) -> tuple[bytes, str]:
    """Return the secret key of the log, and the name and version of the program that created it."""
    with reading("the key of the log"):
        row = db.execute(_META).fetchone()
    match row:
        case (bytes() as key, str() as created_by):
            return key, created_by
        case _:
            raise LogError("the key of the log is missing or damaged; restore a backup")


def last_epoch(db: sqlite3.Connection) -> int:
    """Return the largest epoch of a writer so far, even if the stored number was lost in a copy, or changed."""
    written: tuple[int, int] = db.execute(_LAST_EPOCHS).fetchone()
    command: str | None = db.execute(_LAST_COMMAND, (FIRST_COMMAND, AFTER_COMMANDS)).fetchone()[0]
    return max(*written, epoch_of(command))


def payload(db: sqlite3.Connection, ref: PayloadRef) -> bytes | None:
    """Return the bytes behind a reference, or None if they were erased."""
    with reading(f"the payload {ref.sha256}"):
        row = db.execute(_PAYLOAD, (ref.sha256,)).fetchone()
    return row[0] if row else None


def head_of_whole_log(path: Path) -> Head | None:
    """Return the last event of a log, read over a connection of its own; None if a page of the file is damaged.

    Raises:
        UnusableLogError, DamagedLogError: as `LogReader`.
        sqlite3.Error: a page of the file cannot be read.
    """
    with LogReader(path) as log:
        return log.head() if log.is_whole() else None
