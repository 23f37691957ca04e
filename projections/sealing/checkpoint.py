"""Reads and writes checkpoints (C2SP tlog-checkpoint) as signed notes, and proofs for entries (C2SP tlog-proof).

A checkpoint names the log, its size and the root of its tree. One more line commits to the streams: the root of a
second tree, over the name and the last version of each. So a proof can show that no event of a stream was left out.

https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-proof
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .merkle import HASH_BYTES
from .notes import SealError, Sign, VerifierKey, Verify, decoded, encoded, open_note, read_note, sign_note

_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_STREAMS = "mephisto-es/streams"
#: A number without zeros before it.
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
#: Hashes that a proof can need: the height of the largest tree.
MAX_PATH = 63


class TreeHead(NamedTuple):
    """The root of a tree over so many entries."""

    size: int
    root: bytes


class Checkpoint(NamedTuple):
    """The content of a seal: the log that it commits to."""

    origin: str
    #: The events, as the log has them.
    events: TreeHead
    #: The streams; see `stream_entry`.
    streams: TreeHead

    @property
    def text(self) -> str:
        """The body of the note."""
        lines = [self.origin, str(self.events.size), encoded(self.events.root)]
        return "\n".join([*lines, f"{_STREAMS} {self.streams.size} {encoded(self.streams.root)}", ""])


class EntryProof(NamedTuple):
    """A proof that an entry is in a sealed log."""

    leaf_index: int
    path: tuple[bytes, ...]
    note: str


def stream_entry(stream: str, version: int) -> bytes:
    """Return the entry that commits to the last version of a stream."""
    return f"{stream}\n{version}\n".encode()


def sign_checkpoint(checkpoint: Checkpoint, key: VerifierKey, sign: Sign) -> str:
    """Return a checkpoint as a signed note; the key has the name of the log."""
    return sign_note(checkpoint.text, key, sign)


def open_checkpoint(note: str, key: VerifierKey, verify: Verify) -> Checkpoint:
    """Return the checkpoint in a note that the key of its log has signed. Signatures of others are ignored.

    Raises:
        SealError: the key has not signed it, or it is no checkpoint of ours.
    """
    checkpoint = read_checkpoint(open_note(note, key, verify).body)
    if checkpoint.origin != key.name:
        raise SealError(f"the seal is of {checkpoint.origin!r}", "Take the public key of that log")
    return checkpoint


def unchecked_checkpoint(note: str) -> Checkpoint:
    """Return the checkpoint in a note, without looking at its signatures.

    Raises:
        SealError: it is no checkpoint of ours.
    """
    return read_checkpoint(read_note(note).body)


def read_checkpoint(body: str) -> Checkpoint:
    """Read the body of a checkpoint.

    Raises:
        SealError: it is no checkpoint of ours.
    """
    try:
        origin, size, root, streams, end = body.split("\n")
        word, count, streams_root = streams.split(" ")
        checkpoint = Checkpoint(origin, TreeHead(int(size), decoded(root)), TreeHead(int(count), decoded(streams_root)))
    except ValueError:
        raise SealError("this is not a seal", "`mephisto-es seal` makes one") from None
    heads = (checkpoint.events, checkpoint.streams)
    if word != _STREAMS or end or checkpoint.text != body or any(len(one.root) != HASH_BYTES for one in heads):
        raise SealError("this is not a seal", "`mephisto-es seal` makes one")
    return checkpoint


def write_proof(index: int, path: Sequence[bytes], note: str) -> str:
    """Return a proof for an entry as text."""
    return "\n".join([_PROOF_HEADER, f"index {index}", *map(encoded, path), "", note])


def read_proof(text: str) -> EntryProof:
    """Read a proof for an entry.

    Raises:
        SealError: it is none.
    """
    head, separator, note = text.partition("\n\n")
    header, _, rest = head.partition("\n")
    index, *path = rest.split("\n")
    word, _, number = index.partition(" ")
    if not separator or header != _PROOF_HEADER or word != "index" or not NUMBER.fullmatch(number):
        raise SealError("this is not a proof", "`mephisto-es prove UNIT` makes one")
    return EntryProof(int(number), read_path(path), note)


def read_path(path: Sequence[str]) -> tuple[bytes, ...]:
    """Return the hashes of a proof.

    Args:
        path: the hashes in base64.

    Raises:
        SealError: one is none, or they are more than any tree needs.
    """
    hashes = tuple(map(decoded, path))
    if len(hashes) > MAX_PATH or any(len(one) != HASH_BYTES for one in hashes):
        raise SealError("this is not a proof", "`mephisto-es prove UNIT` makes one")
    return hashes
