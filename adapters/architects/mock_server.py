"""Provides a server whose workers are played by a test script."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from itertools import count

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, WebSocketServer

from .memory.router import Json, MemoryPageSocket, MemoryRouter, PageFile

#: The number of frames that may wait for the operator.
WAITING_LIMIT = 10_000
POLICY_VIOLATION = 1008
SERVICE_RESTART = 1012


class MockServer:
    """A router that the operator reaches by WebSocket, and a script by method calls.

    Attributes:
        received: every packet that an operator sent, oldest first.
        router: the router behind it, with the uploaded files.
    """

    def __init__(self, secret: str, incarnation: str) -> None:
        self.received: list[Json] = []
        self._secret = secret
        self.router = MemoryRouter(incarnation)
        self._update_numbers = count(1)
        self._pages: dict[str, MemoryPageSocket] = {}
        self._lifetime = trio.CancelScope()
        self._stopped = trio.Event()

    # The script -----------------------------------------------------------------------------------------------------

    async def register_mock_agent(self, worker_name: str, agent_details: str) -> Json:
        """Open the task's page.

        Args:
            worker_name: the worker's name at the provider.
            agent_details: identifies the visit; the same value returns the same agent.

        Returns:
            The page's answer: `agent_id` and `init_task_data`, or a `failure_reason`.
        """
        registration = {"worker_name": worker_name, "agent_registration_id": agent_details, "provider_type": "mock"}
        return self._connected(await self.router.request_agent(registration))

    async def register_mock_agent_after_onboarding(self, agent_id: str, onboard_data: object) -> Json:
        """Submit an onboarding; return the page's answer, as `register_mock_agent`."""
        return self._connected(await self.router.submit_onboarding(agent_id, onboard_data))

    def send_agent_act(self, agent_id: str, act_content: Json) -> None:
        """Send a live update to the task's code."""
        number = next(self._update_numbers)
        self.router.send_live_update(agent_id, {"update_id": f"mock-{number}", **act_content})

    def submit_mock_unit(self, agent_id: str, submit_data: object, files: Sequence[PageFile] = ()) -> None:
        """Submit the work, with files if there are any."""
        self.router.submit_task(agent_id, submit_data, files)

    def disconnect_mock_agent(self, agent_id: str) -> None:
        """Close the page."""
        self._pages.pop(agent_id, None)
        self.router.disconnect(agent_id)

    async def next_packet_for(self, agent_id: str) -> Json:
        """Return the next status or live update for the agent's page."""
        return await self._pages[agent_id].receive()

    def get_last_message(self) -> Json | None:
        """Return the last packet that an operator sent."""
        return self.received[-1] if self.received else None

    def _connected(self, details: Json) -> Json:
        agent_id = details["agent_id"]
        if agent_id is not None and agent_id not in self._pages:
            self._pages[agent_id] = self.router.connect(agent_id)
        return details

    # The server -----------------------------------------------------------------------------------------------------

    def start(self, listener: trio.SocketListener) -> None:
        """Serve until `stop` is called.

        An architect has no nursery, so the server is a system task, which trio cancels when all other tasks are done.
        """
        trio.lowlevel.spawn_system_task(self._serve, listener)

    async def stop(self) -> None:
        """Accept no more connections and close the existing ones."""
        self._lifetime.cancel()
        self.router.close()
        await self._stopped.wait()

    async def _serve(self, listener: trio.SocketListener) -> None:
        try:
            async with listener:
                with self._lifetime:
                    await WebSocketServer(self._serve_connection, [listener]).run()
        finally:
            self._stopped.set()

    async def _serve_connection(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        try:
            if self._is_operator(await socket.get_message()):
                await self._serve_operator(socket)
            else:
                await socket.aclose(POLICY_VIOLATION)
        except ConnectionClosed:
            return

    def _is_operator(self, frame: str | bytes) -> bool:
        try:
            packet = msgspec.json.decode(frame, type=_Greeting)
        except (msgspec.DecodeError, UnicodeError):
            return False
        return packet.packet_type == "alive" and hmac.compare_digest(packet.data.token.encode(), self._secret.encode())

    async def _serve_operator(self, socket: WebSocketConnection) -> None:
        end = _OperatorSocket()
        self.router.attach(end)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(end.send_all, socket)
                await self._receive_all(socket)
                nursery.cancel_scope.cancel()
        finally:
            self.router.detach(end)

    async def _receive_all(self, socket: WebSocketConnection) -> None:
        try:
            while True:
                frame = msgspec.json.decode(await socket.get_message())
                for packet in frame if isinstance(frame, list) else [frame]:
                    self.received.append(packet)
                    self.router.take(packet)
        except ConnectionClosed:
            return


class _GreetingData(msgspec.Struct):
    token: str = ""


class _Greeting(msgspec.Struct):
    packet_type: str
    data: _GreetingData


class _OperatorSocket:
    """The operator's end of the socket, for the in-memory router."""

    def __init__(self) -> None:
        self._frames, self._waiting = trio.open_memory_channel[str](WAITING_LIMIT)

    def put(self, frame: str) -> None:
        self._frames.send_nowait(frame)

    def lose(self) -> None:
        self._frames.close()

    async def send_all(self, socket: WebSocketConnection) -> None:
        try:
            async for frame in self._waiting:
                await socket.send_message(frame)
        except ConnectionClosed:
            return
        await socket.aclose(SERVICE_RESTART)
