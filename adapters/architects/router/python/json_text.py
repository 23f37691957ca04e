"""Checks and slices JSON as text, without decoding what a task put into it.

Whatever a task puts into a body or a packet is opaque to the router. It is checked to be strict JSON and forwarded as
the text it was (`msgspec.Raw`), so that numbers keep their digits.
"""

import re
from collections.abc import Callable
from typing import TypeGuard, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from .errors import MalformedJsonError

#: Levels of nesting that reading must have to spare: the operator wraps what it receives, and reads it with a deeper
#: stack.
SPARE_LEVELS = 300

T = TypeVar("T")

# One escape of a JSON string: a pair of surrogates, half of a pair (captured), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)

_encoder = msgspec.json.Encoder()
encode: Callable[[object], bytes] = _encoder.encode


def raw(value: object) -> Raw:
    """Encode `value` for use inside a packet."""
    return Raw(encode(value))


def strict_json(text: bytes) -> bytes:
    """Return `text` as strict JSON on a single line.

    Half of a surrogate pair, which JavaScript writes for a string cut in the middle of a character, becomes U+FFFD:
    nothing behind the router could read it.

    Raises:
        MalformedJsonError: it is not JSON, not UTF-8, or nested too deeply for a later reader.
    """
    try:
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError:
            text = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
            msgspec.json.decode(text)
        msgspec.json.decode(b"[" * SPARE_LEVELS + text + b"]" * SPARE_LEVELS)
        if b"\n" in text or b"\r" in text:
            text = msgspec.json.format(text, indent=-1)
    except UnicodeDecodeError as error:
        raise MalformedJsonError("the text is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedJsonError(str(error)) from error
    return text


def is_object(data: Raw | UnsetType) -> TypeGuard[Raw]:
    """Return whether a packet has data, and it is a JSON object."""
    return isinstance(data, Raw) and bytes(memoryview(data)[:1]) == b"{"


def reader(shape: type[T]) -> Callable[[bytes], T]:
    """Return a function that reads strict JSON of one shape, and raises `MalformedJsonError` on anything else."""
    decode = msgspec.json.Decoder(shape).decode

    def read(text: bytes) -> T:
        try:
            return decode(text)
        except UnicodeDecodeError as error:
            raise MalformedJsonError("the text is not UTF-8") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedJsonError(str(error)) from error

    return read
