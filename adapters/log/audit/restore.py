"""Restores a backup in place of a log, and keeps the replaced log."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from ....core.errors import LogError, UnusableLogError
from ....core.ports import Head
from ....events import streams
from ....events.ids import PaymentId, WorkerId
from ....events.payment import PaymentRequested
from ....events.worker import WorkerErased
from ....projections.audit.report import ReplayReport
from ....projections.engine.projection import Projection
from ..anchor import anchor_path, last_anchor
from ..sqlite.reader import LogReader
from ..sqlite.writer_lock import WriterLock
from .backup import back_up
from .replay import replay


class NewerEvents(msgspec.Struct, frozen=True, kw_only=True):
    """The events of a log that a backup of it lacks."""

    #: Number of events.
    events: int
    #: True if the backup is an earlier state of this log; False if it is one of another log.
    continues_backup: bool
    #: Workers who were erased: the backup still has their personal values.
    erased_workers: tuple[WorkerId, ...] = ()
    #: Payments that were requested: the restored log does not know, and would request them again.
    requested_payments: tuple[PaymentId, ...] = ()


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of restoring a backup."""

    #: The audit of the backup. Nothing was restored unless it is legal.
    backup: ReplayReport
    #: The file that holds the replaced log; None: there was none.
    replaced: str | None = None
    #: The events that only the replaced log has; None: there are none, or that log cannot be read.
    discarded: NewerEvents | None = None
    #: The last position that the replaced log is known to have had, from its anchors; None: it has none.
    anchored_seq: int | None = None


def newer_events(path: Path, head: Head) -> NewerEvents | None:
    """Return the events that a log has and a backup with this head lacks; None: none, or the log cannot be read."""
    try:
        with LogReader(path) as log:
            last = log.head()
            continues = log.chain_at(head.seq) == head.chain
            if continues and last.seq == head.seq:
                return None
            erased: list[WorkerId] = []
            payments: list[PaymentId] = []
            with suppress(LogError):
                for recorded in log.read(after=head.seq if continues else 0):
                    number = streams.number_of(recorded.envelope.stream)
                    if isinstance(recorded.envelope.event, WorkerErased):
                        erased.append(WorkerId(number))
                    elif isinstance(recorded.envelope.event, PaymentRequested):
                        payments.append(PaymentId(number))
            return NewerEvents(
                events=last.seq - head.seq if continues else last.seq,
                continues_backup=continues,
                erased_workers=tuple(dict.fromkeys(erased)),
                requested_payments=tuple(dict.fromkeys(payments)),
            )
    except LogError:
        return None


def restore(
    backup: Path, path: Path, projections: Sequence[Projection], stamp: str, *, discards_newer: bool = False
) -> RestoreReport:
    """Put a copy of a backup in the place of a log. The replaced log is kept beside it, as is the backup.

    A crash at any moment leaves either the old log or the restored one; repeat the call after it.

    Args:
        backup: the backup, a log with its anchor file beside it.
        path: the path of the log; nothing needs to be there.
        projections: the projections that this version knows.
        stamp: the end of the replaced log's file name.
        discards_newer: restore even if the log has events that the backup lacks.

    Returns:
        The result; if the audit of the backup has findings, nothing was changed.

    Raises:
        UnusableLogError: the backup is no log that this version can open, a process is writing the log, or the log has
            events that the backup lacks and `discards_newer` is False.
        LogError: a file cannot be written; the log is as it was.
    """
    if path.exists() and backup.exists() and path.samefile(backup):
        raise UnusableLogError(f"{backup} is the log itself; give a copy made with `mephisto-es backup`")
    audit = replay(backup, projections)
    if not audit.legal:
        return RestoreReport(backup=audit)
    lock = WriterLock(path)
    try:
        head = Head(audit.seq, bytes.fromhex(audit.chain), 0)
        newer = newer_events(path, head) if path.exists() else None
        if newer is not None and not discards_newer:
            raise UnusableLogError(_refusal(backup, path, newer))
        anchored = _last_anchored(path)
        replaced = _replace(backup, path, stamp, projections)
        return RestoreReport(backup=audit, replaced=replaced, discarded=newer, anchored_seq=anchored)
    finally:
        lock.release()


def _last_anchored(path: Path) -> int | None:
    """Return the last position in the anchors of a log, as far as they can be read."""
    try:
        anchored = last_anchor(path)
    except UnusableLogError:
        return None
    return None if anchored is None else anchored.seq


def _refusal(backup: Path, path: Path, newer: NewerEvents) -> str:
    if not newer.continues_backup:
        return f"{path} is another log than the one {backup} was copied from; to replace it, add --discard-newer"
    return (
        f"{path} has {newer.events:,} events that {backup} lacks; to give them up, add --discard-newer "
        "(the replaced log is kept). If the log is damaged, `mephisto-es doctor` may save more of it"
    )


def _replace(backup: Path, path: Path, stamp: str, projections: Sequence[Projection]) -> str | None:
    """Replace the log by a copy of the backup; return the name of the file that keeps the old one."""
    new = path.with_name(f"{path.name}.restoring")
    for left in (new, anchor_path(new)):
        left.unlink(missing_ok=True)
    back_up(backup, new, projections)
    old = path.with_name(f"{path.name}.{stamp}")
    try:
        had_log = path.exists()
        _keep(path, old)
        # The database first: with the old anchors beside it, a restored log is known to lack its tail.
        new.replace(path)
        anchor_path(new).replace(anchor_path(path))
        _sync_folder(path.parent)
    except OSError as error:
        raise LogError(f"{path} cannot be replaced: {error.strerror}; what it contained is in {old}") from error
    return old.name if had_log else None


def _keep(path: Path, old: Path) -> None:
    """Keep what there is of a log under another name too, with its anchors and its write-ahead log."""
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for kept, name in ((path, old), (anchor_path(path), anchor_path(old))):
        if kept.exists():
            os.link(kept, name)
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{ending}").replace(old.with_name(f"{old.name}{ending}"))


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
