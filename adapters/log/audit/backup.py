"""Makes an audited copy of a log while its writer works."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ....core.errors import LogError, UnusableLogError
from ....projections.audit.report import ReplayReport
from ....projections.engine.projection import Projection
from ...private_files import create_private
from ..anchor import anchor_path, append_anchor, last_anchor
from ..sqlite import reader, schema
from .replay import replay


def back_up(path: Path, copy: Path, projections: Sequence[Projection]) -> ReplayReport:
    """Copy everything committed to a log, anchor the copy, and audit it.

    The copy is consistent as of one position, and the writer is not blocked. The last anchor of the log is copied too,
    so a log that lost its tail is not mistaken for a complete one.

    Args:
        path: the log.
        copy: the path of the copy.
        projections: the projections that this version knows.

    Raises:
        UnusableLogError: `path` is not a log that this version can open, or `copy` exists.
        LogError: the copy cannot be written; the incomplete copy was removed.
    """
    for file in (copy, anchor_path(copy)):
        if file.exists():
            raise UnusableLogError(f"{file} exists already; choose another path for the copy")
    anchored = last_anchor(path)
    with closing(schema.connect_read_only(path)) as db:
        schema.check_ours(db, path)
        try:
            create_private(copy)
            with closing(sqlite3.connect(copy)) as target:
                db.backup(target)
                # A single file, which can be read from a read-only folder. A writer of the copy switches back to WAL.
                target.execute("PRAGMA journal_mode=DELETE")
                head = reader.last(target)
            for anchor in (anchored, head):
                if anchor is not None:
                    append_anchor(copy, anchor)
        except BaseException as error:
            copy.unlink(missing_ok=True)
            anchor_path(copy).unlink(missing_ok=True)
            if isinstance(error, sqlite3.Error | OSError):
                raise LogError(f"{path} cannot be copied to {copy}: {error}") from error
            raise
    return replay(copy, projections)
