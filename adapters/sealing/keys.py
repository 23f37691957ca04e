"""Makes and reads Ed25519 keys, in the text formats of signed notes, and signs and verifies with them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ...core.errors import ConfigError
from ...projections.sealing.notes import ED25519, NAME, SealError, Sign, VerifierKey, decoded, encoded
from ..private_files import open_private, sync_folder

_PRIVATE = "PRIVATE+KEY"
_SEED_BYTES = 32
_SHORT_NAME = "mephisto-es"


class SealKey(NamedTuple):
    """A private key under its name: it seals logs, or cosigns seals."""

    verifier: VerifierKey
    sign: Sign

    @property
    def name(self) -> str:
        """The name of the key, and of the logs that it seals."""
        return self.verifier.name


def verify_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether an Ed25519 signature of a message is genuine."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_or_make_key(path: Path, name: str | None, kind: int = ED25519) -> SealKey:
    """Read a key from its file; if there is none, make one and store it for its owner only.

    Args:
        path: the file.
        name: the name of a new key; None: one that no other key has.
        kind: what the key is for.

    Raises:
        SealError: the file has no such key; the message does not quote it.
        ConfigError: the name cannot be used, or the file cannot be read or written.
    """
    if path.exists():
        return read_key(path, kind)
    return make_key(path, name, kind)


def make_key(path: Path, name: str | None, kind: int = ED25519) -> SealKey:
    """Make a key and store it in a new file, for its owner only.

    Args:
        path: the file.
        name: the name of the key and of the logs that it seals; None: one that no other key has.
        kind: what the key is for.

    Raises:
        ConfigError: the name cannot be used, or the file exists or cannot be written.
    """
    if name is not None and not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be the name of a key", key="--name", hint="Use no spaces and no plus signs")
    seed = os.urandom(_SEED_BYTES)
    key = _key_of(name, seed, kind)
    verifier = key.verifier
    try:
        with open(path, "x", opener=open_private, encoding="ascii") as file:
            secret = encoded(bytes([kind]) + seed)
            file.write(f"{_PRIVATE}+{verifier.name}+{verifier.key_id.hex()}+{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except (OSError, UnicodeEncodeError) as error:
        why = getattr(error, "strerror", None) or "its name is not ASCII"
        raise ConfigError(f"the key {path} cannot be stored: {why}", key="--key") from error
    return key


def read_key(path: Path, kind: int = ED25519) -> SealKey:
    """Read a key from its file.

    Raises:
        SealError: it is no such key; the message does not quote it.
        ConfigError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key {path} cannot be read", key="--key") from error
    name, _, rest = text.removeprefix(f"{_PRIVATE}+").partition("+")
    identity, _, secret = rest.partition("+")
    seed = decoded(secret)
    if text.startswith(f"{_PRIVATE}+") and NAME.fullmatch(name) and len(seed) == 1 + _SEED_BYTES and seed[0] == kind:
        key = _key_of(name, seed[1:], kind)
        if identity == key.verifier.key_id.hex():
            return key
    raise SealError(f"{path} is not a key", "Name another file, or remove it: the command makes a new key")


def _key_of(name: str | None, seed: bytes, kind: int) -> SealKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    known = name or f"{_SHORT_NAME}/{hashlib.sha256(public).hexdigest()[:12]}"
    return SealKey(VerifierKey(known, kind, public), private.sign)
