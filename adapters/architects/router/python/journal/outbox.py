"""Holds the packets that the operator has not acknowledged, in the order of their numbers.

Everything in it is on disk already: the journal adds packets once they are.
"""

from bisect import bisect_left
from typing import NamedTuple


class OutboxEntry(NamedTuple):
    """A packet in the outbox: its number, and its JSON text."""

    seq: int
    packet: bytes


class Outbox:
    """Packets from the first unacknowledged one on.

    Args:
        next_seq: the number of the next packet.
    """

    def __init__(self, next_seq: int = 1) -> None:
        self.next_seq = next_seq
        #: Highest number that was ever acknowledged.
        self.acknowledged = next_seq - 1
        #: Size of all packets' JSON texts.
        self.size_bytes = 0
        self._entries: list[OutboxEntry] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first_unacknowledged(self) -> int | None:
        """Number of the oldest packet, or None if there is none."""
        return self._entries[0].seq if self._entries else None

    def add(self, packet: bytes) -> None:
        """Add a packet under the next number."""
        self._entries.append(OutboxEntry(self.next_seq, packet))
        self.size_bytes += len(packet)
        self.next_seq += 1

    def acknowledge(self, seq: int) -> None:
        """Remove all packets up to and including `seq`.

        An acknowledgement of numbers that were never given out here means that the journal lost its end after the
        operator had committed it. Numbering continues behind them: no new packet may be taken for one of those.
        """
        count = bisect_left(self._entries, seq + 1, key=lambda entry: entry.seq)
        self.size_bytes -= sum(len(entry.packet) for entry in self._entries[:count])
        del self._entries[:count]
        self.acknowledged = max(self.acknowledged, seq)
        self.next_seq = max(self.next_seq, seq + 1)

    def entries_from(self, seq: int, max_bytes: float) -> list[OutboxEntry]:
        """Return the packets from `seq` on until their size reaches `max_bytes`; at least one if there is one."""
        end = start = bisect_left(self._entries, seq, key=lambda entry: entry.seq)
        size = 0
        while end < len(self._entries) and (end == start or size < max_bytes):
            size += len(self._entries[end].packet)
            end += 1
        return self._entries[start:end]
