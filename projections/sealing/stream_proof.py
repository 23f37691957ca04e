"""Proves how many events a stream had when the log was sealed, so that none can be left out of a proof."""

from __future__ import annotations

import msgspec

from .checkpoint import Checkpoint, read_path, stream_entry
from .merkle import is_included, leaf_hash
from .notes import SealError, encoded
from .sealed_log import SealedLog


class StreamProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof that a stream had so many events when the log was sealed."""

    stream: str
    version: int
    index: int
    #: Hashes in base64, from the leaf to the root.
    path: tuple[str, ...]


def prove_stream(log: SealedLog, name: str) -> StreamProof:
    """Return the proof of a stream.

    Args:
        log: the log as it was sealed; it has the stream.
        name: the stream.
    """
    index = log.index_of(name)
    path = log.streams.inclusion_proof(index, log.streams.size)
    return StreamProof(name, log.version_of(name), index, tuple(map(encoded, path)))


def verify_stream(proof: StreamProof, checkpoint: Checkpoint) -> None:
    """Check a proof against what a seal commits to.

    Raises:
        SealError: the seal says something else.
    """
    leaf, head = leaf_hash(stream_entry(proof.stream, proof.version)), checkpoint.streams
    if not is_included(leaf, proof.index, head.size, read_path(proof.path), head.root):
        raise SealError(
            f"the seal does not say that {proof.stream} has {proof.version} events",
            "Do not trust it; ask whoever gave it to you for another one",
        )
