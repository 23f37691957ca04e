"""The journal's file format: what its lines mean, without touching a file.

Each line is ``<crc32 of the JSON text, 8 hex digits> <JSON>``. The first one names the
incarnation; the others are a packet with its number, an acknowledgement (cumulative), an agent's
status (null: forgotten), or that an agent's page was there. A process or machine that stops in the middle of a write
leaves at most a torn end behind, and nobody was told that its content was safe: it is cut off.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import msgspec
from msgspec import UNSET, Raw, UnsetType

_CRC_DIGITS = 8


class DamagedJournalError(Exception):
    """A line before the last one is not what was written; says which."""


class _Line(msgspec.Struct):
    incarnation: str | UnsetType = UNSET
    next_seq: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    packet: Raw | UnsetType = UNSET
    ack: int | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    status: str | None = None
    page: str | UnsetType = UNSET


class Entry(NamedTuple):
    """A packet in the outbox: its number and its text."""

    seq: int
    packet: bytes


class JournalContents(msgspec.Struct):
    """What a journal says once all its lines are read."""

    incarnation: str = ""
    next_seq: int = 1
    #: Packets not yet acknowledged, in order.
    unacknowledged: deque[Entry] = msgspec.field(default_factory=deque)
    #: Status of each agent known.
    agents: dict[str, str] = msgspec.field(default_factory=dict)
    #: Those of them whose page had a socket.
    pages: set[str] = msgspec.field(default_factory=set)
    #: Length in bytes of the part that is whole.
    good_bytes: int = 0


def _line(json: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(json), json)


def header_line(incarnation: str, next_seq: int) -> bytes:
    """Write the first line of a journal."""
    return _line(msgspec.json.encode({"incarnation": incarnation, "next_seq": next_seq}))


def packet_line(seq: int, packet: bytes) -> bytes:
    """Write a packet (encoded, on one line) under its number."""
    return _line(b'{"seq":%d,"packet":%b}' % (seq, packet))


def ack_line(seq: int) -> bytes:
    """Write that everything up to `seq` is acknowledged."""
    return _line(b'{"ack":%d}' % seq)


def agent_line(agent: str, status: str | None) -> bytes:
    """Write an agent's status; None when the agent is forgotten."""
    return _line(msgspec.json.encode({"agent": agent, "status": status}))


def page_line(agent: str) -> bytes:
    """Write that an agent's page was there."""
    return _line(msgspec.json.encode({"page": agent}))


def read_journal(lines: Iterable[bytes]) -> JournalContents:
    """Fold a journal's lines (each with its line end) into what they say.

    Raises:
        DamagedJournalError: a line that is not the last one is broken, or the header is missing.
    """
    contents = JournalContents()
    broken: int | None = None
    for number, text in enumerate(lines, start=1):
        if broken is not None:
            raise DamagedJournalError(f"line {broken} is damaged and others follow it")
        line = _decode(text)
        if line is None:
            broken = number
            continue
        if (number == 1) != isinstance(line.incarnation, str):
            raise DamagedJournalError(f"line {number} is out of place: the header is the first line and no other")
        _apply(contents, line)
        contents.good_bytes += len(text)
    if not contents.incarnation:
        raise DamagedJournalError("line 1, the header, is missing or torn")
    return contents


def forget_acknowledged(entries: deque[Entry], seq: int) -> int:
    """Take the entries up to `seq` off the front; return how many bytes of packets went with them."""
    freed = 0
    while entries and entries[0].seq <= seq:
        freed += len(entries.popleft().packet)
    return freed


def _decode(text: bytes) -> _Line | None:
    json = text[_CRC_DIGITS + 1 : -1]
    if text[-1:] != b"\n" or text[: _CRC_DIGITS + 1] != b"%08x " % crc32(json):
        return None
    try:
        return msgspec.json.decode(json, type=_Line)
    except msgspec.DecodeError:
        return None


def _apply(contents: JournalContents, line: _Line) -> None:
    if isinstance(line.incarnation, str):
        contents.incarnation = line.incarnation
        contents.next_seq = line.next_seq or 1
    elif isinstance(line.seq, int) and isinstance(line.packet, Raw):
        contents.unacknowledged.append(Entry(line.seq, bytes(line.packet)))
        contents.next_seq = max(contents.next_seq, line.seq + 1)
    elif isinstance(line.ack, int):
        forget_acknowledged(contents.unacknowledged, line.ack)
        contents.next_seq = max(contents.next_seq, line.ack + 1)
    elif isinstance(line.agent, str):
        if line.status is None:
            contents.agents.pop(line.agent, None)
            contents.pages.discard(line.agent)
        else:
            contents.agents[line.agent] = line.status
    elif isinstance(line.page, str) and line.page in contents.agents:
        contents.pages.add(line.page)
