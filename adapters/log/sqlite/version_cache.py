"""Caches the versions of the most recently used streams."""

from __future__ import annotations

from collections.abc import Callable

#: Streams in each of the two halves, apart from those of one commit; about 20 MB when both are full.
HALF_STREAMS = 65_536


class VersionCache:
    """A bounded cache in front of an index.

    It has two halves, young and old. Entries move to the young half when used. When it is full it becomes the old half,
    and entries not used since are dropped. This costs one lookup where a strict LRU order would cost two writes.
    """

    def __init__(self, load: Callable[[str], int], half: int = HALF_STREAMS) -> None:
        """Begin with an empty cache.

        Args:
            load: reads a stream's version from the log.
            half: streams in each half.
        """
        self._load = load
        self._half = half
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def get(self, stream: str) -> int:
        """Return the version of a stream; 0 if it does not exist."""
        version = self._young.get(stream)
        if version is None:
            version = self._old.get(stream)
            if version is None:
                version = self._load(stream)
            self.update({stream: version})
        return version

    def peek(self, stream: str) -> int | None:
        """Return the version of a stream if it is cached."""
        version = self._young.get(stream)
        return self._old.get(stream) if version is None else version

    def update(self, versions: dict[str, int]) -> None:
        """Store the versions that were committed."""
        self._young.update(versions)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
