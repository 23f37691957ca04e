"""Provides a router without sockets or files, for simulations and for tests of everything above it.

It keeps the guarantees of the real routers: an outbox that is kept until acknowledged, requests that wait while no
operator is attached, packets kept for a disconnected page. Packets cross it as text, as on a wire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec
import trio

from ....core.errors import ProtocolError
from ....core.packets import SYSTEM

#: The number of packets kept for a disconnected page.
KEPT_LIMIT = 1000

Json = dict[str, Any]


class PageGoneError(ProtocolError):
    """The router was shut down or is draining. A page sees a refused connection or request."""


class UnknownPageError(ProtocolError):
    """The router does not know the agent. A real router answers with status 403."""


class PageFile(NamedTuple):
    """A file that a page uploads."""

    fieldname: str
    originalname: str
    content: bytes
    mimetype: str = "application/octet-stream"


class MemoryPageSocket:
    """The page's end of its socket, with the packets for the page in order."""

    def __init__(self, kept: Iterable[Json]) -> None:
        self._sender, self._receiver = trio.open_memory_channel[Json](KEPT_LIMIT)
        for packet in kept:
            self.put(packet)

    def put(self, packet: Json) -> None:
        """Deliver a packet to the page; if its queue is full, the packet is dropped."""
        try:
            self._sender.send_nowait(packet)
        except trio.WouldBlock:
            return

    async def receive(self) -> Json:
        """Return the next packet."""
        return await self._receiver.receive()


class _OpenRequest(NamedTuple):
    """A page's request that waits for its answer."""

    packet: Json
    answered: trio.Event
    answer: list[Json]


class OperatorEnd(Protocol):
    """The operator as seen by the router."""

    def put(self, frame: str) -> None:
        """Deliver a frame."""

    def lose(self) -> None:
        """Detach: another operator has attached to the router."""


