"""Who is connected to whom: HTTP requests and sockets in front, the operator and the outbox behind.

Nothing here knows HTTP or sockets; it is told what arrived and posts what is to be sent.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Raw

from .agents import Agents
from .connection import POLICY_VIOLATION, TOO_BIG, Connection
from .journal import Journal
from .journal_lines import Entry
from .operator_link import OperatorLink
from .operator_orders import Orders
from .packets import PacketFactory
from .page_sessions import PageSessions
from .settings import Secret, Settings
from .wire import (
    MEPHISTO,
    MalformedJsonError,
    OperatorGreeting,
    Packet,
    Timestamp,
    numbered,
    raw,
    reader,
    strict_json,
)

logger = logging.getLogger(__name__)

read_packet = reader(Packet)
read_greeting = reader(OperatorGreeting)

#: Different versions of a page that one operator is told about.
MAX_REPORTED_VERSIONS = 20


class UnknownAgentError(Exception):
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
        #: What was dropped, by reason.
        self.dropped: Counter[str] = Counter()
        self.operator = OperatorLink(settings.max_sockets, settings.request_deadline_seconds, monotonic)
        self._refused_operators = 0
        self._reported_versions: set[str | None] = set()
        self._settings = settings
        self._secret = secret
        self._journal = journal
        self._new_id = new_id
        self._press = PacketFactory(clock)
        self._agents = Agents(
            journal.agents,
            journal.pages,
            settings.max_kept_per_agent,
            settings.heartbeat_limit_seconds,
            monotonic(),
        )
        self.pages = PageSessions(
            self._agents,
            self.operator,
            journal,
            self._press,
            self.dropped,
            settings.operator_grace_seconds,
            monotonic,
        )
        self._orders = Orders(self._agents, self.pages, self.operator, journal, self._press, self.dropped)

    # -- what HTTP requests ask for ------------------------------------------------------

    async def request_agent(self, provider_data: dict[str, Raw], client_timestamp: Timestamp) -> bytes:
        """Ask the operator for an agent; return the packet that is the answer."""
        request_id = self._new_id()
        data = raw({"provider_data": provider_data, "request_id": request_id})
        question = self._press.from_worker("register_agent", request_id, data, client_timestamp)
        return await self._answer_to(request_id, question)

    async def submit_onboarding(self, agent: str, onboarding_data: Raw, client_timestamp: Timestamp) -> bytes:
        """Record an onboarding's result and wait for the agent it leads to; return the answer.

        Raises:
            UnknownAgent, OutboxFull, JournalUnwritable: nothing was recorded.
        """
        request_id = self._new_id()
        data = raw({"onboarding_data": onboarding_data, "request_id": request_id})
        await self.submit("submit_onboarding", agent, data, client_timestamp)
        return await self._answer_to(request_id, None)

    async def _answer_to(self, request_id: str, question: bytes | None) -> bytes:
        answer = await self.operator.ask(request_id, question)
        # A worker who was given an agent is known here after a crash, too.
        await self._journal.wait_agents_written()
        return answer

    async def submit(self, packet_type: str, agent: str, data: Raw, client_timestamp: Timestamp) -> None:
        """Put a worker's packet into the outbox; return when it is durable.

        Raises:
            UnknownAgent, OutboxFull, JournalUnwritable: it was not taken.
        """
        self.check_known(agent)
        await self._journal.record(self._press.from_worker(packet_type, agent, data, client_timestamp))

    def log_error(self, agent: str | None, error_data: Raw, client_timestamp: Timestamp) -> None:
        """Tell the operator of an error in a page, if one is attached. A page may not have an agent yet.

        Raises:
            UnknownAgentError: it says that it has one, whom nobody knows.
        """
        if agent is not None:
            self.check_known(agent)
        data = raw({"error_data": error_data})
        self._report(self._press.from_worker("log_error", agent, data, client_timestamp))

    def version_mismatch(self, version: str | None) -> None:
        """Tell the operator, once, that there are pages of a version that is not supported."""
        if version not in self._reported_versions and len(self._reported_versions) < MAX_REPORTED_VERSIONS:
            self._reported_versions.add(version)
            report = raw({"what": "version_mismatch", "version": version})
            self._report(self._press.from_router("router_report", report))

    def check_known(self, agent: str) -> None:
        """Refuse a token of nobody.

        Raises:
            UnknownAgentError: nobody of that token is known.
        """
        if self._agents.get(agent) is None:
            self.dropped["unknown_agent"] += 1
            raise UnknownAgentError

    def counters(self) -> dict[str, object]:
        """Figures for whoever looks after the router."""
        return {
            "dropped": dict(self.dropped),
            "refused_operators": self._refused_operators,
            "outbox_length": len(self._journal.unacknowledged),
            "outbox_bytes": self._journal.outbox_bytes,
            "sockets": len(self.sockets),
            "known_agents": len(self._agents),
        }

    # -- sockets -------------------------------------------------------------------------

    def connected(self) -> Connection:
        """A socket was opened: return its outgoing side."""
        # A page that comes back is sent all that was kept at once, and then goes on.
        connection = Connection(2 * self._settings.max_kept_per_agent)
        self.sockets.add(connection)
        return connection

    def disconnected(self, connection: Connection, *, said_goodbye: bool) -> None:
        """A socket is closed; whether the page said that it was going."""
        self.sockets.discard(connection)
        self.operator.detach(connection)
        self.pages.left(connection, said_goodbye=said_goodbye)

    def heard(self, connection: Connection, text: str) -> None:
        """A socket sent a text frame."""
        if connection.close_code is not None:
            return
        frame = text.encode("utf-8", "surrogatepass")
        if connection.is_operator:
            self._orders.obey(frame)
        elif len(frame) > self._settings.max_packet_bytes:
            self.dropped["packet_too_big"] += 1
            connection.close(TOO_BIG)
        else:
            self._heard_stranger(connection, frame)

    def _heard_stranger(self, connection: Connection, frame: bytes) -> None:
        try:
            packet = read_packet(strict_json(frame))
        except MalformedJsonError:
            self.dropped["malformed_packet"] += 1
            return
        if packet.subject_id == MEPHISTO:
            self._check_operator(connection, packet)
        else:
            self.pages.heard(connection, packet)

    def _check_operator(self, connection: Connection, packet: Packet) -> None:
        try:
            greeting = read_greeting(packet.data if isinstance(packet.data, Raw) else b"{}")
        except MalformedJsonError:
            greeting = OperatorGreeting()
        if packet.packet_type == "alive" and self._secret.matches(greeting.token):
            self._attach(connection, greeting)
            return
        self._refused_operators += 1
        logger.warning("A socket claimed to be the operator without the run's secret; it was closed.")
        connection.close(POLICY_VIOLATION)

    # -- the operator and the outbox -----------------------------------------------------

    def _attach(self, link: Connection, greeting: OperatorGreeting) -> None:
        journal = self._journal
        if greeting.incarnation == journal.incarnation and greeting.acked is not None:
            journal.acknowledge(greeting.acked)
        journal.reopen()
        self._reported_versions.clear()
        self.operator.attach(link)
        self.pages.operator_came()
        link.post(self._press.from_router("router_state", raw(journal.state())))
        self.hand_on(journal.unacknowledged)
        self.operator.ask_again()

    def hand_on(self, entries: Iterable[Entry]) -> None:
        """Send packets of the outbox to the operator, if one is attached."""
        for entry in entries if self.operator.link is not None else ():
            self.operator.tell(numbered(entry.packet, entry.seq))

    def journal_failed(self, error: OSError) -> None:
        """Count a batch that could not be written."""
        self.dropped["journal_unwritable"] += 1
        logger.error("The journal cannot be written: %s.", error.strerror)

    def _report(self, packet: bytes) -> None:
        if not self.operator.report(packet):
            self.dropped["report"] += 1
