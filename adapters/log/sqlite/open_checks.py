"""What is checked each time a log is opened for writing: that nothing is missing at its end, and the end is whole."""

from __future__ import annotations

from pathlib import Path

from ....core.chain import GENESIS, link
from ....core.errors import DamagedLogError
from ....core.ports import Head
from ..anchor import last_anchor
from .reader import LogReader


def check_before_writing(path: Path, *, fresh: bool) -> None:
    """Make sure that nothing of a log is lost, as far as its anchors can tell, and that its end is whole.

    Args:
        path: the file.
        fresh: there is no log yet.

    Raises:
        DamagedLogError: the log is gone or shorter than it was, or differs from the anchor, or its chain breaks.
    """
    anchored = last_anchor(path)
    if not fresh:
        with LogReader(path) as log:
            check_tail(log, anchored)
    elif anchored is not None:
        raise DamagedLogError(
            1,
            f"{path} is empty or gone, and its anchor says that it had {anchored.seq} events; "
            "restore it from a backup, or move the anchor file away to begin anew",
        )


def check_tail(log: LogReader, anchored: Head | None) -> None:
    """Compare a log with its last anchor, and verify the chain from there to the end.

    Raises:
        DamagedLogError: the log is shorter than it was, differs from the anchor, or its chain is broken after it.
    """
    seq, chain = 0, GENESIS
    if anchored is not None and anchored.seq:
        seq, chain = anchored.seq, anchored.chain
        stored = log.chain_at(seq)
        if stored is None:
            raise DamagedLogError(
                seq,
                f"the log was this long once, and ends at {log.head().seq} now: its end was lost; "
                "restore a backup, or have `mephisto-es doctor` write what is left to a new file",
            )
        if stored != chain:
            raise DamagedLogError(seq, "the chain is not the one that was anchored: the log was rewritten up to here")
    for raw in log.raw(after=seq):
        seq += 1
        if raw.seq != seq:
            raise DamagedLogError(seq, f"the event is missing, the next one is {raw.seq}")
        chain = link(chain, seq, raw.data)
        if chain != raw.chain:
            raise DamagedLogError(seq, "the chain is broken: the event is not what was written", raw.stream)
