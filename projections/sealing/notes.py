"""Reads, signs and checks signed notes (C2SP signed-note): a text, and below it the signatures of some keys.

https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

from ...core.errors import ConfigError

#: A name without spaces and plus signs, as keys and logs have.
NAME = re.compile(r"[^\s+]{1,200}")
#: The kind of a key that signs notes, as the first byte of its public key says.
ED25519 = 0x01
#: Longest seal, proof or receipt that is read.
MAX_TEXT_BYTES = 64 * 2**20
#: Signatures that a note may have. The specification wants at least 16.
MAX_SIGNATURES = 64
_KEY_ID_BYTES = 4
_PUBLIC_BYTES = 32
_SIGNATURE = re.compile(r"— (?P<name>[^\s+]{1,200}) (?P<blob>\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

#: Returns whether a public key has signed a message: key, message, signature.
Verify = Callable[[bytes, bytes, bytes], bool]
#: Signs a message.
Sign = Callable[[bytes], bytes]


class SealError(ConfigError):
    """A seal, a proof or a key cannot be used, or does not show what it should."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, key="seal", hint=hint)


class VerifierKey(NamedTuple):
    """A public Ed25519 key with its name."""

    name: str
    #: `ED25519`, or that of a witness; see `cosignatures`.
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first bytes of a signature by the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._material).digest()[:_KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The key as it is published: `name+id+key`."""
        return f"{self.name}+{self.key_id.hex()}+{encoded(self._material)}"

    @property
    def _material(self) -> bytes:
        return bytes([self.kind]) + self.public


class Signature(NamedTuple):
    """A line below a note."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line, with its end."""
        return f"— {self.name} {encoded(self.key_id + self.signature)}\n"


class Note(NamedTuple):
    """A text, and the signatures below it, none of which was checked."""

    #: The text with the end of its last line; this is what is signed.
    body: str
    signatures: tuple[Signature, ...]

    def by(self, key: VerifierKey) -> list[bytes]:
        """Return the signatures that say that they are by a key."""
        return [one.signature for one in self.signatures if (one.name, one.key_id) == (key.name, key.key_id)]


def read_verifier_key(text: str, kind: int = ED25519) -> VerifierKey:
    """Read a public key.

    Raises:
        SealError: it is none, or of another kind.
    """
    name, _, rest = text.strip().partition("+")
    identity, _, material = rest.partition("+")
    raw = decoded(material)
    key = VerifierKey(name, kind, raw[1:])
    if NAME.fullmatch(name) and len(raw) == 1 + _PUBLIC_BYTES and raw[0] == kind and identity == key.key_id.hex():
        return key
    whose = "`mephisto-es seal` prints it" if kind == ED25519 else "`mephisto-es witness FOLDER` prints it"
    wanted = "public key" if kind == ED25519 else "public key of a witness"
    raise SealError(f"this is not a {wanted}", f"It looks like name+0a1b2c3d+{'AQ' if kind == 1 else 'BA'}...; {whose}")


def read_note(text: str) -> Note:
    """Split a note into its text and its signatures.

    Raises:
        SealError: it is not a note.
    """
    body, separator, below = text.rpartition("\n\n")
    lines = below.split("\n")
    found = [_SIGNATURE.fullmatch(line) for line in lines[:-1]]
    signatures = [(one["name"], decoded(one["blob"])) for one in found if one is not None]
    if (
        not separator
        or lines[-1]
        or not 0 < len(signatures) == len(found) <= MAX_SIGNATURES
        or any(len(blob) <= _KEY_ID_BYTES for _, blob in signatures)
        or _CONTROL.search(text)
    ):
        raise SealError("this is not a signed note", "`mephisto-es seal` makes one")
    return Note(
        f"{body}\n",
        tuple(Signature(name, blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:]) for name, blob in signatures),
    )


def sign_note(body: str, key: VerifierKey, sign: Sign) -> str:
    """Return a text with the signature of a key.

    Args:
        body: the text, with the end of its last line.
        key: the public key.
        sign: signs with the private one.
    """
    return f"{body}\n{Signature(key.name, key.key_id, sign(body.encode())).line}"


def open_note(text: str, key: VerifierKey, verify: Verify) -> Note:
    """Return a note that a key has signed. Signatures of other keys are not checked.

    Raises:
        SealError: the key has not signed it.
    """
    note = read_note(text)
    ours = note.by(key)
    message = note.body.encode()
    if not ours or not all(verify(key.public, message, signature) for signature in ours):
        raise SealError("the key has not signed this", "Take the public key that the lab has published")
    return note


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Return the bytes of base64; none for text that is not, or that could be written in another way."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if encoded(data) == text else b""
