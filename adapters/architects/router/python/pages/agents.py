"""Keeps the known agents, routes packets to their pages, and notices which pages are gone."""

from collections.abc import Callable, Mapping
from typing import NoReturn

from ..counters import Counters
from ..deadline_queue import DeadlineQueue
from ..journal.journal import Journal
from ..sockets.connection import POLICY_VIOLATION, Connection
from .agent_session import AgentSession, UpdateBuffer

#: The status of an agent that came without one.
FIRST_STATUS = "none"

#: A page that lets this much pile up does not read; its socket is dropped, and it gets the rest on its next one.
MAX_UNSENT_BYTES = 8 * 2**20

#: Sockets that may speak for one agent at a time.
MAX_CONNECTIONS = 3

#: Size of the live updates that are kept for one agent, apart from the newest.
MAX_KEPT_BYTES = 4 * 2**20

#: How often a silent page is asked for a sign of life until it is gone: a tab in the background sends no heartbeats.
PINGS_PER_LIMIT = 3


class AgentSessions:
    """All known agents, and which of those with a page have not been heard from the longest.

    Args:
        journal: remembers agents, statuses and pages; those of an earlier process get their time to come back.
        counters: counts discarded updates.
        max_kept: number of live updates kept for one agent while its socket is down.
        heartbeat_limit_seconds: silence after which a page is gone.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(
        self,
        journal: Journal,
        counters: Counters,
        max_kept: int,
        heartbeat_limit_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._counters = counters
        self._max_kept = max_kept
        self._silence: DeadlineQueue[str] = DeadlineQueue(heartbeat_limit_seconds, monotonic)
        self._pulse: DeadlineQueue[str] = DeadlineQueue(heartbeat_limit_seconds / PINGS_PER_LIMIT, monotonic)
        self._sessions = {
            token: self._new_session(token, status, is_claimed=True) for token, status in journal.agents.items()
        }
        for token in journal.pages:
            self._silence.set(token)

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, token: object) -> AgentSession | None:
        """Return the agent of a token, or None if it is not known."""
        return self._sessions.get(token) if isinstance(token, str) else None

    @property
    def watched(self) -> list[str]:
        """The agents whose pages are reported as gone unless they are heard."""
        return [token for token, session in self._sessions.items() if session.is_claimed and self._silence.has(token)]

    def reported_statuses(self) -> dict[str, str]:
        """Return the statuses of all agents, as the operator sees them."""
        return {token: session.reported_status for token, session in self._sessions.items()}

    def set_status(self, token: str, status: str | None) -> AgentSession:
        """Set an agent's status; an unknown agent becomes known, and no page knows of it yet.

        Args:
            token: the agent's token.
            status: None keeps the status that there is.
        """
        session = self._sessions.get(token)
        if session is None:
            session = self._sessions[token] = self._new_session(token, status or FIRST_STATUS, is_claimed=False)
        session.status = status or session.status
        if self._journal.agents.get(token) != session.status:
            self._journal.note_agent(token, session.status)
        return session

    def replace_all(self, statuses: Mapping[str, str]) -> list[AgentSession]:
        """Know exactly these agents from now on.

        Returns:
            The agents that are new or have another status than before. New ones were given to a page by an earlier
            process.
        """
        for token in self._sessions.keys() - statuses.keys():
            self._forget(token)
        changed = []
        for token, status in statuses.items():
            session = self._sessions.get(token)
            if session is None or session.status != status:
                changed.append(self.set_status(token, status))
            if session is None:
                changed[-1].is_claimed = True
        return changed

    def hear(self, session: AgentSession, connection: Connection, *, is_new: bool) -> bool:
        """Note that a socket spoke for an agent; it gets the agent's packets from now on.

        Args:
            session: the agent.
            connection: the socket.
            is_new: the page said that it is new on this socket. The socket before may be dead without anybody having
                noticed, and what was sent to it last is sent again.

        Returns:
            Whether the agent's page was away before.
        """
        was_away = session.connection is None or session.is_gone
        self._add_connection(session, connection)
        if session.connection is not connection:
            if is_new:
                self._count_discarded(session.keep_unheard())
            if session.connection is not None:
                session.connection.agents.discard(session.token)
            session.connection = connection
            connection.agents.add(session.token)
        session.unheard.take_all()
        session.is_gone = False
        session.is_claimed = True
        self._silence.set(session.token)
        self._pulse.set(session.token)
        self._journal.note_page(session.token)
        return was_away

    def feel(self, session: AgentSession) -> bool:
        """Note that the socket of an agent's page gave a sign of life; return whether the page was away before."""
        was_away = session.is_gone
        session.is_gone = False
        self._silence.set(session.token)
        self._pulse.set(session.token)
        return was_away

    def ask(self, token: str) -> None:
        """Have an agent's page show that it is open; if its socket is closed, it may open another one."""
        session = self._sessions.get(token)
        if session is not None:
            session.is_asked = True
            if session.connection is not None:
                session.connection.ping()

    def claim(self, session: AgentSession) -> None:
        """Note that a page has received the agent as its own; it need not open a socket."""
        if not session.is_claimed:
            session.is_claimed = True
            self._silence.delete(session.token)

    def miss(self, session: AgentSession) -> None:
        """Note that the page that asked for an agent did not wait for the answer.

        If no page knows of the agent, there is as much time to ask again as a silent page has.
        """
        if not session.is_claimed:
            self._silence.set(session.token)

    def lose(self, connection: Connection, *, said_goodbye: bool) -> None:
        """Note that a socket is closed; without a goodbye, what it was sent last is kept."""
        for token in connection.agents:
            session = self._sessions[token]
            session.connection = None
            if said_goodbye:
                session.unheard.take_all()
            else:
                self._count_discarded(session.keep_unheard())
            if not session.is_gone:
                self._silence.set(token)
        connection.agents.clear()
        for token in connection.spoke_for:
            if (known := self._sessions.get(token)) is not None and connection in known.connections:
                known.connections.remove(connection)

    def restart_silence(self) -> None:
        """Give every page its full time to be heard again: while nobody could answer it, it may have had no socket."""
        for session in self._sessions.values():
            if session.is_gone or self._silence.has(session.token):
                session.is_gone = False
                self._silence.set(session.token)

    async def watch_silence(self, on_gone: Callable[[list[AgentSession]], None]) -> NoReturn:
        """Call `on_gone` with the agents whose page has been away or silent for too long. Never returns."""

        def pass_on(tokens: list[str]) -> None:
            gone = [self._sessions[token] for token in tokens]
            for session in gone:
                session.is_gone = True
                self._count_discarded(session.keep_unheard())
            on_gone(gone)

        await self._silence.watch(pass_on)

    async def watch_pulse(self) -> NoReturn:
        """Ask the sockets of silent pages for a sign of life. Never returns."""
        await self._pulse.watch(self._ping)

    def send(self, session: AgentSession, packet: bytes) -> None:
        """Send a packet to the agent's page if it is there; otherwise it is not worth keeping."""
        connection = session.connection
        if connection is None or session.is_gone:
            return
        if connection.unsent_bytes > MAX_UNSENT_BYTES:
            connection.terminate()
        connection.send(packet)

    def deliver(self, session: AgentSession, packet: bytes) -> None:
        """Send a live update to the agent's page, or keep it until there is one."""
        if session.connection is None or not session.connection.is_open or session.is_gone:
            self._count_discarded(session.kept.add([packet]))
        else:
            session.unheard.add([packet])
            self.send(session, packet)

    def deliver_kept(self, session: AgentSession) -> None:
        """Send the live updates that were kept for an agent, oldest first."""
        for packet in session.kept.take_all():
            self.deliver(session, packet)

    def _add_connection(self, session: AgentSession, connection: Connection) -> None:
        """Add a socket to those of an agent; when there are too many, the oldest is closed."""
        if connection in session.connections:
            return
        connection.spoke_for.add(session.token)
        session.connections.append(connection)
        if len(session.connections) > MAX_CONNECTIONS:
            self._counters.drop("agent_sockets")
            session.connections.pop(0).close(POLICY_VIOLATION)

    def _ping(self, tokens: list[str]) -> None:
        for token in tokens:
            session = self._sessions.get(token)
            if session is not None and session.connection is not None and not session.is_gone:
                session.connection.ping()
                self._pulse.set(token)

    def _forget(self, token: str) -> None:
        """Remove an agent; its socket stays open and speaks for nobody."""
        session = self._sessions.pop(token)
        self._silence.delete(token)
        self._pulse.delete(token)
        if session.connection is not None:
            session.connection.agents.discard(token)
        self._journal.note_agent(token, None)

    def _new_session(self, token: str, status: str, *, is_claimed: bool) -> AgentSession:
        kept, unheard = (UpdateBuffer(self._max_kept, MAX_KEPT_BYTES) for _ in range(2))
        return AgentSession(token, status, is_claimed=is_claimed, kept=kept, unheard=unheard)

    def _count_discarded(self, count: int) -> None:
        for _ in range(count):
            self._counters.drop("kept_overflow")
