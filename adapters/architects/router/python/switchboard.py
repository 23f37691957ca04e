"""Who is told what: pages' packets to the operator, the operator's packets to pages.

Nothing here knows HTTP or sockets; it is told what arrived and posts what is to be sent.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable

import anyio
from msgspec import UNSET, Raw

from .agents import Agent, Agents
from .connection import POLICY_VIOLATION, TOO_BIG, Connection
from .journal import Journal, OutboxFull
from .journal_lines import Entry
from .operator_desk import OperatorDesk
from .settings import Secret, Settings
from .wire import (
    MEPHISTO,
    Acknowledgement,
    AgentDetails,
    AgentStatuses,
    MalformedJson,
    OperatorGreeting,
    Packet,
    Pulse,
    StatusUpdate,
    Timestamp,
    encode,
    numbered,
    raw,
    reader,
    strict_json,
)

logger = logging.getLogger(__name__)

read_packet = reader(Packet)
read_packets = reader(Packet | list[Packet])  # type: ignore[arg-type]  # a union is a shape to msgspec
read_greeting = reader(OperatorGreeting)
read_statuses = reader(AgentStatuses)
read_details = reader(AgentDetails)
read_status = reader(StatusUpdate)
read_ack = reader(Acknowledgement)


class UnknownAgent(Exception):
    """Nobody of that token is known."""


class Switchboard:
    """All that the router knows while it runs.

    Args:
        settings: Its limits.
        secret: What makes a socket the operator's.
        journal: The outbox.
        clock: Seconds since the epoch, for timestamps on packets.
        monotonic: Seconds from anywhere, for durations.
        new_id: Makes request ids.
    """

    def __init__(
        self,
        settings: Settings,
        secret: Secret,
        journal: Journal,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.sockets: set[Connection] = set()
        #: What was dropped or refused, by reason.
        self.counts: Counter[str] = Counter()
        self.desk = OperatorDesk(settings.max_sockets, settings.request_deadline_seconds, monotonic)
        self._settings = settings
        self._secret = secret
        self._journal = journal
        self._agents = Agents(journal.agents, settings.max_kept_per_agent, settings.heartbeat_limit_seconds)
        self._clock = clock
        self._monotonic = monotonic
        self._new_id = new_id
        self._first_heard = anyio.Event()

    # -- what HTTP requests ask for ------------------------------------------------------

    async def request_agent(self, provider_data: dict[str, Raw], client_timestamp: Timestamp) -> bytes:
        """Ask the operator for an agent; return the packet that is the answer."""
        request_id = self._new_id()
        question = self._packet(
            "register_agent",
            request_id,
            raw({"provider_data": provider_data, "request_id": request_id}),
            client_timestamp,
        )
        return await self.desk.ask(request_id, question)

    async def submit_onboarding(self, agent: str, onboarding_data: Raw, client_timestamp: Timestamp) -> bytes:
        """Record an onboarding's result and wait for the agent it leads to; return the answer.

        Raises:
            UnknownAgent, OutboxFull, JournalUnwritable, TooManyWaiting: nothing was recorded.
        """
        request_id = self._new_id()
        data = raw({"onboarding_data": onboarding_data, "request_id": request_id})
        await self.submit("submit_onboarding", agent, data, client_timestamp)
        return await self.desk.ask(request_id, None)

    async def submit(self, packet_type: str, agent: str, data: Raw, client_timestamp: Timestamp) -> None:
        """Put a worker's packet into the outbox; return when it is durable.

        Raises:
            UnknownAgent, OutboxFull, JournalUnwritable: it was not taken.
        """
        if self._agents.get(agent) is None:
            self.counts["unknown_agent"] += 1
            raise UnknownAgent
        await self._journal.record(self._packet(packet_type, agent, data, client_timestamp))

    def log_error(self, agent: str | None, error_data: Raw, client_timestamp: Timestamp) -> None:
        """Tell the operator of an error in a page, if one is attached."""
        packet = self._packet("log_error", agent, raw({"error_data": error_data}), client_timestamp)
        self._report(packet)

    def report(self, what: str, **facts: object) -> None:
        """Tell the operator something for its log, if one is attached."""
        self._report(self._packet("router_report", MEPHISTO, raw({"what": what, **facts})))

    def knows(self, agent: str) -> bool:
        """Tell whether the agent is known."""
        return self._agents.get(agent) is not None

    def counters(self) -> dict[str, object]:
        """Counts for whoever looks after the router."""
        return {
            "agents": len(self._agents),
            "dropped": dict(self.counts),
            "operator_attached": self.desk.link is not None,
            "outbox_bytes": self._journal.outbox_bytes,
            "outbox_packets": len(self._journal.unacknowledged),
            "refused_operators": self.counts["refused_operator"],
            "sockets": len(self.sockets),
        }

    # -- sockets -------------------------------------------------------------------------

    def connected(self) -> Connection:
        """A socket was opened: return its outgoing side."""
        connection = Connection(self._settings.max_kept_per_agent)
        self.sockets.add(connection)
        return connection

    def disconnected(self, connection: Connection, *, said_goodbye: bool) -> None:
        """A socket is closed."""
        self.sockets.discard(connection)
        self.desk.detach(connection)
        self._agents.lose(connection, self._monotonic(), said_goodbye=said_goodbye)

    def heard(self, connection: Connection, text: str) -> None:
        """A socket sent a text frame."""
        frame = text.encode("utf-8", "surrogatepass")
        if connection.is_operator:
            self._operator_said(connection, frame)
        elif len(frame) > self._settings.max_packet_bytes:
            self.counts["packet_too_big"] += 1
            connection.close(TOO_BIG)
        else:
            self._page_said(connection, frame)

    # -- pages ---------------------------------------------------------------------------

    def _page_said(self, connection: Connection, frame: bytes) -> None:
        try:
            packet = read_packet(strict_json(frame))
        except MalformedJson:
            self.counts["malformed_packet"] += 1
            return
        if packet.subject_id == MEPHISTO:
            self._claimed_to_be_operator(connection, packet)
            return
        agent = self._agents.get(packet.subject_id) if isinstance(packet.subject_id, str) else None
        if agent is None:
            self.counts["unknown_agent"] += 1
            return
        connection.unheard.clear()
        match packet.packet_type:
            case "alive":
                self._greet(agent, connection, always=True)
            case "heartbeat":
                self._greet(agent, connection, always=False)
                self._answer_heartbeat(agent, connection, packet)
            case "mephisto_bound_live_update":
                self._record_live_update(agent, packet)
            case _:
                self.counts["unknown_packet_type"] += 1

    def _greet(self, agent: Agent, connection: Connection, *, always: bool) -> None:
        was_away = self._agents.hear(agent, connection, self._monotonic())
        self._first_heard.set()
        if was_away or always:
            connection.post(self._status_packet(agent))
            for packet in self._agents.take_kept(agent):
                connection.unheard.append((agent.token, packet))
                connection.post(packet)
        if was_away:
            self._report_statuses({agent.token: agent.status})

    def _status_packet(self, agent: Agent) -> bytes:
        return self._packet("update_status", agent.token, raw(StatusUpdate(agent.status)))

    def _answer_heartbeat(self, agent: Agent, connection: Connection, packet: Packet) -> None:
        now = self._clock()
        absence = self.desk.absence_seconds
        seen_at = packet.client_timestamp if isinstance(packet.client_timestamp, float) else now
        if absence > self._settings.operator_grace_seconds:
            seen_at -= absence
        packet.data = raw(Pulse(last_mephisto_ping=round(seen_at * 1000), status=agent.status))
        connection.post(self._stamped(packet))

    def _record_live_update(self, agent: Agent, packet: Packet) -> None:
        data = packet.data if isinstance(packet.data, Raw) else Raw(b"null")
        try:
            self._journal.record_nowait(
                self._packet(packet.packet_type, agent.token, data, packet.client_timestamp)
            )
        except OutboxFull:
            self.counts["outbox_full"] += 1

    def _claimed_to_be_operator(self, connection: Connection, packet: Packet) -> None:
        try:
            greeting = read_greeting(packet.data if isinstance(packet.data, Raw) else b"{}")
        except MalformedJson:
            greeting = OperatorGreeting()
        if packet.packet_type != "alive" or not self._secret.matches(greeting.token):
            self.counts["refused_operator"] += 1
            logger.warning("A socket claimed to be the operator without the run's secret; it was closed.")
            connection.close(POLICY_VIOLATION)
            return
        self._attach(connection, greeting)

    # -- the operator --------------------------------------------------------------------

    def _attach(self, connection: Connection, greeting: OperatorGreeting) -> None:
        connection.is_operator = True
        self.desk.attach(connection)
        journal = self._journal
        if greeting.incarnation == journal.incarnation and greeting.acked is not None:
            journal.acknowledge(greeting.acked)
        state = {
            "incarnation": journal.incarnation,
            "first_unacked": journal.unacknowledged[0].seq if journal.unacknowledged else None,
            "next_seq": journal.next_seq,
        }
        connection.post(self._packet("router_state", MEPHISTO, raw(state)))
        self.hand_on(journal.unacknowledged)
        self.desk.ask_again()

    def hand_on(self, entries: Iterable[Entry]) -> None:
        """Send packets of the outbox to the operator, if one is attached."""
        if self.desk.link is not None:
            for entry in entries:
                self.desk.link.post(numbered(entry.packet, entry.seq))

    def journal_failed(self, error: OSError) -> None:
        """Count a batch that could not be written."""
        self.counts["journal_unwritable"] += 1
        logger.error("The journal cannot be written: %s.", error.strerror)

    def _operator_said(self, connection: Connection, frame: bytes) -> None:
        if connection is not self.desk.link:
            return
        try:
            packets = read_packets(frame)
            for packet in packets if isinstance(packets, list) else [packets]:
                self._obey(connection, packet)
        except MalformedJson as error:
            self.counts["malformed_operator_packet"] += 1
            logger.error("The operator sent something that cannot be read: %s.", error)
            self.report("malformed_packet", reason=str(error))

    def _obey(self, link: Connection, packet: Packet) -> None:
        data = packet.data if isinstance(packet.data, Raw) else Raw(b"null")
        subject = packet.subject_id if isinstance(packet.subject_id, str) else ""
        match packet.packet_type:
            case "client_bound_live_update":
                self._deliver(subject, packet)
            case "update_status":
                agent = self._agents.admit(subject)
                self._set_status(agent, read_status(data).status)
                self._agents.tell(agent, self._stamped(packet))
            case "agent_details":
                self._answer_page(read_details(data), packet)
            case "ack":
                ack = read_ack(data)
                if ack.incarnation == self._journal.incarnation:
                    self._journal.acknowledge(ack.seq)
            case "agents":
                self._replace_agents(read_statuses(data).agents)
            case "request_statuses":
                self._report_statuses({agent.token: agent.reported_status for agent in self._agents})
            case "alive":
                self._attach(link, read_greeting(data))
            case unknown:
                raise MalformedJson(f"packet type {unknown!r} is not one the operator sends")

    def _deliver(self, token: str, packet: Packet) -> None:
        agent = self._agents.get(token)
        if agent is None:
            self.counts["unknown_agent"] += 1
            return
        if self._agents.deliver(agent, self._stamped(packet)):
            self.counts["kept_overflow"] += 1

    def _set_status(self, agent: Agent, status: str) -> bool:
        if status == agent.status:
            return False
        agent.status = status
        self._journal.note_agent(agent.token, status)
        return True

    def _answer_page(self, details: AgentDetails, packet: Packet) -> None:
        if details.agent_id is not None:
            agent = self._agents.admit(details.agent_id)
            self._set_status(agent, details.status or agent.status)
        if not self.desk.answer(details.request_id, self._stamped(packet)):
            self.counts["late_answer"] += 1

    def _replace_agents(self, statuses: dict[str, str]) -> None:
        for token in self._agents.tokens() - statuses.keys():
            self._agents.forget(token)
            self._journal.note_agent(token, None)
        for token, status in statuses.items():
            agent = self._agents.admit(token)
            if self._set_status(agent, status):
                self._agents.tell(agent, self._status_packet(agent))

    # -- time ----------------------------------------------------------------------------

    async def watch_silence(self) -> None:
        """Report agents whose page is gone, for ever."""
        while True:
            due = self._agents.silence_due()
            if due is None:
                self._first_heard = anyio.Event()
                await self._first_heard.wait()
            elif (rest := due - self._monotonic()) > 0:
                await anyio.sleep(rest)
            else:
                gone = self._agents.take_silent(self._monotonic())
                self._report_statuses({agent.token: agent.reported_status for agent in gone})

    # -- packets of our own --------------------------------------------------------------

    def _report_statuses(self, statuses: dict[str, str]) -> None:
        if self.desk.link is not None:
            self.desk.link.post(self._packet("return_statuses", MEPHISTO, raw(statuses)))

    def _report(self, packet: bytes) -> None:
        if not self.desk.report(packet):
            self.counts["unheard_report"] += 1

    def _stamped(self, packet: Packet) -> bytes:
        packet.router_incoming_timestamp = packet.router_outgoing_timestamp = round(self._clock(), 3)
        return encode(packet)

    def _packet(
        self, packet_type: str, subject: str | None, data: Raw, client_timestamp: Timestamp = UNSET
    ) -> bytes:
        return encode(
            Packet(
                packet_type=packet_type,
                subject_id=subject,
                data=data,
                client_timestamp=client_timestamp,
                router_incoming_timestamp=round(self._clock(), 3),
            )
        )
