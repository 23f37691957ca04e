"""The tree of a seal against the definitions of RFC 6962, and its proofs against forgers."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.projections.sealing.merkle import MerkleTree, is_consistent, is_included, leaf_hash

from ...adapters.sealing.second_implementation import audit_path, consistency, root_from_path, tree_hash

ENTRIES = [str(number).encode() for number in range(70)]
TREE = MerkleTree(map(leaf_hash, ENTRIES))


def test_roots_and_proofs_are_those_of_the_specification() -> None:
    for size in range(1, 40):
        assert TREE.root(size) == tree_hash(ENTRIES[:size])
        for index in range(size):
            path = TREE.inclusion_proof(index, size)
            assert path == audit_path(index, ENTRIES[:size])
            assert is_included(leaf_hash(ENTRIES[index]), index, size, path, TREE.root(size))
            assert root_from_path(leaf_hash(ENTRIES[index]), index, size, path) == TREE.root(size)
    assert TREE.root(0) == tree_hash([])


def test_every_tree_is_consistent_with_its_beginnings() -> None:
    for new in range(1, 40):
        for old in range(1, new + 1):
            path = TREE.consistency_proof(old, new)
            assert path == (consistency(old, ENTRIES[:new]) if old < new else [])
            assert is_consistent(old, TREE.root(old), new, TREE.root(new), path)


@given(st.integers(1, 70), st.integers(0, 69), st.integers(0, 2**32))
def test_a_forged_inclusion_is_refused(size: int, index: int, seed: int) -> None:
    random, index = Random(seed), index % size
    path, root = TREE.inclusion_proof(index, size), TREE.root(size)
    leaf = leaf_hash(ENTRIES[index])
    assert not is_included(leaf_hash(b"forged"), index, size, path, root)
    assert not is_included(leaf, (index + 1) % (size + 1), size, path, root) or size == 1 != index + 1
    assert not is_included(leaf, index, size, [*path, bytes(32)], root)
    if path:
        assert not is_included(leaf, index, size, path[:-1], root)
        changed = random.randrange(len(path))
        assert not is_included(leaf, index, size, [*path[:changed], bytes(32), *path[changed + 1 :]], root)


@given(st.integers(1, 69), st.integers(2, 70), st.integers(0, 2**32))
def test_a_forged_extension_is_refused(old: int, new: int, seed: int) -> None:
    random = Random(seed)
    old, new = min(old, new - 1), new
    path = TREE.consistency_proof(old, new)
    other = MerkleTree([leaf_hash(b"forged"), *map(leaf_hash, ENTRIES[1:])])
    assert not is_consistent(old, other.root(old), new, TREE.root(new), path)
    assert not is_consistent(old, TREE.root(old), new, other.root(new), other.consistency_proof(old, new))
    assert not is_consistent(new, TREE.root(new), old, TREE.root(old), path)
    assert not is_consistent(old, TREE.root(old), new, TREE.root(new), [])
    changed = random.randrange(len(path))
    assert not is_consistent(
        old, TREE.root(old), new, TREE.root(new), [*path[:changed], bytes(32), *path[changed + 1 :]]
    )
