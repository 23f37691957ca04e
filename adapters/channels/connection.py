"""Implements one connection to a router, from the greeting to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ...core.abstractions.channel import SILENT_SECONDS
from ...core.errors import ProtocolError
from ...core.packets import Alive, Inbound, Outbound, RouterState, decode_packet, encode_frame, split_frame
from ...core.signal import Signal

#: The time for a router to answer an operator's greeting.
GREETING_SECONDS = 20.0
#: The size of the send queue in characters of JSON. It does not limit the packets queued before `transfer` starts.
QUEUE_LIMIT = 64 * 2**20
#: A frame is filled with packets up to this length.
FRAME_LENGTH = 2**18
#: The interval between two pings, and the time for one to be answered; then the connection is given up.
PING_INTERVAL_SECONDS = PING_TIMEOUT_SECONDS = SILENT_SECONDS / 2

POLICY_VIOLATION = 1008


class RouterConnection:
    """Transfers packets over one WebSocket. Its send queue is lost with the connection."""

    def __init__(
        self,
        socket: WebSocketConnection,
        on_packet: Callable[[Inbound], Awaitable[None]],
        on_undecodable: Callable[[ProtocolError], None],
    ) -> None:
        """Take an open socket; the caller closes it.

        Args:
            socket: a socket connected to a router.
            on_packet: awaited for each packet in order; meanwhile nothing more is read.
            on_undecodable: called with the error for data that is not a packet.
        """
        self._socket = socket
        self._on_packet = on_packet
        self._on_undecodable = on_undecodable
        self._arrived: deque[Inbound] = deque()
        self._frames_taken = 0
        self._is_handling = False
        self._outgoing: deque[str] = deque()
        self._outgoing_length = 0
        self._news = Signal()
        self._is_finishing = False
        #: Set while packets are transferred.
        self._connection: trio.CancelScope | None = None
        #: The reason why the connection was given up, if it was.
        self._problem: str | None = None

    async def greet(self, alive: Alive) -> RouterState:
        """Authenticate as the operator.

        Returns:
            The router's first packet.

        Raises:
            ProtocolError: the router refuses us, or the other side is not a router.
            ConnectionClosed: the connection was lost, or there was no answer in time.
        """
        try:
            await self._socket.send_message(encode_frame([alive]))
            with trio.move_on_after(GREETING_SECONDS) as scope:
                first = await self._next_packet()
        except ConnectionClosed as closed:
            if closed.reason is not None and closed.reason.code == POLICY_VIOLATION:
                raise ProtocolError("the router refuses us: it has another secret, or serves another run") from closed
            raise
        if scope.cancelled_caught:
            raise ConnectionClosed(None)
        if not isinstance(first, RouterState):
            raise ProtocolError("the server is not a router of this version: its first packet is not its outbox state")
        return first

    async def transfer(self) -> str:
        """Transfer packets until the connection is lost, or until `finish` was called and the queue is sent.

        Returns:
            The reason why the connection ended.
        """
        async with trio.open_nursery() as nursery:
            self._connection = nursery.cancel_scope
            nursery.start_soon(self._write, nursery.cancel_scope)
            nursery.start_soon(self._watch_for_silence)
            await self._read()
            nursery.cancel_scope.cancel()
        if self._problem is not None:
            return self._problem
        closed = self._socket.closed
        return "the connection was lost" if closed is None else f"the connection was closed with code {closed.code}"

    def enqueue(self, packet: Outbound) -> bool:
        """Queue a packet; return whether it was accepted.

        If the queue is full, the connection is given up: the next connection starts with the current state, so nothing
        is lost, whereas a single packet missing from this connection would be.
        """
        if self._is_finishing or self._problem is not None:
            return False
        text = encode_frame([packet])
        if self._connection is not None and self._outgoing_length + len(text) > QUEUE_LIMIT:
            self._give_up("the router does not read what it is sent")
            return False
        self._outgoing.append(text)
        self._outgoing_length += len(text)
        self._news.notify()
        return True

    def finish(self) -> None:
        """Let `transfer` return once the queue is sent; accept nothing more."""
        self._is_finishing = True
        self._news.notify()

    def _give_up(self, problem: str) -> None:
        self._problem = problem
        if self._connection is not None:
            self._connection.cancel()

    async def _read(self) -> None:
        while True:
            try:
                packet = await self._next_packet()
            except ConnectionClosed:
                return
            self._is_handling = True
            await self._on_packet(packet)
            self._is_handling = False

    async def _next_packet(self) -> Inbound:
        while not self._arrived:
            frame = await self._socket.get_message()
            self._frames_taken += 1
            self._decode(frame)
        return self._arrived.popleft()

    def _decode(self, frame: str | bytes) -> None:
        try:
            parts = split_frame(frame)
        except ProtocolError as error:
            self._on_undecodable(error)
            return
        for part in parts:
            try:
                self._arrived.append(decode_packet(part))
            except ProtocolError as error:
                self._on_undecodable(error)

    async def _write(self, connection: trio.CancelScope) -> None:
        while not (self._is_finishing and not self._outgoing):
            if not self._outgoing:
                await self._news.wait()
                continue
            try:
                await self._socket.send_message(self._take_frame())
            except ConnectionClosed:
                return  # the reader notices as well, after the packets that arrived before
        connection.cancel()

    def _take_frame(self) -> str:
        taken: list[str] = []
        length = 0
        while self._outgoing and length < FRAME_LENGTH:
            taken.append(self._outgoing.popleft())
            length += len(taken[-1])
        self._outgoing_length -= length
        return taken[0] if len(taken) == 1 else f"[{','.join(taken)}]"

    async def _watch_for_silence(self) -> None:
        """End a connection whose other end vanished silently.

        A pong is not read while an earlier packet is still being handled, so a missing pong then proves nothing.
        """
        while True:
            await trio.sleep(PING_INTERVAL_SECONDS)
            taken_before = self._frames_taken
            with trio.move_on_after(PING_TIMEOUT_SECONDS) as scope:
                try:
                    await self._socket.ping()
                except ConnectionClosed:
                    return
            if scope.cancelled_caught and self._frames_taken == taken_before and not self._is_handling:
                self._give_up("the router did not answer a ping")
                return
