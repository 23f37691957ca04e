"""The socket of a worker's page: what a live page says over it and hears."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from ...core.errors import ProtocolError

#: How often a page with a socket says that it is there.
HEARTBEAT_SECONDS = 6.0
#: A socket on which not even a heartbeat is answered for so long is dead.
SILENCE_SECONDS = 20.0


class RouterUnreachableError(ProtocolError):
    """The router could not be reached, or has no room now: the same request may be sent again later."""


class SocketLostError(ProtocolError):
    """The connection is gone, or as good as gone."""


class Heard(msgspec.Struct, frozen=True):
    """What a page takes from a packet."""

    packet_type: str
    data: dict[str, object] = {}


_decode = msgspec.json.Decoder(Heard).decode


class PageSocket:
    """One connection of a page with its router, for one agent.

    Args:
        socket: the connection; whoever opened it closes it.
        agent_id: whose page it is.
        timestamp: the worker's clock.
    """

    def __init__(self, socket: WebSocketConnection, agent_id: str, timestamp: Callable[[], float]) -> None:
        self._socket = socket
        self._agent_id = agent_id
        self._timestamp = timestamp
        self._beats_at = trio.current_time()
        self._heard_at = trio.current_time()

    async def say_alive(self, update_id: str) -> None:
        """Say whose page this is; nothing is heard before.

        Raises:
            SocketLostError: the connection is lost.
        """
        await self._send("alive", {"update_id": update_id})

    async def say(self, update: dict[str, object]) -> None:
        """Send a live update.

        Raises:
            SocketLostError: the connection is lost.
        """
        await self._send("mephisto_bound_live_update", update)

    async def hear(self, until: float) -> Heard | None:
        """The next packet, or None once it is so late; heartbeats go out meanwhile.

        Args:
            until: by trio's clock.

        Raises:
            SocketLostError: the connection is lost, or silent for too long.
        """
        while True:
            now = trio.current_time()
            if now - self._heard_at >= SILENCE_SECONDS:
                raise SocketLostError("the socket is silent")
            if now >= self._beats_at:
                self._beats_at = now + HEARTBEAT_SECONDS
                await self._send("heartbeat", {})
            with trio.move_on_at(min(until, self._beats_at)) as patience:
                packet = await self._next_packet()
                self._heard_at = trio.current_time()
                if packet.packet_type != "heartbeat":
                    return packet
            if patience.cancelled_caught and trio.current_time() >= until:
                return None

    async def _next_packet(self) -> Heard:
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
