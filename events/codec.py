"""Envelope to bytes and back: the one encoder and the one decoder that every writer and reader uses."""

from __future__ import annotations

import msgspec

from .envelope import Envelope

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


class Undecodable(ValueError):
    """Bytes that are no envelope of the catalogue: damaged, or written by a newer version."""


def encode(envelope: Envelope) -> bytes:
    """The canonical JSON of an envelope."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """An envelope from its canonical JSON.

    Raises:
        Undecodable: the bytes are not JSON, lack a field, have one too many, or name an unknown kind.
    """
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise Undecodable(str(error)) from error
