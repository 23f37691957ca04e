"""The agents that the router knows: their status, their socket, what is kept for them."""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping

from .connection import Connection

#: What is reported for an agent whose page is gone.
DISCONNECT = "disconnect"

#: Statuses in which it matters that the page is there.
AT_WORK = frozenset({"none", "accepted", "onboarding", "waiting", "in task"})

#: The status of an agent about whom the operator said nothing yet.
UNKNOWN_STATUS = "none"


class Agent:
    """One agent, known by its token."""

    __slots__ = ("connection", "is_claimed", "is_gone", "kept", "status", "token", "unheard")

    def __init__(self, token: str, status: str = UNKNOWN_STATUS, *, is_claimed: bool = False) -> None:
        self.token = token
        #: The status that the operator gave last.
        self.status = status
        #: The socket that last spoke for this agent, while it is open.
        self.connection: Connection | None = None
        #: Its page was there once and has been away or silent for too long.
        self.is_gone = False
        #: A page knows of it, as far as can be told.
        self.is_claimed = is_claimed
        #: Live updates that wait for a socket, oldest first.
        self.kept: list[bytes] = []
        #: Live updates sent since the page was last heard: lost, if it is never heard again.
        self.unheard: list[bytes] = []

    @property
    def reported_status(self) -> str:
        """The status as the operator is told it."""
        return DISCONNECT if self.is_gone and self.status in AT_WORK else self.status


class Agents:
    """All agents known, and which of those with a page have not been heard from the longest.

    Args:
        statuses: Agents that an earlier process knew.
        pages: Those of them whose page was there; it has its time to come back.
        max_kept: Live updates kept for one agent while its socket is down.
        heartbeat_limit: Seconds of silence after which a page is gone.
        now: When this is.
    """

    def __init__(
        self, statuses: Mapping[str, str], pages: Collection[str], max_kept: int, heartbeat_limit: float, now: float
    ) -> None:
        self._agents = {token: Agent(token, status, is_claimed=True) for token, status in statuses.items()}
        self._max_kept = max_kept
        self._heartbeat_limit = heartbeat_limit
        # When each page that is not reported as gone was last heard; the longest unheard is first.
        self._heard: OrderedDict[str, float] = OrderedDict()
        for token in pages:
            self._note_heard(self._agents[token], now)

    def __len__(self) -> int:
        return len(self._agents)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def get(self, token: str) -> Agent | None:
        """Return the agent of that token, if there is one."""
        return self._agents.get(token)

    def admit(self, token: str, *, is_claimed: bool = False) -> Agent:
        """Return the agent of that token, known from now on.

        Args:
            token: The token.
            is_claimed: If it was not known before, it was given to a page by an earlier process.
        """
        agent = self._agents.get(token)
        if agent is None:
            agent = self._agents[token] = Agent(token, is_claimed=is_claimed)
        return agent

    def forget(self, token: str) -> None:
        """Know the agent no longer; its socket stays open and speaks for nobody."""
        agent = self._agents.pop(token)
        self._heard.pop(token, None)
        if agent.connection is not None:
            agent.connection.agents.discard(token)

    def tokens(self) -> set[str]:
        """All tokens known."""
        return set(self._agents)

    def hear(self, agent: Agent, connection: Connection, now: float, *, is_new: bool) -> bool:
        """Note that a socket spoke for an agent, which gets the agent's packets from now on.

        Args:
            agent: Who was spoken for.
            connection: The socket.
            now: When that was.
            is_new: The page said that it is new on this socket. Then the socket before it may be
                dead without anybody having noticed, and what it was sent last is kept.

        Returns:
            Whether the agent had no page that was there.
        """
        was_away = agent.connection is None or agent.is_gone
        if agent.connection is not connection:
            if is_new:
                self._keep_unheard(agent)
            if agent.connection is not None:
                agent.connection.agents.discard(agent.token)
            agent.connection = connection
            connection.agents.add(agent.token)
        agent.unheard.clear()
        agent.is_gone = False
        agent.is_claimed = True
        self._note_heard(agent, now)
        return was_away

    def claim(self, agent: Agent) -> None:
        """Note that a page was told that the agent is its own; it need not open a socket."""
        if not agent.is_claimed:
            agent.is_claimed = True
            self._heard.pop(agent.token, None)

    def miss(self, agent: Agent, now: float) -> bool:
        """Note that whoever asked for an agent did not wait for the answer.

        Returns:
            Whether no page knows of it: whoever asked has the time of a silent page to ask again.
        """
        if not agent.is_claimed:
            self._note_heard(agent, now)
        return not agent.is_claimed

    def lose(self, connection: Connection, now: float, *, said_goodbye: bool) -> None:
        """Note that a socket is closed; without a goodbye, what it was sent last is kept."""
        for token in connection.agents:
            agent = self._agents[token]
            agent.connection = None
            if said_goodbye:
                agent.unheard.clear()
            else:
                self._keep_unheard(agent)
            if not agent.is_gone:
                self._note_heard(agent, now)
        connection.agents.clear()

    def wait_anew(self, now: float) -> None:
        """Give every page its time to be heard again: while nobody could answer it, it may have had no socket."""
        for agent in self._agents.values():
            if agent.is_gone or agent.token in self._heard:
                agent.is_gone = False
                self._note_heard(agent, now)

    def _note_heard(self, agent: Agent, now: float) -> None:
        self._heard[agent.token] = now
        self._heard.move_to_end(agent.token)

    def _keep_unheard(self, agent: Agent) -> None:
        agent.kept = (agent.unheard + agent.kept)[-self._max_kept :]
        agent.unheard.clear()

    def tell(self, token: str, packet: bytes) -> None:
        """Send a packet to the agent's page if it is there; it is not worth keeping otherwise."""
        agent = self._agents[token]
        if agent.connection is not None and not agent.is_gone:
            agent.connection.post(packet)

    def deliver(self, agent: Agent, packet: bytes) -> bool:
        """Send a live update to the agent's page, or keep it; return whether an older one was given up for it."""
        if agent.connection is not None and not agent.is_gone:
            self._send(agent, agent.connection, packet)
            return False
        agent.kept.append(packet)
        if len(agent.kept) <= self._max_kept:
            return False
        del agent.kept[0]
        return True

    def deliver_kept(self, agent: Agent, connection: Connection) -> None:
        """Send what was kept for the agent, oldest first."""
        kept, agent.kept = agent.kept, []
        for packet in kept:
            self._send(agent, connection, packet)

    def _send(self, agent: Agent, connection: Connection, packet: bytes) -> None:
        agent.unheard.append(packet)
        if len(agent.unheard) > self._max_kept:
            del agent.unheard[0]
        connection.post(packet)

    def silence_due(self) -> float | None:
        """Return when the page that has been silent the longest is to be taken for gone; None: there is none."""
        for heard_at in self._heard.values():
            return heard_at + self._heartbeat_limit
        return None

    def take_silent(self, now: float) -> list[Agent]:
        """Take the agents whose page has been silent for too long, and count them as gone."""
        silent = []
        while self._heard:
            token, heard_at = next(iter(self._heard.items()))
            if heard_at + self._heartbeat_limit > now:
                break
            del self._heard[token]
            agent = self._agents[token]
            agent.is_gone = True
            self._keep_unheard(agent)
            silent.append(agent)
        return silent
