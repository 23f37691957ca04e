"""Encodes and decodes the lines of the journal: ``<crc32 of the JSON text, 8 hex digits> <JSON>``.

A power cut leaves any part of what was not synced: lines that are torn, and lines behind them that are whole. Nobody
was told that their content was safe, so reading ends before the first damaged line. Damage to what was synced is not
the work of a power cut, and is an error: later lines witness how much of the file was.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

from ..errors import DamagedJournalError

_CRC_DIGITS = 8
_WITNESS = re.compile(rb'\{"durable":(\d+)\}')


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
    """Return the whole lines of a journal up to the first damaged one, in order.

    Args:
        lines: the text, cut behind each line end.

    Raises:
        DamagedJournalError: a line is damaged that was on the disk before, as a later one witnesses.
    """
    damaged: int | None = None
    end = 0
    for number, text in enumerate(lines, start=1):
        json = _decode_line(text)
        if damaged is None and json is not None:
            end += len(text)
            yield JournalLine(number, json, end)
        elif damaged is None:
            damaged = number
        elif json is not None and (witness := _WITNESS.fullmatch(json)) and int(witness[1]) > end:
            raise DamagedJournalError(f"line {damaged} is damaged, and was on the disk before")


def witness_line(size_bytes: int) -> bytes:
    """Return the line that witnesses how much of the file is on the disk."""
    return encode_line(b'{"durable":%d}' % size_bytes)


def _decode_line(text: bytes) -> bytes | None:
    json = text[_CRC_DIGITS + 1 : -1]
    is_whole = text[-1:] == b"\n" and text[: _CRC_DIGITS + 1] == b"%08x " % crc32(json)
    return json if is_whole else None
