"""The outgoing side of a WebSocket: the only part of a socket that the rest of the router sees."""

from collections import deque
from collections.abc import Callable

import anyio

from ..http.protocols import SocketControls

#: Reasons for closing, as WebSocket codes.
POLICY_VIOLATION = 1008
TOO_BIG = 1009
SERVICE_RESTART = 1012


class Connection:
    """Packets to send in order, then perhaps a reason to close.

    A connection has no identity: it gets one from what is said on it. Sending never waits.

    Args:
        controls: the socket's.
    """

    __slots__ = (
        "_close_code",
        "_controls",
        "_on_sent",
        "_queue",
        "_ready",
        "_unsent_bytes",
        "agents",
        "lifetime",
        "spoke_for",
    )

    def __init__(self, controls: SocketControls) -> None:
        self._controls = controls
        #: Tokens of the agents whose packets go to this socket.
        self.agents: set[str] = set()
        #: Tokens of all agents that were spoken for on this socket.
        self.spoke_for: set[str] = set()
        #: Cancelled to drop the connection at once.
        self.lifetime = anyio.CancelScope()
        self._close_code: int | None = None
        self._queue: deque[tuple[bytes, Callable[[], None] | None]] = deque()
        self._unsent_bytes = 0
        self._on_sent: set[Callable[[], None]] = set()
        self._ready = anyio.Event()

    @property
    def is_open(self) -> bool:
        """True until the connection is closed from this side."""
        return self._close_code is None and not self.lifetime.cancel_called

    @property
    def close_code(self) -> int:
        """The code with which the socket is to be closed."""
        return self._close_code or 1000

    @property
    def unsent_bytes(self) -> int:
        """Size of the packets that the socket has not taken yet."""
        return self._unsent_bytes

    def send(self, packet: bytes, on_sent: Callable[[], None] | None = None) -> None:
        """Send an encoded packet after those before it. On a connection that is being closed it is discarded.

        Args:
            packet: one JSON text.
            on_sent: called once the socket has taken it; once for several packets taken together.
        """
        if self.is_open:
            self._queue.append((packet, on_sent))
            self._unsent_bytes += len(packet)
            self._ready.set()

    def close(self, code: int) -> None:
        """Close the socket instead of sending it more; the first code given counts."""
        if self._close_code is None:
            self._close_code = code
            self._queue.clear()
            self._ready.set()

    def ping(self) -> None:
        """Ask for a sign of life; see `on_pong`."""
        if self.is_open:
            self._controls.ping()

    def on_pong(self, listener: Callable[[], None]) -> None:
        """Call a function with each sign of life that was asked for."""
        self._controls.on_pong(listener)

    def terminate(self) -> None:
        """Drop the connection at once."""
        self.lifetime.cancel()

    async def next_packets(self, max_packets: int, max_bytes: int) -> list[bytes]:
        """Wait for packets and take them, at least one; an empty list says that the socket is to be closed.

        Those taken before count as sent. Cancelling loses nothing.
        """
        callbacks, self._on_sent = self._on_sent, set()
        for callback in callbacks:
            callback()
        while not self._queue and self._close_code is None:
            self._ready = anyio.Event()
            await self._ready.wait()
        taken: list[bytes] = []
        size = 0
        while self._queue and len(taken) < max_packets and (not taken or size + len(self._queue[0][0]) <= max_bytes):
            packet, on_sent = self._queue.popleft()
            size += len(packet)
            taken.append(packet)
            if on_sent is not None:
                self._on_sent.add(on_sent)
        self._unsent_bytes -= size
        return taken


def is_goodbye(code: int) -> bool:
    """Return whether a socket was closed by its page, rather than lost on the way.

    Args:
        code: the close code. 1005 does not count: a page that gives no code has it in common with a broken line.
    """
    return code in (1000, 1001)
