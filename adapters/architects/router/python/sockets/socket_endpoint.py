"""Accepts WebSockets of pages and of the operator, and moves text between them and the hub."""

import math

import anyio
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from ......core.opaque_json import LARGE_BODY_BYTES
from ..counters import Counters
from ..http.client_address import KnownAddresses
from ..http.protocols import SOCKET_CONTROLS
from .connection import POLICY_VIOLATION, Connection, is_goodbye
from .hub import Hub

#: Packets that go to the operator in one frame.
MAX_FRAME_PACKETS = 500
#: Size of a frame with several packets; a larger packet goes alone.
MAX_FRAME_BYTES = 2**20


class SocketEndpoint:
    """Accepts sockets, up to a limit.

    Args:
        hub: handles what is said on them.
        known: learns where pages with an agent are.
        counters: counts sockets that are refused.
        max_sockets: how many may be open at once.
        greeting_seconds: a socket on which nobody is known by then is closed.
    """

    def __init__(
        self, hub: Hub, known: KnownAddresses, counters: Counters, max_sockets: int, greeting_seconds: float
    ) -> None:
        self._hub = hub
        self._known = known
        self._counters = counters
        self._max_sockets = max_sockets
        self._greeting_seconds = greeting_seconds

    async def serve(self, socket: WebSocket) -> None:
        """Serve one socket for as long as it is open."""
        if self._hub.socket_count >= self._max_sockets:
            self._counters.drop("socket_limit")
            await socket.send_denial_response(JSONResponse({"error": "The server is full."}, 503))
            return
        await socket.accept()
        connection = Connection(socket.scope[SOCKET_CONTROLS])
        self._hub.connect(connection)
        code = 0
        try:
            with connection.lifetime:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write, socket, connection)
                    code = await self._read(socket, connection)
                    tasks.cancel_scope.cancel()
        finally:
            self._hub.disconnect(connection, said_goodbye=is_goodbye(code))

    async def _read(self, socket: WebSocket, connection: Connection) -> int:
        """Read until the socket is closed; return the code with which it was."""
        with anyio.move_on_after(self._greeting_seconds) as greeting:
            return await self._listen(socket, connection, greeting)
        connection.close(POLICY_VIOLATION)
        return await self._listen(socket, connection, greeting)

    async def _listen(self, socket: WebSocket, connection: Connection, greeting: anyio.CancelScope) -> int:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 0)
            self._hub.on_message(connection, message.get("text"))
            if self._hub.is_known(connection) and greeting.deadline != math.inf:
                greeting.deadline = math.inf
                self._known.note(socket)
            if self._hub.is_operator(connection):
                socket.scope[SOCKET_CONTROLS].lift_limit()

    async def _write(self, socket: WebSocket, connection: Connection) -> None:
        try:
            while packets := await connection.next_packets(MAX_FRAME_PACKETS, MAX_FRAME_BYTES):
                if self._hub.is_operator(connection) and len(packets) > 1:
                    await socket.send_text((b"[" + b",".join(packets) + b"]").decode())
                else:
                    for packet in packets:
                        await self._send(socket, connection, packet)
            await socket.close(connection.close_code)
        except WebSocketDisconnect:
            # The reader notices as well, and ends the connection.
            return

    async def _send(self, socket: WebSocket, connection: Connection, packet: bytes) -> None:
        if len(packet) > LARGE_BODY_BYTES and self._hub.is_operator(connection):
            # The same bytes. As text they would be decoded and encoded at both ends, while others wait.
            await socket.send_bytes(packet)
        else:
            await socket.send_text(packet.decode())
