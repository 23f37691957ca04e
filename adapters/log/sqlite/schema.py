"""The tables of a log file: recognizing, opening, creating, and filling them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ....core.chain import ChainRow, Columns
from ....core.errors import UnusableLogError
from ....events.ids import WorkerId
from ...private_files import create_private, sync_folder
from .file_identity import wal_paths
from .wal_pages import USUAL_PAGES

#: Stored in the header of every log: "mphE".
APPLICATION_ID = 0x6D706845
#: Incremented when older versions can no longer read the file; stored in the header as `user_version`.
FORMAT = 3
#: Format of the first release; files of earlier formats are those of development versions.
OLDEST_FORMAT = 3

#: The events of a command are adjacent. Only the first has the command in its column. That is enough to find a command
#: and to keep it unique; repeating it for each event would make a commit of 100 events a tenth slower.
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
  epoch   INTEGER NOT NULL,
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

#: WAL and FULL make a commit durable. `journal_size_limit` shrinks the WAL after a burst. Without `recursive_triggers`,
#: INSERT OR REPLACE would bypass the trigger on DELETE. `secure_delete` overwrites erased values.
WRITER_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"wal_autocheckpoint={USUAL_PAGES}",
    "journal_size_limit=67108864",
    "mmap_size=0",
    "recursive_triggers=ON",
    "trusted_schema=OFF",
    "secure_delete=ON",
)
_EVENT = f"INSERT INTO events({', '.join(ChainRow._fields)}) VALUES ({', '.join('?' * len(ChainRow._fields))})"
_PAYLOAD = "INSERT OR IGNORE INTO payloads(sha256, salt, body, subject) VALUES (?, ?, ?, ?)"
#: Suffix of a log that is being created.
_DRAFT = ".new"
#: Seconds that SQLite waits for another connection's lock before it gives up.
BUSY_TIMEOUT_SECONDS = 5.0


def connect_read_write(path: Path) -> sqlite3.Connection:
    """Open a connection for the writer; if the file does not exist, create it for its owner only.

    SQLite gives the files that it makes beside it the same permissions.
    """
    with suppress(OSError):  # SQLite says better what is wrong
        create_private(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_SECONDS)
    for pragma in WRITER_PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    return db


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open a connection that changes nothing in the file and never checkpoints.

    A file in a read-only folder is opened as immutable, because nobody can change it.

    Raises:
        UnusableLogError: there is no such file, or it cannot be opened.
    """
    if not path.is_file():
        raise UnusableLogError(f"there is no log at {path}; check the path")
    return _connect(path, immutable=not os.access(path.parent, os.W_OK) and not _wal(path).exists())


def _connect(path: Path, *, immutable: bool) -> sqlite3.Connection:
    """Open a read-only connection.

    Args:
        path: the file.
        immutable: whether nobody changes the file while it is open, so SQLite needs no `-wal` and `-shm` beside it.
    """
    mode = "mode=ro&immutable=1" if immutable else "mode=ro"
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
    """Return whether a new log may be created at a path: there is no file, an empty one, or an empty database.

    Raises:
        UnusableLogError: there is something else, and it is not a log that this version can open.
    """
    if not path.exists():
        return True
    if path.is_file() and path.stat().st_size == 0:
        return True
    db = _connect(path, immutable=not _wal(path).exists())
    try:
        return not _is_ours(db, path)
    finally:
        db.close()


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def check_ours(db: sqlite3.Connection, path: Path) -> None:
    """Check that a connection leads to a log that this version can read.

    Raises:
        UnusableLogError: it does not.
    """
    if not _is_ours(db, path):
        raise UnusableLogError(f"{path} is empty: it does not contain a log yet")


def _is_ours(db: sqlite3.Connection, path: Path) -> bool:
    """Return True for a log, and False for an empty database."""
    try:
        application: int = db.execute("PRAGMA application_id").fetchone()[0]
        version: int = db.execute("PRAGMA user_version").fetchone()[0]
        objects: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: SQLite quotes the bytes it cannot read
        raise UnusableLogError(f"{path} is not a log of mephisto-es: {error}") from error
    if application == APPLICATION_ID:
        if version > FORMAT:
            raise UnusableLogError(
                f"{path} has format {version}, but this version reads format {FORMAT}; update mephisto-es to open it"
            )
        if version < OLDEST_FORMAT:
            raise UnusableLogError(
                f"{path} has format {version}, which only development versions before the first release used; "
                "start with another data folder"
            )
        return True
    if objects:
        raise UnusableLogError(f"{path} is an SQLite database, but not a log of mephisto-es; choose another path")
    return False


def create_file(path: Path, pseudonym_key: bytes, created_by: str) -> None:
    """Create an empty log, or replace an empty file by one, such that a crash leaves the old state or the new one."""
    path = path.resolve()
    draft = path.with_name(f"{path.name}{_DRAFT}")
    for leftover in (draft, *wal_paths(draft), draft.with_name(f"{draft.name}-journal")):
        leftover.unlink(missing_ok=True)
    with closing(connect_read_write(draft)) as db:
        create(db, pseudonym_key, created_by)
    os.replace(draft, path)
    sync_folder(path.parent)


def create(db: sqlite3.Connection, pseudonym_key: bytes, created_by: str) -> None:
    """Create all tables in an empty database, in one transaction."""
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
    """Split a script into statements, because `executescript` would commit the transaction they have to run in."""
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


def forget_payloads(db: sqlite3.Connection, sha256s: Sequence[str]) -> None:
    """Delete payloads by their commitments."""
    db.executemany("DELETE FROM payloads WHERE sha256 = ?", [(sha256,) for sha256 in sha256s])


def forget_workers(db: sqlite3.Connection, workers: Sequence[WorkerId]) -> None:
    """Delete the payloads of workers, and the snapshots, which may contain their names."""
    db.executemany("DELETE FROM payloads WHERE subject = ?", [(worker,) for worker in workers])
    db.execute("DELETE FROM snapshots")
