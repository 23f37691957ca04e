"""Makes and reads Ed25519 keys, in the text formats of signed notes, and signs and verifies with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ...core.errors import ConfigError
from ...projections.sealing.checkpoint import (
    NAME,
    SealError,
    Sign,
    decoded,
    encoded,
    key_id,
    verifier_key,
)
from ..private_files import open_private

_PRIVATE = "PRIVATE+KEY"
_ED25519 = b"\x01"


class SealKey(NamedTuple):
    """A key that seals logs under its name."""

    name: str
    public: bytes
    sign: Sign

    @property
    def verifier(self) -> str:
        """The public key as text, to be published."""
        return verifier_key(self.name, self.public)


def verify_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether an Ed25519 signature of a message is genuine."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_key(path: Path, name: str) -> SealKey:
    """Make a key and store it in a new file, for its owner only.

    Args:
        path: the file.
        name: the name of the key and of the logs that it seals.

    Raises:
        ConfigError: the name cannot be used, or the file exists or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be the name of a key", key="--name", hint="Use no spaces and no plus signs")
    seed = os.urandom(32)
    key = _key_of(name, seed)
    try:
        with open(path, "x", opener=open_private, encoding="ascii") as file:
            file.write(f"{_PRIVATE}+{name}+{key_id(name, key.public).hex()}+{encoded(_ED25519 + seed)}\n")
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be stored: {error.strerror}", key="--key") from error
    return key


def read_key(path: Path) -> SealKey:
    """Read a key from its file.

    Raises:
        SealError: it is no key; the message does not quote it.
        ConfigError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key {path} cannot be read", key="--key") from error
    name, _, rest = text.removeprefix(f"{_PRIVATE}+").partition("+")
    identity, _, secret = rest.partition("+")
    seed = decoded(secret)
    if text.startswith(f"{_PRIVATE}+") and NAME.fullmatch(name) and len(seed) == 33 and seed[:1] == _ED25519:
        key = _key_of(name, seed[1:])
        if identity == key_id(name, key.public).hex():
            return key
    raise SealError(f"{path} is not a key", "Name another file, or remove it: `mephisto-es seal` makes a new key")


def _key_of(name: str, seed: bytes) -> SealKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SealKey(name, public, private.sign)
