"""Keeps in one append-only file what the router must not forget.

That is what it promised (packets of workers) and what it needs to serve pages after a restart (the agents, their
statuses, which of them had a page).

Group commit: while one write and sync is under way, everything that arrives waits, and is then written together with
the next one. Only then are workers answered and packets sent to the operator: a slow disk delays answers, but never the
event loop. A packet gets its number once it is written, so a failed write leaves no gap.

A body of megabytes makes a write long. Whoever asks the router for something waits only for a write that the answer
depends on.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import NoReturn

import anyio
import anyio.to_thread

from ..errors import DamagedJournalError, JournalUnwritableError, OutboxFullError, StartError
from .journal_contents import (
    JournalContents,
    ack_line,
    agent_line,
    header_line,
    packet_line,
    page_line,
    read_contents,
)
from .journal_file import JournalFile
from .journal_lines import witness_line

#: A journal smaller than this is never rewritten.
REWRITE_BYTES = 16 * 2**20
#: A journal is rewritten when it is this many times as large as the packets it has to keep.
REWRITE_FACTOR = 4

#: Called once packets are durable.
OnCommitted = Callable[[], None]
#: Called with the reason why a batch could not be written.
OnFailed = Callable[[OSError], None]


class _JournalBatch:
    """Packets that become durable together, and the event that says so."""

    __slots__ = ("first_seq", "has_agents", "has_updates", "is_durable", "packets", "settled")

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        #: Number of the first packet, once it is durable.
        self.first_seq = 0
        self.settled = anyio.Event()
        self.is_durable = False
        #: True if agents became known, changed their status or were forgotten meanwhile.
        self.has_agents = False
        #: True if it has packets whose senders do not wait for it.
        self.has_updates = False


class Journal:
    """The durable outbox and the known agents.

    Nothing is written before `write_batches` runs.

    Args:
        file: the file, whole up to what was read.
        contents: what it says.
        max_outbox_bytes: size of the packets that may wait to be acknowledged.
    """

    def __init__(self, file: JournalFile, contents: JournalContents, max_outbox_bytes: int) -> None:
        #: Names the numbering: packets are told apart by incarnation and number.
        self.incarnation = contents.incarnation
        #: What is durable and not acknowledged.
        self.outbox = contents.outbox
        #: The status of each known agent.
        self.agents = contents.agents
        #: The known agents whose page had a socket.
        self.pages = contents.pages
        self._contents = contents
        self._file = file
        self._max_outbox_bytes = max_outbox_bytes
        self._rewrite_above = REWRITE_BYTES
        self._batch = _JournalBatch()
        self._waiting_bytes = 0
        self._in_flight: _JournalBatch | None = None
        self._changed_agents: dict[str, str | None] = {}
        self._new_pages: set[str] = set()
        self._written_ack = contents.outbox.acknowledged
        self._witnessed_bytes = 0
        self._work = anyio.Event()
        self._is_closed = False
        self._on_drained: Callable[[], None] | None = None

    @classmethod
    def open(cls, directory: Path, *, max_outbox_bytes: int, new_incarnation: Callable[[], str]) -> "Journal":
        """Open the journal of a data directory, or begin one; a torn end is cut off.

        Raises:
            StartError: the journal is damaged, there are several, or files cannot be used.
        """
        try:
            for draft in directory.glob("*.jsonl.new"):
                draft.unlink()
            found = sorted(directory.glob("journal-*.jsonl"))
            if len(found) > 1:
                names = ", ".join(path.name for path in found)
                raise StartError(f"{directory} holds more than one journal ({names}): keep the one of this run.")
            if not found:
                incarnation = new_incarnation()
                found = [directory / f"journal-{incarnation}.jsonl"]
                JournalFile.create(found[0], header_line(incarnation, 1))
            with found[0].open("rb") as lines:
                contents = read_contents(lines)
            return cls(JournalFile(found[0], contents.size_bytes), contents, max_outbox_bytes)
        except DamagedJournalError as error:
            raise StartError(
                f"The journal {found[0]} cannot be used: {error}. Restore it from a copy, or start with an empty"
                " data directory."
            ) from error
        except OSError as error:
            raise StartError(f"The data directory {directory} cannot be used: {error.strerror}.") from error

    async def record(self, packet: bytes) -> int:
        """Accept a packet of a worker; return its number when it is durable.

        Cancelling ends only the wait: the packet stays in the outbox.

        Args:
            packet: its JSON, on one line.

        Raises:
            OutboxFullError: it was not accepted, because too much waits for the operator.
            JournalUnwritableError: it was not accepted, because writing failed.
        """
        batch = self._accept(packet)
        index = len(batch.packets) - 1
        await batch.settled.wait()
        if not batch.is_durable:
            raise JournalUnwritableError
        return batch.first_seq + index

    def record_nowait(self, packet: bytes) -> None:
        """Accept a packet of a worker without waiting for the disk.

        Raises:
            OutboxFullError: it was not accepted.
        """
        self._accept(packet).has_updates = True

    def note_agent(self, token: str, status: str | None) -> None:
        """Remember an agent's status; None forgets the agent."""
        if status is None:
            self._contents.forget_agent(token)
            self._new_pages.discard(token)
        else:
            self.agents[token] = status
        self._changed_agents[token] = status
        self._batch.has_agents = True
        self._work.set()

    def note_page(self, token: str) -> None:
        """Remember that an agent's page was there, so that its absence is noticed after a restart."""
        if token not in self.pages:
            self.pages.add(token)
            self._new_pages.add(token)
            self._work.set()

    async def wait_updates_written(self) -> None:
        """Return when all packets accepted by `record_nowait` so far were written, or could not be."""
        await self._wait_settled(lambda batch: batch.has_updates)

    async def wait_agents_written(self) -> None:
        """Return when all agents noted so far were written, or could not be."""
        await self._wait_settled(lambda batch: batch.has_agents)

    def acknowledge(self, seq: int) -> None:
        """Remove everything up to `seq` from the outbox: the operator has committed it."""
        self.outbox.acknowledge(seq)
        self._work.set()

    def drain(self, on_drained: Callable[[], None]) -> None:
        """Accept nothing more; call `on_drained` once all that was accepted has been written, or could not be."""
        self._is_closed = True
        self._on_drained = on_drained
        self._work.set()

    def reopen(self) -> None:
        """Accept packets again: another operator has come, and will drain when it is done."""
        self._is_closed = False
        self._on_drained = None

    @property
    def state(self) -> dict[str, object]:
        """Data of `router_state`: the state of the outbox."""
        return {
            "incarnation": self.incarnation,
            "first_unacked": self.outbox.first_unacknowledged,
            "next_seq": self.outbox.next_seq,
            "closed": self._is_closed,
        }

    async def write_batches(self, on_committed: OnCommitted, on_failed: OnFailed) -> NoReturn:
        """Write what waits, batch by batch. Never returns.

        On cancellation the batch under way is finished; what waits behind it is left to `close`.
        """
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            await self._write_batch(on_committed, on_failed)

    async def close(self, on_committed: OnCommitted, on_failed: OnFailed) -> None:
        """Write what still waits, and close the file."""
        if self._work.is_set():
            await self._write_batch(on_committed, on_failed)
        await anyio.to_thread.run_sync(self._file.close)

    async def _wait_settled(self, matters: Callable[[_JournalBatch], bool]) -> None:
        """Wait for the last batch that matters; those before it are settled earlier."""
        for batch in (self._batch, self._in_flight):
            if batch is not None and matters(batch):
                await batch.settled.wait()
                return

    def _accept(self, packet: bytes) -> _JournalBatch:
        size = self.outbox.size_bytes + self._waiting_bytes + len(packet)
        if self._is_closed or size > self._max_outbox_bytes:
            raise OutboxFullError
        self._waiting_bytes += len(packet)
        self._batch.packets.append(packet)
        self._work.set()
        return self._batch

    async def _write_batch(self, on_committed: OnCommitted, on_failed: OnFailed) -> None:
        batch, self._batch = self._batch, _JournalBatch()
        self._in_flight = batch
        agents, self._changed_agents = self._changed_agents, {}
        pages, self._new_pages = self._new_pages, set()
        try:
            await self._append(agents, pages, batch.packets)
        except OSError as error:
            self._changed_agents = agents | self._changed_agents
            self._batch.has_agents |= batch.has_agents
            self._new_pages |= pages & self.pages
            on_failed(error)
        else:
            batch.is_durable = True
            batch.first_seq = self.outbox.next_seq
            for packet in batch.packets:
                self.outbox.add(packet)
            if batch.packets:
                on_committed()
        finally:
            self._waiting_bytes -= sum(map(len, batch.packets))
            self._in_flight = None
            batch.settled.set()
        if self._on_drained is not None and not self._batch.packets:
            self._on_drained()
            self._on_drained = None
        await self._rewrite_if_worthwhile()

    async def _append(self, agents: dict[str, str | None], pages: set[str], packets: list[bytes]) -> None:
        first_seq = 0
        # An operator may come meanwhile that has seen these numbers already: then the packets are written with others.
        while first_seq != self.outbox.next_seq:
            first_seq, acknowledged = self.outbox.next_seq, self.outbox.acknowledged
            synced_bytes = self._file.synced_bytes
            lines = [witness_line(synced_bytes)] if synced_bytes != self._witnessed_bytes else []
            lines += [agent_line(token, status) for token, status in agents.items()]
            lines += [page_line(token) for token in pages]
            if acknowledged > self._written_ack:
                lines.append(ack_line(acknowledged))
            await self._in_thread(partial(self._append_lines, lines, first_seq, packets))
            self._written_ack, self._witnessed_bytes = acknowledged, synced_bytes

    def _append_lines(self, lines: list[bytes], first_seq: int, packets: list[bytes]) -> None:
        """Append lines and packets to the file. In a thread: a large packet takes a while to copy and to sum up."""
        lines += [packet_line(seq, packet) for seq, packet in enumerate(packets, first_seq)]
        self._file.append(b"".join(lines), durably=bool(packets))

    async def _rewrite_if_worthwhile(self) -> None:
        """Replace a large file by one with only what still counts."""
        is_mostly_past = REWRITE_FACTOR * self.outbox.size_bytes < self._file.size_bytes
        if not is_mostly_past or self._file.size_bytes <= self._rewrite_above:
            return
        kept = self.outbox.entries_from(0, inf)
        lines = [header_line(self.incarnation, kept[0].seq if kept else self.outbox.next_seq)]
        lines += [agent_line(token, status) for token, status in self.agents.items()]
        lines += [page_line(token) for token in self.pages]
        lines += [packet_line(*entry) for entry in kept]
        # A file that cannot be shortened now is still good, and grows until the next attempt.
        with suppress(OSError):
            await self._in_thread(lambda: self._file.replace(b"".join(lines)))
        self._rewrite_above = max(REWRITE_BYTES, REWRITE_FACTOR * self._file.size_bytes)

    @staticmethod
    async def _in_thread(work: Callable[[], None]) -> None:
        # Shielded: a write that has begun is seen to its end, so that memory and file agree.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(work)
