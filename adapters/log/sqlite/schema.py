"""The tables of a log file: recognizing, opening, creating, and filling them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from ....core.chain import ChainRow, Columns
from ....core.errors import UnusableLogError
from ....events.ids import WorkerId

#: Stands in the header of every file of ours: "mphE".
APPLICATION_ID = 0x6D706845
#: Raised when an older version could not read the file any more; stands in the header as `user_version`.
FORMAT = 1

#: The events of a command stand together. Only the first has it as a column: that is enough to find a command, and to
#: have it once, and to say it again beside each of its events makes a commit of 100 events a tenth dearer.
TABLES = """
CREATE TABLE meta(
  one           INTEGER PRIMARY KEY CHECK (one = 1),
  pseudonym_key BLOB NOT NULL CHECK (length(pseudonym_key) = 32),
  created_by    TEXT NOT NULL
) STRICT;
CREATE TABLE writer(
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL
) STRICT;
CREATE TABLE events(
  seq     INTEGER PRIMARY KEY,
  stream  TEXT    NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  kind    TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  command TEXT,
  data    BLOB    NOT NULL,
  chain   BLOB    NOT NULL CHECK (length(chain) = 32),
  UNIQUE (stream, version)
) STRICT;
CREATE UNIQUE INDEX events_by_command ON events(command) WHERE command IS NOT NULL;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TABLE payloads(
  sha256  TEXT PRIMARY KEY,
  salt    BLOB NOT NULL,
  body    BLOB NOT NULL,
  subject INTEGER
) STRICT;
CREATE INDEX payloads_by_subject ON payloads(subject) WHERE subject IS NOT NULL;
CREATE TABLE projections(
  name       TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  code       TEXT    NOT NULL,
  seq        INTEGER NOT NULL,
  live       INTEGER NOT NULL,
  PRIMARY KEY (name, generation)
) STRICT;
CREATE TABLE snapshots(
  seq    INTEGER NOT NULL,
  code   TEXT    NOT NULL,
  state  BLOB    NOT NULL,
  digest BLOB    NOT NULL,
  PRIMARY KEY (seq, code)
) STRICT;
"""

#: WAL and FULL are what "durable" means here. A file left large by a burst shrinks again. `recursive_triggers`: without
#: it INSERT OR REPLACE slips past the trigger on DELETE. `secure_delete`: what is forgotten leaves no bytes behind.
WRITER_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=1000",
    "journal_size_limit=67108864",
    "mmap_size=0",
    "recursive_triggers=ON",
    "trusted_schema=OFF",
    "secure_delete=ON",
)
_EVENT = f"INSERT INTO events({', '.join(ChainRow._fields)}) VALUES ({', '.join('?' * len(ChainRow._fields))})"
_PAYLOAD = "INSERT OR IGNORE INTO payloads(sha256, salt, body, subject) VALUES (?, ?, ?, ?)"
#: How long SQLite waits for another connection's lock before it gives up.
BUSY_TIMEOUT_SECONDS = 5.0


def connect_read_write(path: Path) -> sqlite3.Connection:
    """A connection for the one writer; the file is made if there is none."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_SECONDS)
    for pragma in WRITER_PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    return db


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing in the file and never checkpoints.

    A file in a folder that cannot be written to is opened as one that nobody changes, which is so.

    Raises:
        UnusableLogError: there is no such file, or it cannot be opened.
    """
    if not path.is_file():
        raise UnusableLogError(f"there is no log at {path}; check the path")
    return _connect(path, still=not os.access(path.parent, os.W_OK) and not _wal(path).exists())


def _connect(path: Path, *, still: bool) -> sqlite3.Connection:
    """A read-only connection.

    Args:
        path: the file.
        still: nobody changes the file while it is open, so SQLite need make no `-wal` and `-shm` beside it.
    """
    mode = "mode=ro&immutable=1" if still else "mode=ro"
    try:
        db = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_SECONDS,
        )
        db.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error as error:
        raise UnusableLogError(f"{path} cannot be opened: {error}") from error
    return db


def is_fresh(path: Path) -> bool:
    """Whether there is nothing at a path that a new log would destroy.

    Raises:
        UnusableLogError: there is something, and it is not a log that this version can open.
    """
    if not path.exists():
        return True
    if path.is_file() and path.stat().st_size == 0:
        return True
    db = _connect(path, still=not _wal(path).exists())
    try:
        return not _is_ours(db, path)
    finally:
        db.close()


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def check_ours(db: sqlite3.Connection, path: Path) -> None:
    """Make sure that a connection is to a log that this version can read.

    Raises:
        UnusableLogError: it is not.
    """
    if not _is_ours(db, path):
        raise UnusableLogError(f"{path} is empty: no log was made in it yet")


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """True: a log; False: a database in which nothing was made yet."""
    try:
        application: int = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        things: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: SQLite quotes what it cannot read
        raise UnusableLogError(f"{path} is not a log of mephisto-es: {error}") from error
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise UnusableLogError(
                f"{path} has format {version}, this version reads up to {FORMAT}; update mephisto-es to open it"
            )
        return True
    if things:
        raise UnusableLogError(f"{path} is an SQLite database, but not a log of mephisto-es; choose another path")
    return False


def create(db: sqlite3.Connection, pseudonym_key: bytes, created_by: str) -> None:
    """Make all tables in an empty database, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(TABLES):
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES (1, ?, ?)", (pseudonym_key, created_by))
        db.execute("INSERT INTO writer VALUES (1, 0)")
        db.execute(f"PRAGMA user_version={FORMAT}")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    """The statements of a script. `executescript` would commit the transaction they are to run in."""
    statements: list[str] = []
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        if sqlite3.complete_statement("\n".join(lines)):
            statements.append("\n".join(lines))
            lines.clear()
    return statements


def insert_events(db: sqlite3.Connection, rows: Iterable[tuple[int, *Columns]]) -> None:
    """Insert events, inside the caller's transaction.

    Raises:
        IntegrityError: a command, or a version of a stream, exists already.
    """
    db.executemany(_EVENT, rows)


def insert_payloads(db: sqlite3.Connection, payloads: Iterable[tuple[str, bytes, bytes, int | None]]) -> None:
    """Insert payloads as commitment, salt, body and the worker they belong to; existing ones are kept."""
    db.executemany(_PAYLOAD, payloads)


def forget_workers(db: sqlite3.Connection, workers: Sequence[WorkerId]) -> None:
    """Delete the payloads of workers, and the snapshots, which may contain their names."""
    db.executemany("DELETE FROM payloads WHERE subject = ?", [(worker,) for worker in workers])
    db.execute("DELETE FROM snapshots")
