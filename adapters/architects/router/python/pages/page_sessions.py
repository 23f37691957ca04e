"""Handles the packets that pages send on their sockets, and reports to the operator which pages are there."""

from typing import NoReturn

from ..counters import Counters
from ..errors import OutboxFullError
from ..journal.journal import Journal
from ..json_text import is_object, raw
from ..operator.operator_link import OperatorLink
from ..packets import HeartbeatAnswer, PacketFactory, PageList, WirePacket
from ..sockets.connection import Connection
from .agent_session import AgentSession
from .agents import AgentSessions

#: Absence of the operator that pages are told about; a restart is shorter.
NOTICE_SECONDS = 15


class PageSessions:
    """The pages that have a socket.

    Args:
        journal: where live updates go.
        agents: the known agents.
        link: the operator's socket.
        packets: makes packets.
        counters: counts what is discarded.
        grace_seconds: how long pages are kept alive while no operator is attached.
    """

    def __init__(
        self,
        journal: Journal,
        agents: AgentSessions,
        link: OperatorLink,
        packets: PacketFactory,
        counters: Counters,
        grace_seconds: float,
    ) -> None:
        self._journal = journal
        self._agents = agents
        self._link = link
        self._packets = packets
        self._counters = counters
        self._grace_seconds = grace_seconds

    def on_packet(self, connection: Connection, packet: WirePacket) -> None:
        """Handle a packet of a page."""
        session = self._agents.get(packet.subject_id)
        if session is None:
            self._counters.drop("unknown_agent")
            return
        match packet.packet_type:
            case "alive":
                self._hear(session, connection, is_new=True)
            case "heartbeat":
                self._hear(session, connection, is_new=False)
                self._answer_heartbeat(session, connection, packet)
            case "mephisto_bound_live_update":
                self._hear(session, connection, is_new=False)
                self._record_live_update(session, packet)
            case _:
                self._counters.drop("unknown_packet_type")

    def on_pong(self, connection: Connection) -> None:
        """Handle a sign of life of a page's socket, which a tab in the background gives too."""
        for token in tuple(connection.agents):
            session = self._agents.get(token)
            if session is not None:
                self._welcome(session, was_away=self._agents.feel(session))

    def on_disconnect(self, connection: Connection, *, said_goodbye: bool) -> None:
        """Handle the end of a socket.

        Args:
            connection: its outgoing side.
            said_goodbye: the page closed it; otherwise what it was sent last may not have arrived.
        """
        self._agents.lose(connection, said_goodbye=said_goodbye)

    def on_operator_attached(self) -> None:
        """Give every page time to come back: while nobody could answer it, it may have had no socket."""
        self._agents.restart_silence()

    async def watch_silence(self) -> NoReturn:
        """Report agents whose page is gone. Never returns."""
        await self._agents.watch_silence(self._report_statuses)

    async def watch_pulse(self) -> NoReturn:
        """Ask the sockets of silent pages for a sign of life. Never returns."""
        await self._agents.watch_pulse()

    def _hear(self, session: AgentSession, connection: Connection, *, is_new: bool) -> None:
        # Any packet may be the first sign of a page: it does not always say `alive` for its agent.
        was_away = self._agents.hear(session, connection, is_new=is_new)
        self._welcome(session, was_away=was_away, is_new=is_new)

    def _welcome(self, session: AgentSession, *, was_away: bool, is_new: bool = False) -> None:
        if is_new or was_away:
            self._agents.send(session, self._packets.status(session.token, session.status))
            self._agents.deliver_kept(session)
        if was_away:
            self._report_statuses([session])
        if session.is_asked and self._link.is_attached:
            session.is_asked = False
            self._link.send(self._packets.from_router("pages_confirmed", raw(PageList([session.token]))))

    def _answer_heartbeat(self, session: AgentSession, connection: Connection, packet: WirePacket) -> None:
        # In terms of the page's own clock: it compares, and leaves for good if the time looks old.
        seen_at = packet.client_timestamp if isinstance(packet.client_timestamp, float) else self._packets.now()
        away = self._link.away_seconds
        if away > self._grace_seconds and not self._link.is_paused:
            seen_at -= away
        answer = HeartbeatAnswer(
            last_mephisto_ping=round(seen_at * 1000), status=session.status, operator_away=away > NOTICE_SECONDS
        )
        packet.data = raw(answer)
        connection.send(self._packets.forwarded(packet))

    def _record_live_update(self, session: AgentSession, packet: WirePacket) -> None:
        if not is_object(packet.data):
            self._counters.drop("malformed_packet")
            return
        update = self._packets.from_worker(packet.packet_type, session.token, packet.data, packet.client_timestamp)
        try:
            self._journal.record_nowait(update)
        except OutboxFullError:
            self._counters.drop("outbox_full")

    def _report_statuses(self, sessions: list[AgentSession]) -> None:
        # Without an operator nobody misses it: the next one asks for all.
        if sessions and self._link.is_attached:
            statuses = {session.token: session.reported_status for session in sessions}
            self._link.send(self._packets.from_router("return_statuses", raw(statuses)))
