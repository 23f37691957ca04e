"""Copies whole logs between SQLite and PostgreSQL. Events keep their bytes and their order; chains are made anew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from ....core.chain import ChainRow, genesis, link
from ....core.errors import DamagedLogError, LogError, UnusableLogError
from ....core.ports import Head
from ....events.streams import partition_of
from ....projections.engine.projection import Projection
from ...private_files import sync_folder
from ..anchor import anchor_path
from ..sqlite import reader, schema
from ..sqlite.file_identity import wal_paths
from ..sqlite.log import SqliteLog
from ..sqlite.open_checks import IN_POSTGRES
from . import reading, writing
from .plan import PartitionRow
from .server import Connection, Server

#: Events, and payloads, that are copied at a time.
BATCH_ROWS = 1000
PAYLOAD_ROWS = 100
#: The epoch of copied events, as one writer has copied them.
_EPOCH = 1
_SQLITE_EVENTS = f"SELECT {', '.join(ChainRow._fields)} FROM events ORDER BY seq"
_SQLITE_PAYLOADS = "SELECT sha256, salt, body, subject FROM payloads"
_HAS_EVENTS = "SELECT 1 FROM es.event LIMIT 1"
_SET_META = "UPDATE es.meta SET pseudonym_key = %s, created_by = %s, epoch = greatest(epoch, %s)"
_LAST_EPOCH = "SELECT epoch FROM es.meta"
_ADD_PARTITIONS = "INSERT INTO es.partition (partition) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING"
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_COPY_EVENTS = f"COPY es.event ({', '.join(PartitionRow._fields)}) FROM STDIN"
_COPY_FEED = "COPY es.feed (pos, partition, seq, n) FROM STDIN"
_COPY_PAYLOADS = "COPY es.payload (sha256, salt, body, subject) FROM STDIN"
_EVENTS = """
    SELECT f.pos + e.seq - f.seq, e.stream, e.version, e.kind,
           e.partition, e.seq, e.at, e.command, e.ordinal, e.epoch, e.data, e.chain
      FROM es.feed f JOIN es.event e ON e.partition = f.partition AND e.seq BETWEEN f.seq AND f.seq + f.n - 1
     ORDER BY 1
