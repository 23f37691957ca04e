"""Sends the requests of one page load: those of the published client library, in its order, without a screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import httpx
import msgspec
import trio

from ...core.errors import ProtocolError
from ...core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from ..channels.dial import ConnectionFailedError, dial
from .bot import BotFile
from .page_socket import PageSocket, RouterUnreachableError, SocketLostError

#: The version reported by the client library, fixed in its build.
CLIENT_VERSION = "2.0.3"
#: The close code of a closed tab.
GOING_AWAY = 1001
_ENDED_STATUSES = frozenset(status.value for status in AgentStatus if status not in LIVE_AGENT_STATUSES)
#: Response statuses that may be temporary.
_BUSY = frozenset({408, 429, 502, 503, 504, 507})


class Visit(NamedTuple):
    """A worker, and the assignment at the provider that the visit is for."""

    worker_name: str
    assignment_id: str
    provider_type: str = "mock"
    #: The provider's ids of the work and its study; None: the provider has none.
    handle: str | None = None
    study: str | None = None
    #: A text that the browser keeps; None: the provider ties nobody to a browser.
    session: str | None = None


class AgentReply(msgspec.Struct, frozen=True):
    """The answer to a page that asked for an agent; without an agent there is a reason."""

    agent_id: str | None
    init_task_data: msgspec.Raw = msgspec.Raw(b"null")
    failure_reason: str | None = None
    #: True if the page has to ask the worker for consent first.
    needs_consent: bool = False

    @property
    def is_onboarding(self) -> bool:
        """True if the agent is in the onboarding step."""
        return self.agent_id is not None and self.agent_id.startswith("onboarding")


class _AgentResponse(msgspec.Struct, frozen=True):
    data: AgentReply


class _ConsentText(msgspec.Struct, frozen=True):
    version: str


class _TaskConfig(msgspec.Struct, frozen=True):
    consent: _ConsentText | None = None


_decode_config = msgspec.json.Decoder(_TaskConfig).decode
_decode_answer = msgspec.json.Decoder(_AgentResponse).decode


class PageClient:
    """The requests of one page load by one worker.

    Args:
        client: the worker's browser; its base URL is the router's.
        visit: the worker and the assignment.
        now: returns seconds since the epoch, by the worker's clock.
    """

    def __init__(self, client: httpx.AsyncClient, visit: Visit, now: Callable[[], float]) -> None:
        self._client = client
        self._visit = visit
        self._now = now
        #: The text that the task needs consent to, once the page is loaded; None if it needs none.
        self._consent: _ConsentText | None = None
        self._has_agreed = False

    async def load(self) -> None:
        """Fetch the page, the provider's script and the task's configuration.

        Raises:
            ProtocolError: one of them was not served.
        """
        worker, assignment, *_ = self._visit
        await self._send("GET", "/", params={"worker_id": worker, "assignment_id": assignment})
        await self._send("GET", "/wrap_crowd_source.js")
        config = await self._send("GET", "/task_config.json", params={"mephisto_task_version": CLIENT_VERSION})
        self._consent = _decode_config(config).consent

    async def request_agent(self) -> AgentReply:
        """Ask for an agent; another call gets the same agent.

        Raises:
            ProtocolError: the answer cannot be read.
        """
        visit = self._visit
        registration: dict[str, object] = {
            "worker_name": visit.worker_name,
            "agent_registration_id": f"{visit.assignment_id}-{visit.worker_name}",
            "assignment_id": visit.assignment_id,
            "provider_type": visit.provider_type,
            "provider_handle": visit.handle,
            "provider_study": visit.study,
            "provider_session": visit.session,
        }
        if self._has_agreed and self._consent is not None:
            registration["consent"] = {"version": self._consent.version, "given": True}
        return _read_answer(await self._post("/request_agent", {"provider_data": registration}))

    async def agree(self) -> AgentReply:
        """Agree to the text of consent, and ask for an agent again."""
        self._has_agreed = True
        return await self.request_agent()

    async def submit_onboarding(self, agent_id: str, onboarding_data: object) -> AgentReply:
        """Submit the onboarding; return the answer that `request_agent` would give from now on."""
        answer = {"USED_AGENT_ID": agent_id, "onboarding_data": onboarding_data}
        return _read_answer(await self._post("/submit_onboarding", {"provider_data": answer}))

    async def submit_task(self, agent_id: str, final_data: object) -> None:
        """Submit the work; return once the router has stored it. Work with an `BotFile` in it is sent as a form."""
        described, uploads = split_uploads(final_data)
        if not uploads:
            await self._post("/submit_task", {"USED_AGENT_ID": agent_id, "final_data": final_data})
            return
        fields = {"USED_AGENT_ID": agent_id, "final_string_data": msgspec.json.encode(described).decode()}
        files = [(field, (one.name, one.content, one.media_type)) for field, one in uploads]
        await self._send("POST", "/submit_task", fields=fields, files=files)

    async def return_task(self, agent_id: str) -> None:
        """Return the unit without doing it."""
        await self._post("/return_task", {"USED_AGENT_ID": agent_id})

    async def stay_connected(self, agent_id: str, seconds: float, *, until_ended: bool = False) -> None:
        """Keep a socket open for a while, as live pages do, then close it like a tab. A lost socket counts as closed.

        Args:
            agent_id: the agent.
            seconds: how long.
            until_ended: close it earlier, as soon as the agent's work has ended.

        Raises:
            RouterUnreachableError: no connection can be made.
        """
        with suppress(SocketLostError):
            async with self.connect(agent_id) as socket:
                closes_at = trio.current_time() + seconds
                while (packet := await socket.receive(closes_at)) is not None:
                    if until_ended and packet.data.get("status") in _ENDED_STATUSES:
                        return

    @asynccontextmanager
    async def connect(self, agent_id: str) -> AsyncIterator[PageSocket]:
        """Open a socket for an agent; close it like a tab when the block ends.

        Raises:
            RouterUnreachableError: no connection can be made.
            SocketLostError: the connection was lost at once.
        """
        try:
            async with dial(str(self._client.base_url.copy_with(scheme=self._socket_scheme))) as connection:
                socket = PageSocket(connection, agent_id, self._timestamp)
                await socket.send_alive(f"{self._visit.assignment_id}-alive")
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
        fields: dict[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes, str]]] | None = None,
    ) -> bytes:
        try:
            response = await self._client.request(
                method, path, params=params, content=content, headers=headers, data=fields, files=files
            )
        except httpx.TransportError as error:
            raise RouterUnreachableError(f"{method} {path} got no answer ({type(error).__name__})") from error
        if response.status_code in _BUSY:
            raise RouterUnreachableError(f"{method} {path} was answered {response.status_code}")
        if not response.is_success:
            raise ProtocolError(f"{method} {path} was answered {response.status_code}")
        return response.content


def split_uploads(work: object) -> tuple[object, list[tuple[str, BotFile]]]:
    """Return work with its uploads described as the client library describes them, and the uploads by field."""
    if not isinstance(work, dict):
        return work, []
    uploads = [
        (str(field), one)
        for field, value in work.items()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, BotFile)
    ]
    return {field: _described(value) for field, value in work.items()}, uploads


def _described(value: object) -> object:
    if isinstance(value, list):
        return [_described(one) for one in value]
    if isinstance(value, BotFile):
        return {"name": value.name, "size": len(value.content), "type": value.media_type}
    return value


def _read_answer(body: bytes) -> AgentReply:
    try:
        return _decode_answer(body).data
    except msgspec.DecodeError as error:
        raise ProtocolError(f"the answer to a registration cannot be read: {error}") from error
