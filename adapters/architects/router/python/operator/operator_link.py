"""The operator's socket: who holds it, what was sent over it, and what it has yet to be sent."""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

import anyio

from ..counters import Counters
from ..journal.journal import Journal
from ..json_text import raw
from ..packets import OperatorGreeting, PacketFactory
from ..sockets.connection import SERVICE_RESTART, Connection
from .commit_waits import CommitWaits

#: The outbox is read in pieces of this size.
PIECE_BYTES = 256 * 2**10

#: How long the answer to a packet that is larger waits at most for the operator's commit.
LARGE_PACKET_SECONDS = 2

#: While this much waits in the socket, the outbox is not read further.
MAX_UNSENT_BYTES = 8 * 2**20

#: Packets outside the outbox may wait up to this size; then the link is given up, because the operator does not read.
MAX_QUEUE_BYTES = 64 * 2**20

#: Reports, which may be lost, are discarded when this much waits already.
MAX_REPORT_QUEUE_BYTES = 4 * 2**20

#: How often a silent operator is asked for a sign of life until it counts as away.
PINGS_PER_LIMIT = 3


class OperatorLink:
    """Sends the operator what it has to know.

    That is the outbox from its first unacknowledged packet, in order, and packets that need no acknowledgement.

    Args:
        journal: holds the outbox.
        packets: makes packets.
        counters: counts packets that nobody could be sent.
        silence_seconds: silence after which the operator is away.
        commits: answers that wait for the operator's commit.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(
        self,
        journal: Journal,
        packets: PacketFactory,
        counters: Counters,
        silence_seconds: float,
        commits: CommitWaits,
        monotonic: Callable[[], float],
    ) -> None:
        self._commits = commits
        self._journal = journal
        self._packets = packets
        self._counters = counters
        self._silence_seconds = silence_seconds
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._away_since = self._heard_at = monotonic()
        self._is_paused = False
        self._changed = anyio.Event()
        # Number of the next packet of the outbox to send.
        self._cursor = 0
        # The outbox as it was when the operator came is sent before anything else.
        self._caught_up_at = 0
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0

    @property
    def is_attached(self) -> bool:
        """True while there is an operator."""
        return self._connection is not None

    @property
    def away_seconds(self) -> float:
        """Time since there was an operator; 0 while there is one."""
        return 0.0 if self.is_attached else self._monotonic() - self._away_since

    @property
    def is_paused(self) -> bool:
        """True if the operator has left in order, and none has come since."""
        return self._is_paused and not self.is_attached

    def is_held_by(self, connection: Connection) -> bool:
        """Return whether a connection is the operator's."""
        return self._connection is connection

    def attach(self, connection: Connection, greeting: OperatorGreeting) -> None:
        """Make a connection the operator's, in place of the one before it.

        Args:
            connection: it has proved that it is the operator's.
            greeting: the data of its `alive`.
        """
        journal = self._journal
        if self._connection is not None and self._connection is not connection:
            self._connection.close(SERVICE_RESTART)
        self._connection = connection
        self._is_paused = False
        self.hear()
        self._notify()
        if greeting.incarnation == journal.incarnation and greeting.acked is not None:
            self.acknowledge(greeting.acked)
        journal.reopen()
        self._clear_queue()
        first = journal.outbox.first_unacknowledged
        self._cursor = journal.outbox.next_seq if first is None else first
        self._caught_up_at = journal.outbox.next_seq
        connection.send(self._packets.from_router("router_state", raw(journal.state)))
        self.flush()

    def detach(self, connection: Connection) -> None:
        """Note that a connection is closed, the operator's or a page's."""
        if self._connection is connection:
            self._connection = None
            self._away_since = self._monotonic()
            self._commits.give_up_all()
            self._clear_queue()
            self._notify()

    def acknowledge(self, seq: int) -> None:
        """Remove everything up to `seq` from the outbox: the operator has committed it."""
        self._journal.acknowledge(seq)
        self._commits.settle(seq)

    async def wait_committed(self, seq: int, size_bytes: int) -> None:
        """Return once the operator has committed a packet; without an operator, or after a while, at once.

        Args:
            seq: its number.
            size_bytes: its size. A large one is waited for in any case: whoever sends megabytes again and again sends
                the next ones when those before are through, and others get their turn meanwhile.
        """
        if self.is_attached and self._journal.outbox.acknowledged < seq:
            await self._commits.wait(seq, LARGE_PACKET_SECONDS if size_bytes > PIECE_BYTES else 0)

    def pause(self) -> None:
        """Note that the operator is about to leave in order."""
        self._is_paused = True

    def hear(self) -> None:
        """Note a sign of life of the operator."""
        self._heard_at = self._monotonic()

    async def watch_pulse(self) -> NoReturn:
        """Drop the connection of an operator that gives no sign of life. Never returns.

        An operator that hangs, or whose machine or network died, closes nothing: without this it would count as
        attached, and nobody would be told.
        """
        while True:
            await anyio.sleep(self._silence_seconds / PINGS_PER_LIMIT)
            if self._connection is None:
                continue
            if self._monotonic() - self._heard_at >= self._silence_seconds:
                self._connection.terminate()
            else:
                self._connection.ping()

    async def wait_abandoned(self, seconds: float) -> None:
        """Return once there has been no operator for `seconds`."""
        while (rest := seconds - self.away_seconds) > 0:
            with anyio.move_on_after(None if self.is_attached else rest):
                await self._changed.wait()

    def send(self, packet: bytes) -> None:
        """Send a packet that needs no acknowledgement; without an operator it is discarded and counted.

        If the operator does not read, the link is given up: the next one begins with the present state, so nothing is
        lost, as it would be if a packet were missing from this one.
        """
        if self._connection is None:
            self._counters.drop("no_operator")
            return
        if self._queue_bytes > MAX_QUEUE_BYTES:
            self._connection.terminate()
        self._queue.append(packet)
        self._queue_bytes += len(packet)
        self.flush()

    def report(self, packet: bytes) -> None:
        """Send something that may be lost; it is discarded and counted if the operator reads too slowly."""
        if self._connection is not None and self._connection.unsent_bytes + self._queue_bytes > MAX_REPORT_QUEUE_BYTES:
            self._counters.drop("operator_too_slow")
        else:
            self.send(packet)

    def flush(self) -> None:
        """Send what can be sent: the outbox first, then the rest."""
        connection = self._connection
        if connection is None:
            return
        outbox = self._journal.outbox
        while connection.unsent_bytes < MAX_UNSENT_BYTES:
            entries = outbox.entries_from(self._cursor, PIECE_BYTES)
            if not entries:
                break
            self._cursor = entries[-1].seq + 1
            for entry in entries:
                connection.send(self._packets.numbered(entry.packet, entry.seq), self.flush)
        if self._cursor < self._caught_up_at and outbox.first_unacknowledged is not None:
            return
        while self._queue and connection.unsent_bytes < MAX_UNSENT_BYTES:
            packet = self._queue.popleft()
            self._queue_bytes -= len(packet)
            connection.send(packet, self.flush)

    def _clear_queue(self) -> None:
        self._queue.clear()
        self._queue_bytes = 0

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