"""
_PAYLOADS = "SELECT sha256, salt, body, subject FROM es.payload"


def copy_to_postgres(path: Path, address: str) -> int:
    """Copy a log file into a database, even while an operator writes the file. Everything is copied, or nothing.

    Args:
        path: the file.
        address: the server and database, as a URL or connection string of libpq.

    Returns:
        The number of events.

    Raises:
        UnusableLogError: the file is not a log, the server cannot be used, or its log has events already.
        LogError: the file cannot be read, or the server refused.
    """
    with closing(Server(address)) as server, closing(schema.connect_read_only(path)) as source:
        schema.check_ours(source, path)
        key, created_by = reader.meta(source)
        created_by = created_by.removesuffix(IN_POSTGRES)
        server.call(lambda db: writing.install(db, key))
        try:
            source.execute("BEGIN")
            return server.call(lambda db: _fill(db, source, key, created_by))
        except sqlite3.Error as error:
            raise LogError(f"{path} cannot be read: {error}") from error


def copy_from_postgres(address: str, path: Path, projections: Sequence[Projection]) -> int:
    """Copy the log of a database into a new file, even while operators write to it, and build its views.

    Args:
        address: the server and database, as a URL or connection string of libpq.
        path: the file to create.
        projections: the projections to build.

    Returns:
        The number of events.

    Raises:
        UnusableLogError: the file exists, or the server cannot be used or has no log.
        DamagedLogError: the log in the database was changed. There is no file then.
        LogError: the server refused, or the file cannot be written.
    """
    for file in (path, anchor_path(path)):
        if file.exists():
            raise UnusableLogError(f"{file} exists already; choose another path for the copy")
    draft = path.with_name(f"{path.name}.copy")
    try:
        with closing(Server(address)) as server:
            events = server.call(lambda db: _read_out(db, draft))
        os.replace(draft, path)
        sync_folder(path.parent)
    except (sqlite3.Error, OSError) as error:
        raise LogError(f"{path} cannot be written: {error}") from error
    finally:
        _remove(draft)
    SqliteLog.create_or_open(path, projections).close()
    return events


class _Partitions:
    """Gives the events of one log their positions and chains in partitions."""

    def __init__(self, pseudonym_key: bytes, created_by: str) -> None:
        self.events = 0
        self._genesis = pseudonym_key, created_by
        self._heads: dict[str, Head] = {}
        self._command, self._ordinal = "", 0

    def number(self, row: ChainRow) -> PartitionRow:
        """Return the row of the next event."""
        if row.command is None:
            self._ordinal += 1
        else:
            self._command, self._ordinal = row.command, 0
        self.events += 1
        partition = partition_of(row.stream)
        head = self._heads.get(partition) or Head(0, reading.partition_genesis(*self._genesis, partition), 0)
        chain = link(head.chain, head.seq + 1, _EPOCH, row.data)
        self._heads[partition] = Head(head.seq + 1, chain, row.at)
        return PartitionRow(
            partition,
            head.seq + 1,
            row.stream,
            row.version,
            row.kind,
            row.at,
            self._command,
            self._ordinal,
            _EPOCH,
            row.data,
            chain,
        )


def _fill(db: Connection, source: sqlite3.Connection, key: bytes, created_by: str) -> int:
    created_by += IN_POSTGRES
    partitions = _Partitions(key, created_by)
    with db.transaction(), db.cursor() as cursor:
        cursor.execute("LOCK TABLE es.event IN SHARE ROW EXCLUSIVE MODE")
        if cursor.execute(_HAS_EVENTS).fetchone() is not None:
            raise UnusableLogError("the database has a log with events already; choose an empty database")
        cursor.execute(_SET_META, (key, created_by, reader.last_epoch(source)))
        events = map(ChainRow._make, source.execute(_SQLITE_EVENTS))
        while batch := [partitions.number(row) for row in islice(events, BATCH_ROWS)]:
            cursor.execute(_ADD_PARTITIONS, (sorted({row.partition for row in batch}),))
            with cursor.copy(_COPY_EVENTS) as copy:
                for row in batch:
                    copy.write_row(row)
            with cursor.copy(_COPY_FEED) as copy:
                for place in _places(batch, partitions.events - len(batch) + 1):
                    copy.write_row(place)
        with cursor.copy(_COPY_PAYLOADS) as copy:
            for payload in source.execute(_SQLITE_PAYLOADS):
                copy.write_row(payload)
    return partitions.events


def _places(batch: Sequence[PartitionRow], first: int) -> Iterator[tuple[int, str, int, int]]:
    """Yield the rows of the common order for events at consecutive positions."""
    begin = 0
    for end in range(1, len(batch) + 1):
        if end == len(batch) or batch[end].partition != batch[begin].partition:
            yield first + begin, batch[begin].partition, batch[begin].seq, end - begin
            begin = end


def _read_out(db: Connection, draft: Path) -> int:
    _remove(draft)
    if not writing.is_installed(db):
        raise UnusableLogError("the database has no log; check its address")
    reading.common_head(db)
    with db.transaction():
        db.execute(_SNAPSHOT)
        key, created_by = reading.meta(db)
        # A log of its own from now on.
        name = created_by.removesuffix(IN_POSTGRES)
        schema.create_file(draft, key, name)
        with closing(schema.connect_read_write(draft)) as target:
            target.execute("BEGIN")
            # The next writer has to have a higher number than any writer of the log has had.
            target.execute("UPDATE writer SET epoch = ?", db.execute(_LAST_EPOCH).fetchone() or (0,))
            head = Head(0, genesis(key, name), 0)
            heads: dict[str, Head] = {}
            with db.cursor("events", binary=True) as cursor:
                cursor.itersize = BATCH_ROWS
                for position, stream, version, kind, *columns in cursor.execute(_EVENTS):
                    row = reading.NewsRow._make(columns)
                    before = heads.get(row.partition) or Head(
                        0, reading.partition_genesis(key, created_by, row.partition), 0
                    )
                    heads[row.partition] = reading.linked(before, row)
                    if position != head.seq + 1:
                        raise DamagedLogError(head.seq + 1, "the common order has a gap")
                    head = Head(position, link(head.chain, position, _EPOCH, row.data), row.at)
                    command = None if row.ordinal else row.command
                    copied = (position, row.data, head.chain, _EPOCH, stream, version, kind, row.at, command)
                    schema.insert_events(target, [copied])
            with db.cursor("payloads", binary=True) as cursor:
                cursor.itersize = PAYLOAD_ROWS
                schema.insert_payloads(target, cursor.execute(_PAYLOADS))
            target.execute("COMMIT")
    return head.seq


def _remove(draft: Path) -> None:
    for file in (draft, *wal_paths(draft)):
        file.unlink(missing_ok=True)
