"""A worker's browser on one visit: what the published client asks a router, in that order, without a screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import httpx
import msgspec
import trio

from ...core.errors import ProtocolError
from ..channels.dial import ConnectionFailedError, dial
from .page_socket import PageSocket, RouterUnreachableError, SocketLostError

#: The version that the client library tells; frozen into its build.
CLIENT_VERSION = "2.0.3"
#: Close code of a tab that is closed.
GOING_AWAY = 1001
#: Statuses that may pass by themselves.
_BUSY = frozenset({408, 429, 502, 503, 504, 507})


class Visit(NamedTuple):
    """Who comes, and for which piece of work at the provider."""

    worker_name: str
    assignment_id: str


class AssignedAgent(msgspec.Struct, frozen=True):
    """What a page is told when it asks for an agent; without an agent there is a reason."""

    agent_id: str | None
    init_task_data: msgspec.Raw = msgspec.Raw(b"null")
    failure_reason: str | None = None

    @property
    def is_onboarding(self) -> bool:
        """Whether a trial comes first."""
        return self.agent_id is not None and self.agent_id.startswith("onboarding")


class _Answer(msgspec.Struct, frozen=True):
    data: AssignedAgent


_decode_answer = msgspec.json.Decoder(_Answer).decode


class WorkerPage:
    """One load of the task's page by one worker.

    Args:
        client: the worker's browser; its base address is the router's.
        visit: who comes for what.
        now: seconds since the epoch, by the worker's clock.
    """

    def __init__(self, client: httpx.AsyncClient, visit: Visit, now: Callable[[], float]) -> None:
        self._client = client
        self._visit = visit
        self._now = now

    async def load(self) -> None:
        """Fetch the page, the provider's script and the task's configuration.

        Raises:
            ProtocolError: one of them was not served.
        """
        worker, assignment = self._visit
        await self._send("GET", "/", params={"worker_id": worker, "assignment_id": assignment})
        await self._send("GET", "/wrap_crowd_source.js")
        await self._send("GET", "/task_config.json", params={"mephisto_task_version": CLIENT_VERSION})

    async def request_agent(self) -> AssignedAgent:
        """Ask for a piece of work; asked again, it is the same one.

        Raises:
            ProtocolError: the answer is not one.
        """
        worker, assignment = self._visit
        registration = {
            "worker_name": worker,
            "agent_registration_id": f"{assignment}-{worker}",
            "assignment_id": assignment,
            "provider_type": "mock",
        }
        return _details(await self._post("/request_agent", {"provider_data": registration}))

    async def submit_onboarding(self, agent_id: str, onboarding_data: object) -> AssignedAgent:
        """Hand in the trial; the answer is what `request_agent` would say from now on."""
        answer = {"USED_AGENT_ID": agent_id, "onboarding_data": onboarding_data}
        return _details(await self._post("/submit_onboarding", {"provider_data": answer}))

    async def submit_task(self, agent_id: str, final_data: object) -> None:
        """Hand in the work; returns when the router has it for good."""
        await self._post("/submit_task", {"USED_AGENT_ID": agent_id, "final_data": final_data})

    async def return_task(self, agent_id: str) -> None:
        """Give the work back undone."""
        await self._post("/return_task", {"USED_AGENT_ID": agent_id})

    async def stay_connected(self, agent_id: str, seconds: float) -> None:
        """Keep a socket open for a while, as live pages do, and close it like a tab; one that is lost is closed.

        Raises:
            RouterUnreachableError: there is no socket to be had.
        """
        with suppress(SocketLostError):
            async with self.connect(agent_id) as socket:
                closes_at = trio.current_time() + seconds
                while await socket.hear(closes_at) is not None:
                    pass

    @asynccontextmanager
    async def connect(self, agent_id: str) -> AsyncIterator[PageSocket]:
        """A socket for an agent, closed like a tab on leaving.

        Raises:
            RouterUnreachableError: there is none to be had.
            SocketLostError: it is lost as soon as it is there.
        """
        try:
            async with dial(str(self._client.base_url.copy_with(scheme=self._socket_scheme))) as connection:
                socket = PageSocket(connection, agent_id, self._timestamp)
                await socket.say_alive(f"{self._visit.assignment_id}-alive")
                yield socket
                await connection.aclose(GOING_AWAY)
        except ConnectionFailedError as error:
            raise RouterUnreachableError(f"no socket: {error}") from error

    @property
    def _socket_scheme(self) -> str:
        return "wss" if self._client.base_url.scheme == "https" else "ws"

    async def _post(self, path: str, body: dict[str, object]) -> bytes:
        content = msgspec.json.encode(body | {"client_timestamp": self._timestamp()})
        return await self._send("POST", path, content=content, headers={"Content-Type": "application/json"})

    def _timestamp(self) -> float:
        return round(self._now(), 3)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        try:
            response = await self._client.request(method, path, params=params, content=content, headers=headers)
        except httpx.TransportError as error:
            raise RouterUnreachableError(f"{method} {path} got no answer ({type(error).__name__})") from error
        if response.status_code in _BUSY:
            raise RouterUnreachableError(f"{method} {path} was answered {response.status_code}")
        if not response.is_success:
            raise ProtocolError(f"{method} {path} was answered {response.status_code}")
        return response.content


def _details(body: bytes) -> AssignedAgent:
    try:
        return _decode_answer(body).data
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer to a registration cannot be read: {error}") from error
