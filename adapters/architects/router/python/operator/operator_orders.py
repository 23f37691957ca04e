"""Executes the packets of the operator."""

from msgspec import Raw

from ..counters import Counters
from ..errors import MalformedJsonError
from ..journal.journal import Journal
from ..json_text import raw
from ..log import log
from ..packets import (
    Acknowledgement,
    AgentAnswer,
    PacketFactory,
    PageList,
    WirePacket,
    read_acknowledgement,
    read_agent_answer,
    read_agent_statuses,
    read_packets,
    read_page_list,
    read_pause_notice,
    read_status_update,
    read_webhook_terms,
    read_worker_page_answer,
)
from ..pages.agents import AgentSessions
from .operator_link import OperatorLink
from .waiting_requests import WaitingRequests
from .webhooks import Webhooks

_NULL = Raw(b"null")


class OperatorOrders:
    """Does what the operator's packets say; one that cannot be read is discarded, counted and reported back.

    Args:
        journal: where acknowledgements go.
        agents: the known agents.
        requests: pages that wait for an agent.
        webhooks: what the provider's site may send.
        link: the operator's socket, for answers.
        packets: makes packets.
        counters: counts what is discarded.
    """

    def __init__(
        self,
        journal: Journal,
        agents: AgentSessions,
        requests: WaitingRequests,
        webhooks: Webhooks,
        link: OperatorLink,
        packets: PacketFactory,
        counters: Counters,
    ) -> None:
        self._journal = journal
        self._agents = agents
        self._requests = requests
        self._webhooks = webhooks
        self._link = link
        self._packets = packets
        self._counters = counters

    def execute(self, frame: bytes) -> None:
        """Execute the packets of one frame, in order."""
        try:
            packets = read_packets(frame)
        except MalformedJsonError as error:
            self._report_malformed(str(error))
            return
        for packet in packets if isinstance(packets, list) else [packets]:
            try:
                self._execute(packet)
            except MalformedJsonError as error:
                self._report_malformed(f"{packet.packet_type}: {error}")

    def _execute(self, packet: WirePacket) -> None:
        data = packet.data if isinstance(packet.data, Raw) else _NULL
        subject = packet.subject_id if isinstance(packet.subject_id, str) else ""
        match packet.packet_type:
            case "client_bound_live_update":
                self._deliver(subject, packet)
            case "update_status":
                session = self._agents.set_status(subject, read_status_update(data).status)
                self._agents.send(session, self._packets.forwarded(packet))
            case "agent_details":
                self._answer_request(read_agent_answer(data), packet)
            case "worker_page":
                self._settle(read_worker_page_answer(data).request_id, packet)
            case "ack":
                self._acknowledge(read_acknowledgement(data))
            case "agents":
                for session in self._agents.replace_all(read_agent_statuses(data).agents):
                    self._agents.send(session, self._packets.status(session.token, session.status))
                self._link.send(self._packets.from_router("watched_pages", raw(PageList(self._agents.watched))))
            case "confirm_pages":
                for token in read_page_list(data).agents:
                    self._agents.ask(token)
            case "pausing":
                self._link.pause()
                self._requests.pause(read_pause_notice(data).failure_reason)
            case "webhooks":
                self._webhooks.expect(read_webhook_terms(data))
            case "drain":
                self._journal.drain(self._send_state)
            case "request_statuses":
                self._link.send(self._packets.from_router("return_statuses", raw(self._agents.reported_statuses())))
            case unknown:
                raise MalformedJsonError(f"{unknown!r} is not a packet type of the operator")

    def _deliver(self, token: str, packet: WirePacket) -> None:
        session = self._agents.get(token)
        if session is None:
            self._counters.drop("unknown_agent")
        else:
            self._agents.deliver(session, self._packets.forwarded(packet))

    def _answer_request(self, answer: AgentAnswer, packet: WirePacket) -> None:
        session = None if answer.agent_id is None else self._agents.set_status(answer.agent_id, answer.status)
        was_waited_for = self._settle(answer.request_id, packet)
        if session is not None and was_waited_for:
            self._agents.claim(session)
        elif session is not None:
            self._agents.miss(session)

    def _settle(self, request_id: str, packet: WirePacket) -> bool:
        """Answer a page's request; return whether it still waited."""
        was_waited_for = self._requests.settle(request_id, self._packets.answered(packet))
        if not was_waited_for:
            self._counters.drop("late_answer")
        return was_waited_for

    def _acknowledge(self, ack: Acknowledgement) -> None:
        if ack.incarnation != self._journal.incarnation or ack.seq >= self._journal.outbox.next_seq:
            raise MalformedJsonError(f"{ack.seq} of {ack.incarnation} was never sent from here")
        self._link.acknowledge(ack.seq)

    def _send_state(self) -> None:
        self._link.send(self._packets.from_router("router_state", raw(self._journal.state)))

    def _report_malformed(self, reason: str) -> None:
        self._counters.drop("malformed_operator_packet")
        log("malformed_operator_packet", reason=reason)
        report = raw({"what": "malformed_packet", "reason": reason})
        self._link.report(self._packets.from_router("router_report", report))
