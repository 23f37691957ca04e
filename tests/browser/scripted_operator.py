"""The operator's side of the link, by script: hands out prepared data and remembers what comes back."""

from collections.abc import Iterable

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from mephisto_es.adapters.channels.dial import ConnectionFailedError, dial

from .scripts import CONSENT_MISSING, Data, Script, Send, Visit

#: While the router is away: attempts to reach it again, and the pause between two.
RECONNECT_ATTEMPTS = 300
RECONNECT_PAUSE_SECONDS = 0.1


class Packet(msgspec.Struct):
    """A packet from the router."""

    packet_type: str
    subject_id: str | None = None
    data: Data = {}
    seq: int | None = None


class _ProviderData(msgspec.Struct):
    worker_name: str
    agent_registration_id: str
    consent: dict[str, object] | None = None


class ScriptedOperator:
    """Speaks the operator's link to one router."""

    def __init__(self, script: Script, secret: str) -> None:
        self._script = script
        self._secret = secret
        self._visits: dict[str, Visit] = {}  # by registration id
        self._received: list[Packet] = []
        self._changed = trio.Event()
        self._socket: WebSocketConnection | None = None
        self._incarnation: object = None
        self._acked = 0
        self._updates: set[object] = set()  # ids of the pages' live updates: they may come twice

    async def serve(self, url: str) -> None:
        """Connects, and connects again whenever the router was away, until cancelled."""
        address = url.replace("http", "ws", 1) + "/"
        for _attempt in range(RECONNECT_ATTEMPTS):
            try:
                async with dial(address) as socket:
                    await self._attend(socket)
            except (ConnectionClosed, ConnectionFailedError):
                await trio.sleep(RECONNECT_PAUSE_SECONDS)

    async def packets(self, packet_type: str, count: int = 1) -> list[Packet]:
        """Waits until that many packets of a type have come, and gives all of them."""
        while len(self.received(packet_type)) < count:
            await self._changed.wait()
        return self.received(packet_type)

    def received(self, packet_type: str) -> list[Packet]:
        """Return the received packets of a type."""
        return [packet for packet in self._received if packet.packet_type == packet_type]

    async def end(self, status: str) -> None:
        """End all work with a status."""
        assert self._socket is not None
        ended = [Send("update_status", visit.token, {"status": status}) for visit in self._visits.values()]
        await self._send_all(self._socket, ended)

    async def _attend(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        greeting: Data = {
            "token": self._secret,
            "incarnation": self._incarnation,
            "acked": self._acked,
        }
        await _send(socket, Send("alive", "mephisto", greeting))
        statuses = {visit.token: visit.status for visit in self._visits.values()}
        await _send(socket, Send("agents", "mephisto", {"agents": statuses}))
        while True:
            frame = await socket.get_message()
            packets = msgspec.json.decode(frame, type=Packet | list[Packet])
            for packet in packets if isinstance(packets, list) else [packets]:
                if await self._is_new(socket, packet):
                    await self._handle(socket, packet)

    async def _is_new(self, socket: WebSocketConnection, packet: Packet) -> bool:
        """Acknowledges what is numbered; after a reconnect some of it comes twice."""
        if packet.seq is None:
            return True
        is_new = packet.seq > self._acked
        self._acked = max(self._acked, packet.seq)
        ack: Data = {"incarnation": self._incarnation, "seq": self._acked}
        await _send(socket, Send("ack", "mephisto", ack))
        return is_new

    async def _handle(self, socket: WebSocketConnection, packet: Packet) -> None:
        visit = self._visit(packet.subject_id)
        match packet.packet_type:
            case "router_state":
                self._incarnation = packet.data["incarnation"]
            case "register_agent":
                await self._register(socket, packet)
            case "submit_onboarding" if visit is not None:
                answer = self._script.onboarded(visit, packet.data["onboarding_data"])
                await self._answer(socket, packet, self._registration(visit), answer)
            case "submit_unit" if visit is not None and visit.status == "timeout":
                visit.is_late = True
            case "submit_appeal" if visit is not None:
                self._script.appealed(visit, str(packet.data["text"]))
            case "request_worker_page":
                if "withdraw_consent" in packet.data:
                    withdrawn = msgspec.convert(packet.data["withdraw_consent"], int)
                    self._script.consent_withdrawn(str(packet.data["worker_page"]), withdrawn)
                page = self._script.worker_page(str(packet.data["worker_page"]))
                agent = packet.data.get("receipt")
                receipt = None if agent is None else self._script.receipt(str(packet.data["worker_page"]), str(agent))
                request_id = str(packet.data["request_id"])
                details: Data = {"request_id": request_id, "page": page, "receipt": receipt}
                await _send(socket, Send("worker_page", request_id, details))
            case "submit_unit" if visit is not None:
                completed = Send("update_status", visit.token, {"status": "completed"})
                await self._send_all(socket, [completed])
            case "mephisto_bound_live_update" if visit is not None:
                if packet.data["update_id"] in self._updates:
                    return
                self._updates.add(packet.data["update_id"])
                await self._send_all(socket, self._script.heard(visit, packet.data))
            case "return_statuses":
                for token, status in packet.data.items():
                    gone = self._visit(token) if status == "disconnect" else None
                    if gone is not None:
                        await self._send_all(socket, self._script.left(gone))
        self._received.append(packet)
        self._changed.set()
        self._changed = trio.Event()

    async def _register(self, socket: WebSocketConnection, packet: Packet) -> None:
        asked = msgspec.convert(packet.data["provider_data"], _ProviderData)
        registration = asked.agent_registration_id
        if asked.consent is not None:
            self._script.consented(asked.worker_name, asked.consent)
        known = self._visits.get(registration)
        answer = known or self._script.admit(asked.worker_name)
        await self._answer(socket, packet, registration, answer)

    async def _answer(
        self, socket: WebSocketConnection, packet: Packet, registration: str, answer: Visit | str
    ) -> None:
        arrived: Iterable[Send] = ()
        if isinstance(answer, Visit):
            if self._visits.get(registration) is not answer:
                arrived = self._script.arrived(answer)
            self._visits[registration] = answer
            details: Data = {
                "worker_id": answer.worker,
                "agent_id": answer.token,
                "init_task_data": answer.init_data,
                "failure_reason": None,
                "status": answer.status,
                "progress": answer.progress,
                "seconds_left": answer.seconds_left,
                "worker_page": answer.worker_page,
                "offers_receipts": answer.offers_receipts,
                "is_late": answer.is_late,
                "completion_code": answer.completion_code if answer.status == "completed" else None,
            }
        else:
            details = {
                "worker_id": None,
                "agent_id": None,
                "init_task_data": None,
                "failure_reason": answer,
                "needs_consent": answer == CONSENT_MISSING,
            }
        request_id = str(packet.data["request_id"])
        await _send(socket, Send("agent_details", request_id, {**details, "request_id": request_id}))
        await self._send_all(socket, arrived)

    async def _send_all(self, socket: WebSocketConnection, packets: Iterable[Send]) -> None:
        for packet in packets:
            visit = self._visit(packet.token)
            if packet.packet_type == "update_status" and visit is not None:
                visit.status = str(packet.data["status"])
            await _send(socket, packet)

    def _visit(self, token: str | None) -> Visit | None:
        return next((visit for visit in self._visits.values() if visit.token == token), None)

    def _registration(self, visit: Visit) -> str:
        return next(key for key, known in self._visits.items() if known is visit)


async def _send(socket: WebSocketConnection, packet: Send) -> None:
    text = msgspec.json.encode(
        {"packet_type": packet.packet_type, "subject_id": packet.token, "data": packet.data}
    ).decode()
    await socket.send_message(text)
