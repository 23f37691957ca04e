"""The durable outbox: what workers made, on disk until the operator has committed it.

One task writes. It takes everything that waits, writes it with one write and one fdatasync in a
worker thread, and only then are workers answered and packets handed on (group commit): a slow
disk delays answers, never the event loop. Numbers are given when a batch is written, so that a
failed write leaves no hole.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from .journal_file import JournalFile, create_journal_file, lock_directory
from .journal_lines import (
    DamagedJournalError,
    Entry,
    JournalContents,
    ack_line,
    agent_line,
    forget_acknowledged,
    header_line,
    packet_line,
    page_line,
    read_journal,
)

#: A journal smaller than this is never rewritten.
REWRITE_BYTES = 16 * 2**20
#: A journal is rewritten when it is this many times as large as what it still has to hold.
REWRITE_FACTOR = 4

#: Gets the packets of a batch once they are durable.
HandOn = Callable[[list[Entry]], None]
#: Gets the reason why a batch could not be written.
Failed = Callable[[OSError], None]


class JournalError(Exception):
    """The journal cannot be opened; says which file and why."""


class OutboxFullError(Exception):
    """The packet was not taken: the operator has been away for too long."""


class JournalUnwritableError(Exception):
    """The packet was not taken: writing failed."""


class _JournalBatch:
    """Packets that become durable together, and the event that says so."""

    __slots__ = ("durable", "packets", "settled")

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.settled = anyio.Event()
        self.durable = False


class Journal:
    """The outbox and the agents known, in memory and on disk. Made by `open_journal`."""

    def __init__(self, file: JournalFile, contents: JournalContents, limit_bytes: int) -> None:
        self.incarnation = contents.incarnation
        self.next_seq = contents.next_seq
        #: Status of each agent known, as of the start.
        self.agents = contents.agents
        #: Agents whose page had a socket, as of the start.
        self.pages = contents.pages
        #: What is durable and not acknowledged, in order.
        self.unacknowledged: deque[Entry] = contents.unacknowledged
        #: Bytes of packets waiting to be durable or to be acknowledged.
        self.outbox_bytes = sum(len(entry.packet) for entry in self.unacknowledged)
        self._file = file
        self._limit_bytes = limit_bytes
        self._rewrite_above = REWRITE_BYTES
        self._batch = _JournalBatch()
        self._in_flight: _JournalBatch | None = None
        self._changed_agents: dict[str, str | None] = {}
        self._new_pages: set[str] = set()
        self._acknowledged = self._acknowledged_on_disk = 0
        self._work = anyio.Event()
        self._is_closed = False
        self._on_drained: Callable[[], None] | None = None

    async def record(self, packet: bytes) -> None:
        """Take an encoded packet into the outbox and return when it is durable.

        A caller that is cancelled no longer hears of it; the packet stays in the outbox.

        Raises:
            OutboxFull, JournalUnwritable: it was not taken.
        """
        batch = self.record_nowait(packet)
        await batch.settled.wait()
        if not batch.durable:
            raise JournalUnwritableError

    def record_nowait(self, packet: bytes) -> _JournalBatch:
        """Take an encoded packet into the outbox without waiting for the disk.

        Raises:
            OutboxFullError: it was not taken.
        """
        if self._is_closed or self.outbox_bytes + len(packet) > self._limit_bytes:
            raise OutboxFullError
        self.outbox_bytes += len(packet)
        self._batch.packets.append(packet)
        self._work.set()
        return self._batch

    def note_agent(self, agent: str, status: str | None) -> None:
        """Remember an agent's status for the next start; None forgets the agent."""
        if status is None:
            self.agents.pop(agent, None)
            self.pages.discard(agent)
            self._new_pages.discard(agent)
        else:
            self.agents[agent] = status
        self._changed_agents[agent] = status
        self._work.set()

    def note_page(self, agent: str) -> None:
        """Remember for the next start that an agent's page was there, so that its absence is noticed then."""
        if agent not in self.pages:
            self.pages.add(agent)
            self._new_pages.add(agent)
            self._work.set()

    async def wait_agents_written(self) -> None:
        """Return when everything noted about agents so far was written, or could not be."""
        if self._changed_agents:
            await self._batch.settled.wait()
        elif self._in_flight is not None:
            await self._in_flight.settled.wait()

    def acknowledge(self, seq: int) -> None:
        """Forget everything up to `seq`: the operator has committed it."""
        self.outbox_bytes -= forget_acknowledged(self.unacknowledged, seq)
        self._acknowledged = max(self._acknowledged, seq)
        # A number the operator has seen is never given twice.
        self.next_seq = max(self.next_seq, seq + 1)
        self._work.set()

    def drain(self, on_drained: Callable[[], None]) -> None:
        """Take nothing more, and call a function once all that was taken is durable and handed on."""
        self._is_closed = True
        self._on_drained = on_drained
        self._work.set()

    def reopen(self) -> None:
        """Take packets again: another operator has come, which says for itself when it is done."""
        self._is_closed = False
        self._on_drained = None

    def state(self) -> dict[str, object]:
        """Where the outbox stands, as the operator is told."""
        return {
            "incarnation": self.incarnation,
            "first_unacked": self.unacknowledged[0].seq if self.unacknowledged else None,
            "next_seq": self.next_seq,
            "closed": self._is_closed,
        }

    async def write_batches(self, hand_on: HandOn, failed: Failed) -> None:
        """Write what waits, for ever; `hand_on` gets each batch once it is durable.

        On cancellation the batch being written is finished; what waits behind it is left to `close`.
        """
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            await self._write_batch(hand_on, failed)

    async def close(self, hand_on: HandOn, failed: Failed) -> None:
        """Write what still waits and close the file."""
        if self._work.is_set():
            await self._write_batch(hand_on, failed)
        await anyio.to_thread.run_sync(self._file.close)

    async def _write_batch(self, hand_on: HandOn, failed: Failed) -> None:
        batch, self._batch = self._batch, _JournalBatch()
        self._in_flight = batch
        changed, self._changed_agents = self._changed_agents, {}
        pages, self._new_pages = self._new_pages, set()
        acknowledged = self._acknowledged
        entries = [Entry(seq, packet) for seq, packet in enumerate(batch.packets, self.next_seq)]
        lines = [agent_line(agent, status) for agent, status in changed.items()]
        lines += [page_line(agent) for agent in pages]
        if acknowledged > self._acknowledged_on_disk:
            lines.append(ack_line(acknowledged))
        lines += [packet_line(*entry) for entry in entries]
        try:
            await self._in_thread(lambda: self._file.append(b"".join(lines), durably=bool(entries)))
        except OSError as error:
            self.outbox_bytes -= sum(map(len, batch.packets))
            self._changed_agents = changed | self._changed_agents
            self._new_pages |= pages & self.pages
            failed(error)
        else:
            batch.durable = True
            self._acknowledged_on_disk = acknowledged
            if entries:
                self.next_seq = entries[-1].seq + 1
                self.unacknowledged += entries
                hand_on(entries)
        finally:
            self._in_flight = None
            batch.settled.set()
        if self._on_drained is not None and not self._batch.packets:
            self._on_drained()
            self._on_drained = None
        is_mostly_past = REWRITE_FACTOR * self.outbox_bytes < self._file.size
        if is_mostly_past and self._file.size > self._rewrite_above:
            await self._rewrite()

    async def _rewrite(self) -> None:
        lines = [header_line(self.incarnation, self.next_seq)]
        lines += [agent_line(agent, status) for agent, status in self.agents.items()]
        lines += [page_line(agent) for agent in self.pages]
        lines += [packet_line(*entry) for entry in self.unacknowledged]
        # A file that cannot be shortened now is still good, and grows until the next attempt.
        with suppress(OSError):
            await self._in_thread(lambda: self._file.replace(b"".join(lines)))
        self._rewrite_above = max(REWRITE_BYTES, REWRITE_FACTOR * self._file.size)

    @staticmethod
    async def _in_thread(work: Callable[[], None]) -> None:
        # Shielded: a write that has begun is seen to its end, so that memory and file agree.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(work)


def open_journal(directory: Path, limit_bytes: int, new_incarnation: Callable[[], str]) -> Journal:
    """Open the journal in `directory`, or begin one; a torn end is cut off.

    The directory is locked for as long as this process lives.

    Raises:
        JournalError: another router uses the directory, the journal is damaged, or files cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not lock_directory(directory):
            raise JournalError(f"Another router is using the data directory {directory}.")
        found = sorted(directory.glob("journal-*.jsonl"))
        if len(found) > 1:
            raise JournalError(f"{directory} holds several journals ({len(found)}); a router has one.")
        if not found:
            incarnation = new_incarnation()
            found = [directory / f"journal-{incarnation}.jsonl"]
            create_journal_file(found[0], header_line(incarnation, 1))
        with found[0].open("rb") as lines:
            contents = read_journal(lines)
        return Journal(JournalFile(found[0], contents.good_bytes), contents, limit_bytes)
    except DamagedJournalError as error:
        raise JournalError(f"The journal {found[0]} cannot be used: {error}.") from error
    except OSError as error:
        raise JournalError(f"The router's data directory {directory} cannot be used: {error.strerror}.") from error
