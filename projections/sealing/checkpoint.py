"""Reads and writes checkpoints (C2SP tlog-checkpoint) as signed notes, and proofs for entries (C2SP tlog-proof).

A checkpoint names the log, its size and the root of its tree. One more line commits to the streams: the root of a
second tree, over the name and the last version of each. So a proof can show that no event of a stream was left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...core.errors import ConfigError

_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_STREAMS = "mephisto-es/streams"
_ED25519 = b"\x01"
_SIGNATURE = re.compile(r"— (?P<name>\S+) (?P<signature>[A-Za-z0-9+/]+=*)")
#: A name without spaces and plus signs, as keys and logs have.
NAME = re.compile(r"[^\s+]{1,200}")
_KEY_ID_BYTES = 4
#: Longest seal or proof that is read.
MAX_TEXT_BYTES = 64 * 2**20

#: Returns whether a signature of a message is genuine.
Verify = Callable[[bytes, bytes], bool]
#: Signs a message.
Sign = Callable[[bytes], bytes]


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


class SealError(ConfigError):
    """A seal, a proof or a key cannot be used, or does not show what it should."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, key="seal", hint=hint)


def stream_entry(stream: str, version: int) -> bytes:
    """Return the entry that commits to the last version of a stream."""
    return f"{stream}\n{version}\n".encode()


def key_id(name: str, public: bytes) -> bytes:
    """Return the id of an Ed25519 key, as signed notes have it."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def verifier_key(name: str, public: bytes) -> str:
    """Return the text of a public key: `name+id+key`."""
    return f"{name}+{key_id(name, public).hex()}+{encoded(_ED25519 + public)}"


def read_verifier_key(text: str) -> tuple[str, bytes]:
    """Return the name and the bytes of a public key.

    Raises:
        SealError: it is none.
    """
    name, _, rest = text.strip().partition("+")
    identity, _, key = rest.partition("+")
    public = decoded(key)
    if not NAME.fullmatch(name) or public[:1] != _ED25519 or identity != key_id(name, public[1:]).hex():
        raise SealError("this is not a public key", "It looks like name+0a1b2c3d+AQ...; `mephisto-es seal` prints it")
    return name, public[1:]


def sign_checkpoint(checkpoint: Checkpoint, public: bytes, sign: Sign) -> str:
    """Return a checkpoint as a signed note; the key has the name of the log."""
    text, name = checkpoint.text, checkpoint.origin
    signature = key_id(name, public) + sign(text.encode())
    return f"{text}\n— {name} {encoded(signature)}\n"


def open_note(note: str, name: str, public: bytes, verify: Verify) -> Checkpoint:
    """Return the checkpoint in a note that was signed with a key. Signatures of others are ignored.

    Raises:
        SealError: the key has not signed it, or it is no checkpoint of ours.
    """
    text, separator, signatures = note.rpartition("\n\n")
    message = f"{text}\n".encode()
    found = (_SIGNATURE.fullmatch(line) for line in signatures.splitlines())
    ours = [decoded(one["signature"]) for one in found if one is not None and one["name"] == name]
    mine = [one[_KEY_ID_BYTES:] for one in ours if one[:_KEY_ID_BYTES] == key_id(name, public)]
    if not separator or not any(verify(message, signature) for signature in mine):
        raise SealError("the key has not signed this", "Take the public key that the lab has published")
    checkpoint = read_checkpoint(text)
    if checkpoint.origin != name:
        raise SealError(f"the seal is of {checkpoint.origin!r}", "Take the public key of that log")
    return checkpoint


def read_checkpoint(text: str) -> Checkpoint:
    """Read the body of a checkpoint, without looking at signatures.

    Raises:
        SealError: it is no checkpoint of ours.
    """
    try:
        origin, size, root, streams = text.splitlines()[:4]
        word, count, streams_root = streams.split(" ")
        checkpoint = Checkpoint(origin, TreeHead(int(size), decoded(root)), TreeHead(int(count), decoded(streams_root)))
    except ValueError:
        raise SealError("this is not a seal", "`mephisto-es seal` makes one") from None
    if word != _STREAMS or checkpoint.text != f"{text}\n":
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
    index, *path = rest.splitlines() or [""]
    word, _, number = index.partition(" ")
    if not separator or header != _PROOF_HEADER or word != "index" or not number.isdecimal():
        raise SealError("this is not a proof", "`mephisto-es prove` makes one")
    return EntryProof(int(number), tuple(map(decoded, path)), note)


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Return the bytes of base64; none for text that is not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
