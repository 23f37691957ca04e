"""Checks JSON from pages without building the values in it.

A page may send megabytes of small values. Building them costs a hundred times what reading over them costs, and nobody
else is served meanwhile. So the grammar is checked by `msgspec.Raw`, and what that does not look at by a few passes
over the bytes: the encoding, the range of numbers, and the depth.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from math import inf

import msgspec

#: A body of more bytes is checked beside the event loop where it can be.
LARGE_BODY_BYTES = 256 * 2**10
#: What is looked at number by number or bracket by bracket comes in pieces, between which other threads can run.
_PIECE_BYTES = 2**16

_RAW = msgspec.json.Decoder(msgspec.Raw)
_NUMBER = b"0123456789+-.eE"
#: The shape of numbers, without plus signs: each digit is `0`, and whatever no number has is a space.
_SHAPE = bytes(
    ord("0") if byte in b"0123456789" else ord("e") if byte in b"eE" else byte if byte in b"-." else ord(" ")
    for byte in range(256)
)
#: Shapes that every number has that is out of range: an exponent of three digits, or very many digits.
_EXTREME_SHAPES = (b"0e000", b"0" * 200)
_ONLY_NUMBERS = bytes(byte if byte in _NUMBER else ord(" ") for byte in range(256))
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b'"[]{}')
#: One level more, or one level less as a signed byte.
_AS_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def check_grammar(text: bytes) -> None:
    """Check that a text is JSON, apart from its encoding and the range of its numbers.

    Raises:
        msgspec.DecodeError: it is not.
        RecursionError: it is nested more deeply than the stack allows.
    """
    _RAW.decode(text)


def check_values(text: bytes) -> None:
    """Check the encoding and the numbers of a text whose grammar was checked.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
        msgspec.ValidationError: a number is too large for a reader that holds numbers in 64 bits.
    """
    if not text.isascii():
        text.decode()
    shape = text.translate(_SHAPE, b"+")
    if not any(extreme in shape for extreme in _EXTREME_SHAPES):
        return
    # A digest or an image in a string looks like that, too. The `e` of `true` follows a space here.
    numbers = _outside_strings(text).translate(_ONLY_NUMBERS).replace(b" e", b" ")
    start = 0
    while start < len(numbers):
        end = numbers.find(b" ", start + _PIECE_BYTES)
        end = len(numbers) if end < 0 else end
        # `float` takes a thousandth of the time that msgspec takes for a number with a large exponent.
        if inf in map(abs, map(float, numbers[start:end].split())):
            raise msgspec.ValidationError("Number out of range")
        start = end


def is_nested_deeper(text: bytes, levels: int) -> bool:
    """Return whether a text whose grammar was checked has more arrays and objects inside each other than `levels`."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    steps = _outside_strings(text, _NOT_BRACKETS).translate(_AS_STEPS)
    depth = 0
    for start in range(0, len(steps), _PIECE_BYTES):
        depths = list(accumulate(array("b", steps[start : start + _PIECE_BYTES]), initial=depth))
        if max(depths) > levels:
            return True
        depth = depths[-1]
    return False


def _outside_strings(text: bytes, dropped: bytes = b"") -> bytes:
    """Return a JSON text without its strings, and without some bytes; a quotation mark stands for strings."""
    if b"\\" in text:
        text = text.replace(rb"\\", b"").replace(rb"\"", b"")
    if dropped:
        # Most strings are empty then. Two marks side by side may go whichever they are: those left still alternate.
        text = text.translate(None, dropped).replace(b'""', b"")
        return b"".join(text.split(b'"')[::2])
    return b'"'.join(text.split(b'"')[::2])
