"""The WebSocket of a worker's page: sends live updates and heartbeats, receives packets."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ...core.errors import ProtocolError

#: The interval between two heartbeats of a page.
HEARTBEAT_SECONDS = 6.0
#: A socket on which not even a heartbeat is answered for this long is dead.
SILENCE_SECONDS = 20.0


class RouterUnreachableError(ProtocolError):
    """The router could not be reached or is busy; the same request may be sent again later."""


class SocketLostError(ProtocolError):
    """The connection is lost or dead."""


class PagePacket(msgspec.Struct, frozen=True):
    """The part of a packet that a page uses."""

    packet_type: str
    data: dict[str, object] = {}


_decode = msgspec.json.Decoder(PagePacket).decode


class PageSocket:
    """One connection of a page to its router, for one agent.

    Args:
        socket: the connection; the caller closes it.
        agent_id: the page's agent.
        timestamp: the worker's clock.
    """

    def __init__(self, socket: WebSocketConnection, agent_id: str, timestamp: Callable[[], float]) -> None:
        self._socket = socket
        self._agent_id = agent_id
        self._timestamp = timestamp
        self._next_heartbeat_at = trio.current_time()
        self._last_packet_at = trio.current_time()

    async def send_alive(self, update_id: str) -> None:
        """Identify the page's agent; the router sends nothing before that.

        Raises:
            SocketLostError: the connection is lost.
        """
        await self._send("alive", {"update_id": update_id})

    async def send_update(self, update: dict[str, object]) -> None:
        """Send a live update.

        Raises:
            SocketLostError: the connection is lost.
        """
        await self._send("mephisto_bound_live_update", update)

    async def receive(self, until: float) -> PagePacket | None:
        """Return the next packet, or None if there is none before a time; send heartbeats meanwhile.

        Args:
            until: the time by trio's clock.

        Raises:
            SocketLostError: the connection is lost, or was silent for too long.
        """
        while True:
            now = trio.current_time()
            if now - self._last_packet_at >= SILENCE_SECONDS:
                raise SocketLostError("the socket is silent")
            if now >= self._next_heartbeat_at:
                self._next_heartbeat_at = now + HEARTBEAT_SECONDS
                await self._send("heartbeat", {})
            with trio.move_on_at(min(until, self._next_heartbeat_at)) as scope:
                packet = await self._next_packet()
                self._last_packet_at = trio.current_time()
                if packet.packet_type != "heartbeat":
                    return packet
            if scope.cancelled_caught and trio.current_time() >= until:
                return None

    async def _next_packet(self) -> PagePacket:
        try:
            return _decode(await self._socket.get_message())
        except ConnectionClosed as error:
            raise SocketLostError("the socket was lost") from error
        except msgspec.DecodeError as error:
            raise ProtocolError(f"a packet to the page cannot be read: {error}") from error

    async def _send(self, packet_type: str, data: dict[str, object]) -> None:
        packet = {"packet_type": packet_type, "subject_id": self._agent_id, "data": data}
        text = msgspec.json.encode(packet | {"client_timestamp": self._timestamp()}).decode()
        try:
            await self._socket.send_message(text)
        except ConnectionClosed as error:
            raise SocketLostError("the socket was lost") from error
