"""How many events each stream has, for as many streams as fit."""

from __future__ import annotations

from collections.abc import Callable

#: Streams in each of the two halves, and those of one commit more: some 20 MB when both are full.
HALF_STREAMS = 65_536


class VersionCache:
    """A bounded map in front of an index.

    Two halves, young and old: what is used moves to the young one; when that is full it becomes the old one, and what
    had not been used since is dropped. That costs a lookup where a strict order of use would cost two writes.
    """

    def __init__(self, load: Callable[[str], int], half: int = HALF_STREAMS) -> None:
        """Begin empty.

        Args:
            load: reads a stream's version from the log.
            half: streams in each half.
        """
        self._load = load
        self._half = half
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def get(self, stream: str) -> int:
        """A stream's version; 0: it does not exist."""
        version = self._young.get(stream)
        if version is None:
            version = self._old.get(stream)
            if version is None:
                version = self._load(stream)
            self.update({stream: version})
        return version

    def peek(self, stream: str) -> int | None:
        """A stream's version, if it is remembered."""
        version = self._young.get(stream)
        return self._old.get(stream) if version is None else version

    def update(self, versions: dict[str, int]) -> None:
        """Remember what was committed."""
        self._young.update(versions)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
