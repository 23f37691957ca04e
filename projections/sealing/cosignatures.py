"""Signs and checks the cosignatures of witnesses: a checkpoint was seen, and extends all that was seen before.

https://c2sp.org/tlog-cosignature, with Ed25519.
"""

from __future__ import annotations

from collections.abc import Iterable

from .notes import Note, SealError, Sign, Signature, VerifierKey, Verify, read_note

#: The kind of a key that cosigns checkpoints, as the first byte of its public key says.
COSIGNER = 0x04
_TIME_BYTES = 8
_MAX_TIME = 2**63 - 1


def cosign(body: str, key: VerifierKey, sign: Sign, now_seconds: int) -> Signature:
    """Return the cosignature of a checkpoint.

    Args:
        body: the body of the note.
        key: the public key of the witness.
        sign: signs with the private one.
        now_seconds: the time, since the epoch.
    """
    signature = sign(_message(body, now_seconds))
    return Signature(key.name, key.key_id, now_seconds.to_bytes(_TIME_BYTES, "big") + signature)


def check_cosignature(note: Note, key: VerifierKey, verify: Verify) -> int:
    """Return when a witness cosigned a note, in seconds since the epoch.

    Raises:
        SealError: it has not.
    """
    times = []
    for blob in note.by(key):
        seconds, signature = int.from_bytes(blob[:_TIME_BYTES], "big"), blob[_TIME_BYTES:]
        if not 0 < seconds <= _MAX_TIME or not verify(key.public, _message(note.body, seconds), signature):
            raise SealError(f"the cosignature of {key.name} is not genuine", "Ask the lab for another seal")
        times.append(seconds)
    if not times:
        raise SealError(
            f"the witness {key.name} has not cosigned this", "Ask the lab for a seal that the witness has cosigned"
        )
    return max(times)


def check_cosigned(note: str, witnesses: Iterable[VerifierKey], verify: Verify) -> None:
    """Check that each of some witnesses has cosigned a seal.

    Raises:
        SealError: one has not.
    """
    for witness in witnesses:
        check_cosignature(read_note(note), witness, verify)


def _message(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()
