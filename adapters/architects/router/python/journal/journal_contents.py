"""Reads and writes the records of the journal, without touching a file.

The first line names the incarnation and the next number. The others are a packet with its number, an acknowledgement
(cumulative), an agent's status (null: forgotten), a note that an agent's page was there, or a witness of what was on
the disk.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ..errors import DamagedJournalError
from .journal_lines import decode_lines, encode_line
from .outbox import Outbox


class JournalContents:
    """The state that a journal describes once all its lines are read."""

    def __init__(self) -> None:
        #: Names the numbering: packets are told apart by incarnation and number.
        self.incarnation = ""
        self.outbox = Outbox()
        #: The status of each known agent.
        self.agents: dict[str, str] = {}
        #: The known agents whose page had a socket.
        self.pages: set[str] = set()
        #: Length of the part that is whole.
        self.size_bytes = 0

    def forget_agent(self, token: str) -> None:
        """Remove an agent and its page."""
        self.agents.pop(token, None)
        self.pages.discard(token)


class _Record(msgspec.Struct):
    incarnation: str | UnsetType = UNSET
    next_seq: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    packet: Raw | UnsetType = UNSET
    ack: int | UnsetType = UNSET
    agent: str | UnsetType = UNSET
    status: str | UnsetType | None = UNSET
    page: str | UnsetType = UNSET
    durable: int | UnsetType = UNSET


def read_contents(lines: Iterable[bytes]) -> JournalContents:
    """Fold a journal's lines into the state they describe.

    Args:
        lines: the text, cut behind each line end; what a power cut damaged is ignored.

    Raises:
        DamagedJournalError: a line that was on the disk is damaged, a record does not fit where it stands, or the
            header is missing.
    """
    contents = JournalContents()
    for number, json, end in decode_lines(lines):
        if not _apply(contents, json, is_header=number == 1):
            raise DamagedJournalError(f"line {number} is not a record that can stand there")
        contents.size_bytes = end
    if contents.size_bytes == 0:
        raise DamagedJournalError("line 1, the header, is missing or torn")
    return contents


def _apply(contents: JournalContents, json: bytes, *, is_header: bool) -> bool:
    """Apply one record; return whether it fits there."""
    try:
        record = msgspec.json.decode(json, type=_Record)
    except msgspec.DecodeError:
        return False
    match record:
        case _Record(incarnation=str(incarnation), next_seq=int(next_seq)):
            contents.incarnation, contents.outbox = incarnation, Outbox(next_seq)
            return is_header
        case _Record(seq=int(seq), packet=Raw() as packet):
            if seq != contents.outbox.next_seq:
                return False
            contents.outbox.add(bytes(packet))
        case _Record(ack=int(seq)):
            contents.outbox.acknowledge(seq)
        case _Record(agent=str(token), status=str(status)):
            contents.agents[token] = status
        case _Record(agent=str(token), status=None):
            contents.forget_agent(token)
        case _Record(page=str(token)):
            if token in contents.agents:
                contents.pages.add(token)
        case _Record(durable=int()):
            pass
        case _:
            return False
    return not is_header


def header_line(incarnation: str, next_seq: int) -> bytes:
    """Return the first line of a journal; `next_seq` is the number of the first packet in it."""
    return encode_line(msgspec.json.encode({"incarnation": incarnation, "next_seq": next_seq}))


def packet_line(seq: int, packet: bytes) -> bytes:
    """Return the line of a packet (encoded, on one line) with its number."""
    return encode_line(b'{"seq":%d,"packet":%b}' % (seq, packet))


def ack_line(seq: int) -> bytes:
    """Return the line that acknowledges everything up to `seq`."""
    return encode_line(b'{"ack":%d}' % seq)


def agent_line(token: str, status: str | None) -> bytes:
    """Return the line of an agent's status; None forgets the agent."""
    return encode_line(msgspec.json.encode({"agent": token, "status": status}))


def page_line(token: str) -> bytes:
    """Return the line that an agent's page was there."""
    return encode_line(msgspec.json.encode({"page": token}))
