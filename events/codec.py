"""Envelope to bytes and back: the one encoder and the one decoder that every writer and reader uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import msgspec

from .catalogue import AnyEvent
from .envelope import Envelope

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


class Undecodable(ValueError):
    """Bytes that are no envelope of the catalogue."""


class UnknownKind(Undecodable):
    """A whole envelope around an event of a kind that is not in the catalogue: a newer version wrote it.

    Attributes:
        kind: the kind.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(f"this version knows no event {kind!r}; a newer version of mephisto-es wrote it")


class _Tagged(msgspec.Struct):
    kind: str


class _Tag(msgspec.Struct):
    event: _Tagged


_tag_decoder = msgspec.json.Decoder(_Tag)


def _tag_of(event: type) -> str:
    return str(event.__struct_config__.tag)  # type: ignore[attr-defined]  # every member of the union is a Struct


#: The tag of each event type, under which it is stored.
KIND_OF: dict[type, str] = {event: _tag_of(event) for event in get_args(AnyEvent)}
#: All tags there are.
KINDS = frozenset(KIND_OF.values())


def encode(envelope: Envelope) -> bytes:
    """The canonical JSON of an envelope."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """An envelope from its canonical JSON.

    Raises:
        UnknownKind: a newer version wrote it.
        Undecodable: the bytes are not JSON, lack a field, or have one too many.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _why_not(data, error) from error


def decode_page(data: Iterable[bytes]) -> list[Envelope]:
    """Envelopes from their canonical JSON, at less cost than one by one.

    Raises:
        Undecodable: one of them is none; `decode` says which one, and why.
    """
    try:
        return list(map(_decoder.decode, data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(str(error)) from error


def _why_not(data: bytes, error: Exception) -> Undecodable:
    try:
        kind = _tag_decoder.decode(data).event.kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Undecodable(str(error))
    return Undecodable(str(error)) if kind in KINDS else UnknownKind(kind)
