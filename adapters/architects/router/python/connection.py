"""What one socket is still to be told: the only thing the switchboard sees of a socket."""

from collections import deque

import anyio

#: Reasons for closing, as WebSocket codes.
POLICY_VIOLATION = 1008
TOO_BIG = 1009
SERVICE_RESTART = 1012


class Connection:
    """The outgoing side of a socket: packets to send in order, then perhaps a reason to close.

    Posting never waits. A page that does not read what it is sent is cut off when `limit`
    packets wait for it; what the operator is sent is limited by the outbox instead.
    """

    __slots__ = ("_limit", "_ready", "_texts", "agents", "close_code", "is_operator", "lifetime")

    def __init__(self, limit: int) -> None:
        #: Tokens of the agents whose packets go to this socket.
        self.agents: set[str] = set()
        self.is_operator = False
        #: Set once the socket is to be closed.
        self.close_code: int | None = None
        #: Cancelled to drop a socket that cannot even be told so.
        self.lifetime = anyio.CancelScope()
        self._limit = limit
        self._texts: deque[bytes] = deque()
        self._ready = anyio.Event()

    def post(self, packet: bytes) -> None:
        """Send an encoded packet after those before it."""
        if self.close_code is not None:
            return
        if len(self._texts) >= self._limit and not self.is_operator:
            self.lifetime.cancel()
            return
        self._texts.append(packet)
        self._ready.set()

    def close(self, code: int) -> None:
        """Close the socket instead of sending it more; the first reason given counts."""
        if self.close_code is None:
            self.close_code = code
            self._texts.clear()
            self._ready.set()

    @property
    def waiting(self) -> int:
        """How many packets have not been taken by the socket yet."""
        return len(self._texts)

    async def next_packets(self, at_most: int, at_most_bytes: int) -> list[bytes]:
        """Wait for packets and take them, at least one; an empty list says that the socket is to be closed.

        Cancellation loses nothing.
        """
        while not self._texts and self.close_code is None:
            self._ready = anyio.Event()
            await self._ready.wait()
        taken: list[bytes] = []
        size = 0
        while self._texts and len(taken) < at_most and (not taken or size + len(self._texts[0]) <= at_most_bytes):
            size += len(self._texts[0])
            taken.append(self._texts.popleft())
        return taken
