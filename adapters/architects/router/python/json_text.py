"""Checks and slices JSON as text, without decoding what a task put into it.

Whatever a task puts into a body or a packet is opaque to the router. It is checked to be strict JSON and forwarded as
the text it was (`msgspec.Raw`), so that numbers keep their digits.
"""

import re
from collections.abc import Callable
from typing import TypeGuard, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from .....core.opaque_json import check_grammar, check_values, is_nested_deeper
from .errors import MalformedJsonError

#: Deeper data is refused: whatever reads it behind the router has a limited stack.
MAX_NESTING = 200

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

T = TypeVar("T")

# In a JSON string: a backslash that is escaped, a pair of surrogates, or half of a pair (captured).
_ESCAPE = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
_HALF_OF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")

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
            check_grammar(text)
        except msgspec.DecodeError:
            if not _HALF_OF_A_PAIR.search(text):
                raise
            text = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
            check_grammar(text)
        check_values(text)
        if is_nested_deeper(text, MAX_NESTING):
            raise MalformedJsonError("the data is nested too deeply")
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
