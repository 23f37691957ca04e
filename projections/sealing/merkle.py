"""Builds the Merkle tree of RFC 6962 over a log, with proofs that an entry is in it and that it was only extended."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def empty_root() -> bytes:
    """Return the root of the tree without entries."""
    return hashlib.sha256(b"").digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """A tree of which every prefix is a tree, too: the one that the log had when it was that long."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Hash everything once.

        Args:
            leaves: the hashes of the entries, in order; see `leaf_hash`.
        """
        #: Hashes of complete subtrees, by their height.
        self._levels: list[list[bytes]] = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            self._levels.append([_node_hash(left, right) for left, right in pairs])

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self._levels[0])

    def root(self, size: int) -> bytes:
        """Return the root of the tree over the first entries."""
        return self._hash(0, size)

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry is among the first `size`, from the leaf to the root."""
        path: list[bytes] = []
        begin, end = 0, size
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(begin, middle))
                begin = middle
        return path[::-1]

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree over the first `old` entries is a prefix of that over the first `new`."""
        if not 0 < old < new:
            return []
        path: list[bytes] = []
        begin, end, is_whole = 0, new, True
        while end != old:
            middle = begin + _split(end - begin)
            if old <= middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(begin, middle))
                begin, is_whole = middle, False
        # Both sides know the root of the old tree if it is a complete subtree from the first entry on.
        return path[::-1] if is_whole else [self._hash(begin, end), *path[::-1]]

    def _hash(self, begin: int, end: int) -> bytes:
        """Return the hash of a subtree; it begins at a multiple of its size, rounded up to a power of two."""
        size = end - begin
        if size == 0:
            return empty_root()
        if size & (size - 1) == 0:
            return self._levels[size.bit_length() - 1][begin // size]
        middle = begin + _split(size)
        return _node_hash(self._hash(begin, middle), self._hash(middle, end))


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether a proof shows that an entry is in a tree, as RFC 9162 (2.1.3.2) says."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = _node_hash(part, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = _node_hash(found, part)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether a proof shows that a tree was only extended, as RFC 9162 (2.1.4.2) says."""
    if old == new:
        return not path and old_root == new_root
    if not 0 < old < new or not path:
        return False
    parts = [old_root, *path] if old & (old - 1) == 0 else list(path)
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = _node_hash(part, before), _node_hash(part, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = _node_hash(after, part)
        position, last = position >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
