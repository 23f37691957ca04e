"""Compares two seals of one log: a log that was sealed in two versions has a fork, and its key has signed the proof."""

from __future__ import annotations

from enum import StrEnum

from .checkpoint import Checkpoint
from .sealed_log import SealedLog


class SealComparison(StrEnum):
    """The relation of two seals by the same key."""

    #: Both commit to the same events and streams.
    SAME = "same"
    #: The larger one extends the smaller one.
    EXTENDED = "extended"
    #: No log can have both: there were two versions.
    FORK = "fork"
    #: The sizes differ, so that only the log can tell.
    UNDECIDED = "undecided"

    @property
    def is_doubtful(self) -> bool:
        """True unless the seals are known to be of one log."""
        return self in (SealComparison.FORK, SealComparison.UNDECIDED)


def compare(one: Checkpoint, other: Checkpoint, log: SealedLog | None) -> SealComparison:
    """Compare two seals of one log.

    Args:
        one: a seal.
        other: another one; the order does not matter.
        log: a copy of the log that has at least as many events as the smaller seal; None: there is none.
    """
    small, large = sorted((one, other), key=lambda seal: seal.events.size)
    if small.events.size == large.events.size:
        return SealComparison.SAME if small == large else SealComparison.FORK
    if log is None or log.size < large.events.size or log.events.root(large.events.size) != large.events.root:
        return SealComparison.UNDECIDED
    # The larger root commits to all events before, so there is one root that the smaller seal can have.
    is_prefix = log.events.root(small.events.size) == small.events.root
    return SealComparison.EXTENDED if is_prefix else SealComparison.FORK
