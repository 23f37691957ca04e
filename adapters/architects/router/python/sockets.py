"""WebSockets of pages and of the operator: moves text between them and the switchboard."""

import math

import anyio
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from .connection import POLICY_VIOLATION, Connection
from .switchboard import Switchboard

#: What goes to the operator in one frame, at most (a larger packet goes alone).
FRAME_PACKETS = 500
FRAME_BYTES = 2**20

#: Codes with which a page that is left or reloaded closes its socket. Not 1005, which a page that gives none has in
#: common with a line that broke.
GOODBYES = (1000, 1001)


class SocketEndpoint:
    """Lets sockets in, up to a limit.

    Args:
        board: What they speak with.
        max_sockets: How many may be open at once.
        greeting_seconds: One that has not spoken for an agent (or as the operator) by then is closed.
    """

    def __init__(self, board: Switchboard, max_sockets: int, greeting_seconds: float) -> None:
        self._board = board
        self._max_sockets = max_sockets
        self._greeting_seconds = greeting_seconds

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one socket for as long as it is open."""
        if len(self._board.sockets) >= self._max_sockets:
            self._board.dropped["socket_limit"] += 1
            await socket.send_denial_response(JSONResponse({"error": "The server is full."}, 503))
            return
        await socket.accept()
        connection = self._board.connected()
        code = 0
        try:
            with connection.lifetime:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_write, socket, connection)
                    code = await self._read(socket, connection)
                    tasks.cancel_scope.cancel()
        finally:
            self._board.disconnected(connection, said_goodbye=code in GOODBYES)

    async def _read(self, socket: WebSocket, connection: Connection) -> int:
        """Hear the socket out; return the code with which it was closed."""
        with anyio.move_on_after(self._greeting_seconds) as patience:
            return await self._listen(socket, connection, patience)
        connection.close(POLICY_VIOLATION)
        return await self._listen(socket, connection, patience)

    async def _listen(self, socket: WebSocket, connection: Connection, patience: anyio.CancelScope) -> int:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 0)
            text = message.get("text")
            if text is None:
                self._board.dropped["malformed_packet"] += 1
                continue
            self._board.heard(connection, text)
            if connection.agents or connection.is_operator:
                patience.deadline = math.inf


async def _write(socket: WebSocket, connection: Connection) -> None:
    try:
        while packets := await connection.next_packets(FRAME_PACKETS, FRAME_BYTES):
            if connection.is_operator and len(packets) > 1:
                await socket.send_text((b"[" + b",".join(packets) + b"]").decode())
            else:
                for packet in packets:
                    await socket.send_text(packet.decode())
        await socket.close(connection.close_code or 1000)
    except WebSocketDisconnect:
        # The reader is told as well, and ends the connection.
        return
