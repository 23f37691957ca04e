"""Packets between page, router and operator: their shapes, and a factory that stamps them with the time.

Text to packets and back; nothing here reads or writes anything.
"""

from collections.abc import Callable

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .json_text import encode, raw, reader

#: Subject of the packets between router and operator that concern no agent.
MEPHISTO = "mephisto"

#: What a worker reads if the operator did not answer in time.
BUSY = "The task server is busy at the moment, please try again in a minute..."

#: Seconds since the epoch; null and absent are told apart.
Timestamp = float | UnsetType | None


class WirePacket(msgspec.Struct, kw_only=True):
    """One packet in any direction; a field that was absent stays absent."""

    packet_type: str
    subject_id: str | UnsetType | None = UNSET
    data: Raw | UnsetType = UNSET
    client_timestamp: Timestamp = UNSET
    router_incoming_timestamp: Timestamp = UNSET
    router_outgoing_timestamp: Timestamp = UNSET
    server_timestamp: Timestamp = UNSET


class OperatorGreeting(msgspec.Struct):
    """Data of an operator's `alive`."""

    token: str = ""
    incarnation: str | None = None
    acked: int | None = None
    #: The operator's run, where a router belongs to one.
    run: str | None = None


class AgentStatuses(msgspec.Struct):
    """Data of `agents`: the status of every agent that exists."""

    agents: dict[str, str]


class AgentAnswer(msgspec.Struct):
    """The part of the data of `agent_details` that concerns the router."""

    request_id: str
    agent_id: str | None = None
    status: str | None = None


class WorkerPageAnswer(msgspec.Struct):
    """The part of the data of `worker_page` that concerns the router."""

    request_id: str


class StatusUpdate(msgspec.Struct):
    """Data of `update_status`."""

    status: str


class Acknowledgement(msgspec.Struct):
    """Data of `ack`: everything up to `seq` is committed."""

    incarnation: str
    seq: int


class PageList(msgspec.Struct):
    """Data of `confirm_pages`, `pages_confirmed` and `watched_pages`: agents by token."""

    agents: list[str]


class PauseNotice(msgspec.Struct):
    """Data of `pausing`: the text for pages that request an agent meanwhile."""

    failure_reason: str


class WebhookTerms(msgspec.Struct):
    """Data of `webhooks`: how requests of the provider's site are recognized. Names of headers are in lower case."""

    secret: str
    signature_header: str
    timestamp_header: str
    event_header: str


class HeartbeatAnswer(msgspec.Struct):
    """Data of the answer to a heartbeat; the time is in milliseconds."""

    last_mephisto_ping: int
    status: str
    #: True if nobody answers what the page sends: it is kept until an operator comes back.
    operator_away: bool


read_packet = reader(WirePacket)
read_packets = reader(WirePacket | list[WirePacket])  # type: ignore[arg-type]  # a union is a shape to msgspec
read_operator_greeting = reader(OperatorGreeting)
read_agent_statuses = reader(AgentStatuses)
read_agent_answer = reader(AgentAnswer)
read_worker_page_answer = reader(WorkerPageAnswer)
read_status_update = reader(StatusUpdate)
read_acknowledgement = reader(Acknowledgement)
read_page_list = reader(PageList)
read_pause_notice = reader(PauseNotice)
read_webhook_terms = reader(WebhookTerms)


class PacketFactory:
    """Makes encoded packets.

    Args:
        clock: returns seconds since the epoch.
        busy_text: returns the text for a worker whose request is not answered in time.
    """

    def __init__(self, clock: Callable[[], float], busy_text: Callable[[], str] = lambda: BUSY) -> None:
        self._clock = clock
        self._busy_text = busy_text

    def now(self) -> float:
        """Return the time as packets have it: in seconds, with three decimals."""
        return round(self._clock(), 3)

    def from_worker(
        self, packet_type: str, subject: str | None, data: Raw, client_timestamp: Timestamp = UNSET
    ) -> bytes:
        """Make a packet that reports what a worker did."""
        return encode(
            WirePacket(
                packet_type=packet_type,
                subject_id=subject,
                data=data,
                client_timestamp=client_timestamp,
                router_incoming_timestamp=self.now(),
            )
        )

    def from_router(self, packet_type: str, data: Raw, subject: str = MEPHISTO) -> bytes:
        """Make a packet that reports what the router knows."""
        return encode(
            WirePacket(packet_type=packet_type, subject_id=subject, data=data, router_outgoing_timestamp=self.now())
        )

    def status(self, agent: str, status: str) -> bytes:
        """Make the packet that tells a page its agent's status."""
        return self.from_router("update_status", raw(StatusUpdate(status)), agent)

    def busy(self, request_id: str, reason: str = BUSY) -> bytes:
        """Make the answer to a page whose request the operator did not answer in time.

        Args:
            request_id: the request.
            reason: what the worker reads.
        """
        refusal = {
            "request_id": request_id,
            "worker_id": None,
            "agent_id": None,
            "init_task_data": None,
            "failure_reason": self._busy_text() if reason == BUSY else reason,
        }
        return self.from_router("agent_details", raw(refusal))

    def forwarded(self, packet: WirePacket) -> bytes:
        """Stamp a packet that is passed on as it came."""
        packet.router_incoming_timestamp = packet.router_outgoing_timestamp = self.now()
        return encode(packet)

    def answered(self, packet: WirePacket) -> bytes:
        """Stamp the operator's answer to a page."""
        packet.router_incoming_timestamp = self.now()
        return encode(packet)

    def numbered(self, packet: bytes, seq: int) -> bytes:
        """Add what is only known when a packet of the outbox is sent: its number and the time."""
        # Joined: formatting would copy a large packet three times.
        return b"".join((b'{"seq":%d,"router_outgoing_timestamp":%.3f,' % (seq, self.now()), memoryview(packet)[1:]))