class MemoryRouter:
    """The state of a router between pages and operator.

    Attributes:
        incarnation: the name of its outbox.
        statuses: the last status that the operator sent, by agent.
        files: uploaded files by name, until the operator has stored them.
        serves_files: False while the router does not answer the operator's requests for files.
    """

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self.statuses: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.serves_files = True
        self._uploads = 0
        self._seq = 0
        self._requests = 0
        self._outbox: deque[Json] = deque()
        self._open: dict[str, _OpenRequest] = {}
        self._sockets: dict[str, MemoryPageSocket] = {}
        self._kept: dict[str, deque[Json]] = {}
        #: Agents whose pages were closed.
        self._closed_pages: set[str] = set()
        #: Agents whose pages had a socket, until they are reported as gone.
        self._watched: set[str] = set()
        #: The text for pages that request work while the operator is away; None if it did not leave in order.
        self.paused_reason: str | None = None
        #: How webhooks of the provider's site are recognized.
        self.webhook_key: Json | None = None
        self._channel: OperatorEnd | None = None
        self._closed = False
        self._takes_more = True

    @property
    def unacknowledged(self) -> int:
        """The number of packets that the operator has not acknowledged."""
        return len(self._outbox)

    # Pages ----------------------------------------------------------------------------------------------------------

    async def request_agent(self, provider_data: Json) -> Json:
        """Ask for an agent; return the data of the answer, however long it takes. Cancelling drops the request.

        Raises:
            PageGoneError: the router was shut down.
        """
        return await self._ask("register_agent", None, {"provider_data": provider_data})

    async def request_worker_page(self, worker_page: str, withdraw_consent: int | None = None) -> object:
        """Ask for a worker's own page; return what it shows, or None if there is no such page.

        Args:
            worker_page: the token in the page's address.
            withdraw_consent: a run whose consent the worker withdraws first.

        Raises:
            PageGoneError: the router was shut down.
        """
        asked: Json = {"worker_page": worker_page}
        if withdraw_consent is not None:
            asked["withdraw_consent"] = withdraw_consent
        return (await self._ask("request_worker_page", None, asked))["page"]

    async def request_receipt(self, worker_page: str, token: str) -> object:
        """Ask for a receipt of one agent's work; return it, or None if there is none.

        Args:
            worker_page: the token in the address of the worker's own page.
            token: the token of the agent.

        Raises:
            PageGoneError: the router was shut down.
        """
        asked: Json = {"worker_page": worker_page, "receipt": token}
        return (await self._ask("request_worker_page", None, asked))["receipt"]

    async def submit_onboarding(self, token: str, onboarding_data: object) -> Json:
        """Submit an onboarding; return the data of the answer, which is an agent or a refusal.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        return await self._ask("submit_onboarding", token, {"onboarding_data": onboarding_data})

    def submit_task(self, token: str, final_data: object, files: Sequence[PageFile] = ()) -> None:
        """Submit work. When this returns, the router has stored it.

        Args:
            token: the agent's token.
            final_data: the submission.
            files: files that are uploaded with it.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        data = {"final_data": final_data, **self._stored(files)}
        self._keep({"packet_type": "submit_unit", "subject_id": token, "data": data})

    def submit_metadata(self, token: str, metadata: Json, files: Sequence[PageFile] = ()) -> None:
        """Leave tips, feedback or an opinion, with files if there are any.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        data = {"metadata": metadata, **self._stored(files)}
        self._keep({"packet_type": "submit_metadata", "subject_id": token, "data": data})

    def _stored(self, files: Sequence[PageFile]) -> Json:
        """Keep uploaded files; returns what a packet says of them."""
        stored = []
        for file in files:
            self._uploads += 1
            filename = sha256(f"{self.incarnation} {self._uploads}".encode()).hexdigest()[:32]
            self.files[filename] = file.content
            stored.append(
                {
                    "fieldname": file.fieldname,
                    "originalname": file.originalname,
                    "mimetype": file.mimetype,
                    "filename": filename,
                    "size": len(file.content),
                    "sha256": sha256(file.content).hexdigest(),
                }
            )
        return {"files": stored} if files else {}

    def return_task(self, token: str) -> None:
        """Return a unit.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        self._keep({"packet_type": "return_unit", "subject_id": token, "data": {}})

    def submit_appeal(self, token: str, text: str) -> None:
        """Object to a rejection.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        self._keep({"packet_type": "submit_appeal", "subject_id": token, "data": {"text": text}})

    def send_live_update(self, token: str, update: Json) -> None:
        """Send a live update to the task's code.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        self._keep({"packet_type": "mephisto_bound_live_update", "subject_id": token, "data": update})

    def connect(self, token: str) -> MemoryPageSocket:
        """Open a page's socket; it starts with the present status and the kept packets.

        Raises:
            UnknownPageError: there is no such agent.
        """
        self._check(token)
        now = {"packet_type": "update_status", "subject_id": token, "data": {"status": self.statuses[token]}}
        self._closed_pages.discard(token)
        self._watched.add(token)
        status = {token: self.statuses[token]}
        self._send({"packet_type": "return_statuses", "subject_id": SYSTEM, "data": status})
        socket = self._sockets[token] = MemoryPageSocket([now, *self._kept.pop(token, ())])
        return socket

    def disconnect(self, token: str) -> None:
        """Close a page's socket for good; the operator is notified."""
        self.vanish(token)
        self._watched.discard(token)
        self._send({"packet_type": "return_statuses", "subject_id": SYSTEM, "data": {token: "disconnect"}})

    def report_provider_event(self) -> None:
        """Report that something happened at the provider's site, as a verified webhook does."""
        self._keep({"packet_type": "provider_event", "subject_id": SYSTEM, "data": {}})

    def vanish(self, token: str) -> None:
        """Close a page's socket; the operator does not know yet, because the page may come back."""
        self._sockets.pop(token, None)
        self._closed_pages.add(token)

    def _check(self, token: str) -> None:
        if token not in self.statuses:
            raise UnknownPageError(f"there is no agent {token!r}")

    async def _ask(self, packet_type: str, token: str | None, data: Json) -> Json:
        if self._closed:
            raise PageGoneError("the router was shut down")
        self._requests += 1
        request_id = f"{self.incarnation}-{self._requests}"
        packet: Json = {
            "packet_type": packet_type,
            "subject_id": token or request_id,
            "data": {**data, "request_id": request_id},
        }
        waiting = self._open[request_id] = _OpenRequest(packet, trio.Event(), [])
        try:
            if token is None:
                self._send(packet)
            else:
                self._keep(packet)
            await waiting.answered.wait()
        finally:
            del self._open[request_id]
        if not waiting.answer:
            raise PageGoneError("the router was shut down")
        return waiting.answer[0]

    def close(self) -> None:
        """Shut the router down: waiting requests get no answer."""
        self._closed = True
        for waiting in self._open.values():
            waiting.answered.set()

    def lose_outbox(self) -> None:
        """Simulate a crash with an empty disk: start another outbox that counts from the beginning."""
        self.incarnation += "+"
        self._seq = 0
        self._outbox.clear()
        self._send_state()

    # The operator ---------------------------------------------------------------------------------------------------

    def attach(self, channel: OperatorEnd) -> None:
        """Attach an operator. It replaces an earlier one, and gets everything that was not acknowledged."""
        if self._channel is not None:
            self._channel.lose()
        self._channel = channel
        self._takes_more = True
        self.paused_reason = None
        self._send_state()
        for packet in self._outbox:
            self._send(packet)
        for waiting in self._open.values():
            if waiting.packet["packet_type"] != "submit_onboarding":
                self._send(waiting.packet)

    def _send_state(self) -> None:
        first = self._outbox[0]["seq"] if self._outbox else None
        state = {
            "incarnation": self.incarnation,
            "next_seq": self._seq + 1,
            "first_unacked": first,
            "closed": not self._takes_more,
        }
        self._send({"packet_type": "router_state", "subject_id": SYSTEM, "data": state})

    def detach(self, channel: OperatorEnd) -> None:
        """Detach an operator; a no-op if another one has replaced it."""
        if self._channel is channel:
            self._channel = None

    def take(self, packet: Json) -> None:
        """Handle a packet from the operator."""
        subject, data = packet["subject_id"], packet["data"]
        match packet["packet_type"]:
            case "agents":
                self.statuses = dict(data["agents"])
                watched = sorted(self._watched & self.statuses.keys())
                self._send({"packet_type": "watched_pages", "subject_id": SYSTEM, "data": {"agents": watched}})
            case "agent_details" | "worker_page":
                self._answer(subject, data)
            case "update_status":
                self.statuses[subject] = data["status"]
                self._to_page(packet, keep=False)
            case "client_bound_live_update":
                self._to_page(packet, keep=True)
            case "ack" if data["incarnation"] == self.incarnation:
                while self._outbox and self._outbox[0]["seq"] <= data["seq"]:
                    self._outbox.popleft()
            case "confirm_pages":
                present = [token for token in data["agents"] if token not in self._closed_pages]
                self._send({"packet_type": "pages_confirmed", "subject_id": SYSTEM, "data": {"agents": present}})
            case "webhooks":
                self.webhook_key = data
            case "pausing":
                self.paused_reason = data["failure_reason"]
            case "drain":
                self._takes_more = False
                self._send_state()
            case "request_statuses":
                seen = {t: s if t in self._sockets else "disconnect" for t, s in self.statuses.items()}
                self._send({"packet_type": "return_statuses", "subject_id": SYSTEM, "data": seen})

    def _answer(self, request_id: str, data: Json) -> None:
        if data.get("agent_id") is not None:
            self.statuses[data["agent_id"]] = data["status"]
        waiting = self._open.get(request_id)
        if waiting is not None and not waiting.answered.is_set():
            waiting.answer.append(data)
            waiting.answered.set()

    def _to_page(self, packet: Json, *, keep: bool) -> None:
        token = packet["subject_id"]
        if token in self._sockets:
            self._sockets[token].put(packet)
        elif keep:
            self._kept.setdefault(token, deque(maxlen=KEPT_LIMIT)).append(packet)

    def _keep(self, packet: Json) -> None:
        if not self._takes_more:
            raise PageGoneError("the router accepts nothing more")
        self._seq += 1
        kept = {**packet, "seq": self._seq}
        self._outbox.append(kept)
        self._send(kept)

    def _send(self, packet: Json) -> None:
        if self._channel is not None:
            self._channel.put(msgspec.json.encode(packet).decode())
