"""Encodes and decodes envelopes: the one encoder and the one decoder that every writer and reader uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

import msgspec

from .base import kind_of
from .catalogue import AnyEvent
from .envelope import Envelope
from .upcasting import UPCASTERS, Upcasters

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
#: Decodes the fields of an envelope without their values.
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class UndecodableError(ValueError):
    """Bytes are not an envelope with an event of the catalogue."""


class UnknownKindError(UndecodableError):
    """An envelope holds an event of a kind that is not in the catalogue: a newer version wrote it.

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


#: Tag of each event type, under which it is stored.
KIND_OF: dict[type, str] = {event: kind_of(event) for event in get_args(AnyEvent)}
#: All tags that this version writes.
KINDS = frozenset(KIND_OF.values())


class Codec:
    """Decodes envelopes of this release and of all earlier ones."""

    def __init__(self, upcasters: Upcasters) -> None:
        """Initialize with the upcasters of retired events.

        Raises:
            ValueError: a retired event is still in the catalogue.
        """
        twice = sorted(KINDS & upcasters.kinds)
        if twice:
            raise ValueError(f"retired but still in the catalogue: {', '.join(twice)}")
        self._upcasters = upcasters

    def decode(self, data: bytes) -> Envelope:
        """Decode an envelope from its canonical JSON; a retired event is replaced by its successor.

        Raises:
            UnknownKindError: a newer version wrote it.
            UndecodableError: the bytes are not JSON, lack a field, or have one too many.
        """
        try:
            return _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._decode_otherwise(data, error)

    def decode_page(self, data: Iterable[bytes]) -> list[Envelope]:
        """Decode envelopes from their canonical JSON, at less cost than one by one, if all are of this release.

        Raises:
            UndecodableError: one of them is not; `decode` reads it, or says why it cannot.
        """
        try:
            return list(map(_decoder.decode, data))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UndecodableError(str(error)) from error

    def _decode_otherwise(self, data: bytes, error: Exception) -> Envelope:
        """Decode an envelope that holds a retired event."""
        kind = stored_kind(data)
        if kind is None or kind in KINDS:
            raise UndecodableError(_reason(error)) from error
        if kind not in self._upcasters:
            raise UnknownKindError(kind) from error
        try:
            fields = _fields_decoder.decode(data)
            successor = self._upcasters.upcast(kind, bytes(fields["event"]))
            fields["event"] = msgspec.Raw(_encoder.encode(successor))
            return _decoder.decode(_encoder.encode(fields))
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            raise UndecodableError(str(why)) from why


#: Encode an envelope as canonical JSON.
encode: Callable[[Envelope], bytes] = _encoder.encode


def _reason(error: Exception) -> str:
    """Return why an envelope does not decode; a field that this version lacks may be one of a newer version."""
    if isinstance(error, msgspec.ValidationError) and "unknown field" in str(error):
        return f"{error}; if a newer mephisto-es wrote it, update this one and start it again"
    return str(error)


def stored_kind(data: bytes) -> str | None:
    """Return the tag of the event in an encoded envelope, known or not; None if there is none."""
    try:
        return _tag_decoder.decode(data).event.kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


_codec = Codec(UPCASTERS)
#: The one decoder that every reader uses.
decode = _codec.decode
decode_page = _codec.decode_page
