"""Checks a log before it is opened for writing: its tables and triggers are its own, and its tail is intact."""

from __future__ import annotations

from pathlib import Path

from ....core.chain import link
from ....core.errors import DamagedLogError, UnusableLogError
from ....core.ports import Head
from ..anchor import last_anchor
from .reader import LogReader

#: The end of `created_by` in a log in PostgreSQL, and in the files that are kept as copies of it.
IN_POSTGRES = " in PostgreSQL"


def check_before_writing(path: Path, *, fresh: bool, is_copy: bool = False) -> None:
    """Check that the schema is that of a log, that no event is lost, as far as the anchors can tell, and the tail.

    Args:
        path: the file.
        fresh: whether there is no log yet.
        is_copy: whether it may be a copy of a log in PostgreSQL, which is brought up to date only.

    Raises:
        UnusableLogError: its tables, indexes or triggers are not those of a log.
        DamagedLogError: the log is missing, truncated, differs from the anchor, or its chain is broken.
    """
    anchored = last_anchor(path)
    if not fresh:
        with LogReader(path) as log:
            for problem in log.schema_problems():
                raise UnusableLogError(
                    f"{path} cannot be written to: {problem}; "
                    "let `mephisto-es doctor` copy its events to a new file, or restore a backup"
                )
            if log.created_by.endswith(IN_POSTGRES) and not is_copy:
                raise UnusableLogError(
                    f"{path} is a copy of a log in PostgreSQL; set MEPHISTO_ES_LOG to the address of the database"
                )
            check_tail(log, anchored)
    elif anchored is not None:
        raise DamagedLogError(
            1,
            f"{path} is empty or missing, but its anchor says that it had {anchored.seq} events; "
            "restore it from a backup, or move the anchor file away to start a new log",
        )


def check_tail(log: LogReader, anchored: Head | None) -> None:
    """Compare a log with its last anchor, and verify the chain from there to the head.

    Raises:
        DamagedLogError: the log is truncated, differs from the anchor, or its chain is broken after it.
    """
    seq, chain = 0, log.genesis
    if anchored is not None and anchored.seq:
        seq, chain = anchored.seq, anchored.chain
        stored = log.chain_at(seq)
        if stored is None:
            raise DamagedLogError(
                seq,
                f"the log once had this event, but now ends at {log.head().seq}: its tail was lost; "
                "restore a backup, or let `mephisto-es doctor` save the rest to a new file",
            )
        if stored != chain:
            raise DamagedLogError(seq, "the chain differs from the anchor: the log was rewritten up to here")
    for raw in log.raw(after=seq):
        seq += 1
        if raw.seq != seq:
            raise DamagedLogError(seq, f"the event is missing; the next one is {raw.seq}")
        chain = link(chain, seq, raw.epoch, raw.data)
        if chain != raw.chain:
            raise DamagedLogError(seq, "the chain is broken: the event is not what was written", raw.stream)
