"""Encodes and decodes the lines of the journal: ``<crc32 of the JSON text, 8 hex digits> <JSON>``.

A crash in the middle of a write leaves at most a torn or damaged last line, and nobody was told that its content was
safe: reading ends before it. Damage further up is not the work of a crash, and the lines behind it may have been
promised to somebody: that is an error.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

from ..errors import DamagedJournalError

_CRC_DIGITS = 8


class JournalLine(NamedTuple):
    """One whole line."""

    #: Counted from 1.
    number: int
    json: bytes
    #: Offset of the byte behind it.
    end: int


def encode_line(json: bytes) -> bytes:
    """Return a JSON text as a line of the journal, with its line end."""
    return b"%08x %b\n" % (crc32(json), json)


def decode_lines(lines: Iterable[bytes]) -> Iterator[JournalLine]:
    """Return the whole lines of a journal, in order.

    Args:
        lines: the text, cut behind each line end.

    Raises:
        DamagedJournalError: a line is damaged and others follow it.
    """
    damaged: int | None = None
    end = 0
    for number, text in enumerate(lines, start=1):
        if damaged is not None:
            raise DamagedJournalError(f"line {damaged} is damaged and others follow it")
        json = _decode_line(text)
        if json is None:
            damaged = number
            continue
        end += len(text)
        yield JournalLine(number, json, end)


def _decode_line(text: bytes) -> bytes | None:
    json = text[_CRC_DIGITS + 1 : -1]
    is_whole = text[-1:] == b"\n" and text[: _CRC_DIGITS + 1] == b"%08x " % crc32(json)
    return json if is_whole else None
