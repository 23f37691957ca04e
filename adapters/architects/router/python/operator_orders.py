"""What the operator's packets make the router do."""

import logging
from collections import Counter

from msgspec import Raw

from .agents import Agents
from .journal import Journal
from .operator_link import OperatorLink
from .packets import PacketFactory
from .page_sessions import PageSessions
from .wire import Acknowledgement, AgentDetails, AgentStatuses, MalformedJsonError, Packet, StatusUpdate, raw, reader

logger = logging.getLogger(__name__)

read_packets = reader(Packet | list[Packet])  # type: ignore[arg-type]  # a union is a shape to msgspec
read_statuses = reader(AgentStatuses)
read_details = reader(AgentDetails)
read_status = reader(StatusUpdate)
read_ack = reader(Acknowledgement)

_NOTHING = Raw(b"null")


class Orders:
    """Obeys the operator; what cannot be read is dropped, counted and reported back.

    Args:
        agents: Whom the router knows.
        pages: Who is told.
        operator: Who asked.
        journal: Where agents are remembered and acknowledgements go.
        press: Makes packets.
        counts: Counts what is dropped.
    """

    def __init__(
        self,
        agents: Agents,
        pages: PageSessions,
        operator: OperatorLink,
        journal: Journal,
        press: PacketFactory,
        counts: Counter[str],
    ) -> None:
        self._agents = agents
        self._pages = pages
        self._operator = operator
        self._journal = journal
        self._press = press
        self._counts = counts

    def obey(self, frame: bytes) -> None:
        """Do what a frame of the operator says: one packet, or several in order."""
        try:
            packets = read_packets(frame)
        except MalformedJsonError as error:
            self._complain(str(error))
            return
        for packet in packets if isinstance(packets, list) else [packets]:
            try:
                self._obey(packet)
            except MalformedJsonError as error:
                self._complain(f"{packet.packet_type}: {error}")

    def _obey(self, packet: Packet) -> None:
        data = packet.data if isinstance(packet.data, Raw) else _NOTHING
        subject = packet.subject_id if isinstance(packet.subject_id, str) else ""
        match packet.packet_type:
            case "client_bound_live_update":
                self._deliver(subject, packet)
            case "update_status":
                self._update_status(subject, read_status(data).status, packet)
            case "agent_details":
                self._answer_page(read_details(data), packet)
            case "ack":
                self._acknowledge(read_ack(data))
            case "agents":
                self._replace_agents(read_statuses(data).agents)
            case "drain":
                self._journal.drain(self._say_closed)
            case "request_statuses":
                self._pages.report_statuses({agent.token: agent.reported_status for agent in self._agents})
            case unknown:
                raise MalformedJsonError(f"{unknown!r} is not a packet type of the operator")

    def _deliver(self, token: str, packet: Packet) -> None:
        agent = self._agents.get(token)
        if agent is None:
            self._counts["unknown_agent"] += 1
        elif self._agents.deliver(agent, self._press.passed_on(packet)):
            self._counts["kept_overflow"] += 1

    def _update_status(self, token: str, status: str, packet: Packet) -> None:
        self._set_status(token, status)
        self._agents.tell(token, self._press.passed_on(packet))

    def _answer_page(self, details: AgentDetails, packet: Packet) -> None:
        packet.router_incoming_timestamp = self._press.now()
        if details.agent_id is None:
            self._pass_on(details, packet)
            return
        agent = self._agents.admit(details.agent_id)
        self._set_status(details.agent_id, details.status or agent.status)
        self._pages.answered(agent, was_waited_for=self._pass_on(details, packet))

    def _pass_on(self, details: AgentDetails, packet: Packet) -> bool:
        was_waited_for = self._operator.answer(details.request_id, packet)
        if not was_waited_for:
            self._counts["late_answer"] += 1
        return was_waited_for

    def _acknowledge(self, ack: Acknowledgement) -> None:
        if ack.incarnation != self._journal.incarnation or ack.seq >= self._journal.next_seq:
            raise MalformedJsonError(f"{ack.seq} of {ack.incarnation} was never sent here")
        self._journal.acknowledge(ack.seq)

    def _say_closed(self) -> None:
        self._operator.tell(self._press.from_router("router_state", raw(self._journal.state())))

    def _replace_agents(self, statuses: dict[str, str]) -> None:
        for token in self._agents.tokens() - statuses.keys():
            self._agents.forget(token)
            self._journal.note_agent(token, None)
        for token, status in statuses.items():
            self._agents.admit(token, is_claimed=True)
            if self._set_status(token, status):
                self._agents.tell(token, self._press.status(token, status))

    def _set_status(self, token: str, status: str) -> bool:
        """Note a status; return whether it is news."""
        if self._journal.agents.get(token) == status:
            return False
        self._agents.admit(token).status = status
        self._journal.note_agent(token, status)
        return True

    def _complain(self, reason: str) -> None:
        self._counts["malformed_operator_packet"] += 1
        logger.error("The operator sent something that cannot be used: %s.", reason)
        complaint = raw({"what": "malformed_packet", "reason": reason})
        self._operator.report(self._press.from_router("router_report", complaint))
