"""Finishes erasures that were interrupted after they had been recorded.

SQLite keeps old pages in the `-wal` file until a writer empties it. A mark beside the log says that an erasure is in
progress; whatever command comes next on that log then empties the file.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...core.errors import LogError
from ...projections.registry import PROJECTIONS
from ..log.sqlite.file_identity import has_wal
from ..log.sqlite.log import SqliteLog
from ..private_files import create_private


def mark_path(database: Path) -> Path:
    """Return the path of the file that marks an erasure in progress."""
    return database.with_name(f"{database.name}.erasing")


def begin_erasure(database: Path) -> None:
    """Mark that an erasure is in progress, before it is recorded."""
    create_private(mark_path(database))


def finish_erasure(database: Path) -> None:
    """Delete what an interrupted erasure left; if the log cannot be written to now, a later command does it."""
    if not mark_path(database).exists():
        return
    with suppress(LogError):
        SqliteLog.create_or_open(database, PROJECTIONS).close()
    end_erasure(database, values_remain=has_wal(database))


def end_erasure(database: Path, *, values_remain: bool) -> None:
    """Remove the mark, unless erased values may still be in a file beside the log."""
    if not values_remain:
        mark_path(database).unlink(missing_ok=True)
