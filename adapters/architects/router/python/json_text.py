"""Checks and slices JSON as text, without decoding what a task put into it.

Whatever a task puts into a body or a packet is opaque to the router. It is checked to be strict JSON and forwarded as
the text it was (`msgspec.Raw`), so that numbers keep their digits.
"""

import re
import sys
from collections.abc import Callable
from typing import TypeGuard, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from .errors import MalformedJsonError

#: Deeper data is refused: whatever reads it behind the router has a limited stack.
MAX_NESTING = 200

#: The largest number that a reader in JavaScript can hold.
MAX_NUMBER = int(sys.float_info.max)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# As many digits as it takes to be too large for a reader that holds numbers in 64 bits.
_LONG_NUMBER = re.compile(rb"\d{309}")

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
    """Return `text` as strict JSON on a single line. A byte order mark before it is dropped.

    Half of a surrogate pair, which JavaScript writes for a string cut in the middle of a character, becomes U+FFFD:
    nothing behind the router could read it.

    Raises:
        MalformedJsonError: it is not JSON, not UTF-8, nested too deeply for a later reader, or holds a number that no
            reader can hold.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            text = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
            value = msgspec.json.decode(text)
        if text.count(b"[") + text.count(b"{") > MAX_NESTING or _LONG_NUMBER.search(text):
            _check(value, MAX_NESTING)
        if b"\n" in text or b"\r" in text:
            text = msgspec.json.format(text, indent=-1)
    except UnicodeDecodeError as error:
        raise MalformedJsonError("the text is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedJsonError(str(error)) from error
    return text


def _check(value: object, levels: int) -> None:
    """Check the numbers and the depth of a value.

    Args:
        value: the value.
        levels: how many may be below it.
    """
    if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise MalformedJsonError("a number is out of range")
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise MalformedJsonError("the data is nested too deeply")
    for part in value.values() if isinstance(value, dict) else value:
        _check(part, levels - 1)


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
