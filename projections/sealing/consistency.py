"""Proves that a log was only extended between two seals."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from .checkpoint import Checkpoint, open_checkpoint, read_path, unchecked_checkpoint
from .merkle import is_consistent
from .notes import SealError, VerifierKey, Verify, encoded
from .sealed_log import SealedLog

FORMAT: Literal["mephisto-es consistency 1"] = "mephisto-es consistency 1"


class ConsistencyProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two seals of a log, and the proof that the second extends the first."""

    format: Literal["mephisto-es consistency 1"] = FORMAT
    old: str
    new: str
    #: Hashes in base64.
    path: tuple[str, ...]


class ProvedExtension(NamedTuple):
    """Two seals of which the second extends the first."""

    old: Checkpoint
    new: Checkpoint


def prove_consistency(log: SealedLog, old: str, new: str) -> ConsistencyProof:
    """Return the proof that a log extends what an older seal commits to.

    Args:
        log: the log, as it is sealed now.
        old: the older seal.
        new: the new seal.

    Raises:
        SealError: it does not: what was sealed is changed or gone.
    """
    before = unchecked_checkpoint(old).events
    if before.size > log.size or log.events.root(before.size) != before.root:
        raise SealError(
            "the log is not the one that was sealed before",
            "Compare it with a backup, or with the file that was sealed",
        )
    path = log.events.consistency_proof(before.size, log.size)
    return ConsistencyProof(old=old, new=new, path=tuple(map(encoded, path)))


def verify_consistency(proof: ConsistencyProof, key: VerifierKey, verify: Verify) -> ProvedExtension:
    """Check the proof with nothing but a public key, and return what both seals commit to.

    Args:
        proof: the proof.
        key: the key of the log.
        verify: checks a signature.

    Raises:
        SealError: the key has not signed both, or the second does not extend the first.
    """
    old, new = (open_checkpoint(seal, key, verify) for seal in (proof.old, proof.new))
    path = read_path(proof.path)
    if not is_consistent(old.events.size, old.events.root, new.events.size, new.events.root, path):
        raise SealError("the newer seal does not extend the older one", "The log was rewritten between them")
    return ProvedExtension(old, new)
