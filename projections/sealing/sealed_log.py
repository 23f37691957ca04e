"""Builds the two trees that a seal commits to, from the events of a log."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable

from ...core.chain import ChainRow
from .checkpoint import Checkpoint, TreeHead, stream_entry
from .merkle import MerkleTree, leaf_hash


class SealedLog:
    """A log up to a position, as a seal commits to it.

    Attributes:
        size: the number of events.
        events: the tree over the events.
        streams: the tree over the streams, in the order of their names.
    """

    def __init__(self, rows: Iterable[ChainRow], keep: Iterable[str] = ()) -> None:
        """Read the events.

        Args:
            rows: the stored events from the first one on.
            keep: beginnings of the names of the streams whose events are kept, to be proved.
        """
        leaves: list[bytes] = []
        versions: dict[str, int] = {}
        kept = tuple(keep)
        self._kept: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for row in rows:
            if row.stream.startswith(kept):
                self._kept[row.stream].append((len(leaves), row.data))
            leaves.append(leaf_hash(row.data))
            versions[row.stream] = row.version
        self._names = sorted(versions)
        self._versions = versions
        self.size = len(leaves)
        self.events = MerkleTree(leaves)
        self.streams = MerkleTree(leaf_hash(stream_entry(name, versions[name])) for name in self._names)

    def checkpoint(self, origin: str) -> Checkpoint:
        """Return what a seal of the log commits to.

        Args:
            origin: the name of the log.
        """
        events = TreeHead(self.size, self.events.root(self.size))
        return Checkpoint(origin, events, TreeHead(self.streams.size, self.streams.root(self.streams.size)))

    def events_of(self, stream: str) -> list[tuple[int, bytes]]:
        """Return the events of a stream that was kept, each with its index in the log."""
        return self._kept.get(stream, [])

    def version_of(self, stream: str) -> int:
        """Return the last version of a stream; 0 if the log has no such stream."""
        return self._versions.get(stream, 0)

    def index_of(self, stream: str) -> int:
        """Return the index of a stream in the tree over the streams."""
        return bisect_left(self._names, stream)
