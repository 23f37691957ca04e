"""The pages' side of the switchboard: what their sockets say, and their silence."""

from collections import Counter
from collections.abc import Callable

import anyio

from .agents import Agent, Agents
from .connection import Connection
from .journal import Journal, OutboxFullError
from .operator_link import OperatorLink
from .packets import PacketFactory
from .wire import Packet, Pulse, is_object, raw


class PageSessions:
    """Answers pages and reports to the operator which of them are there.

    Args:
        agents: Whom the router knows.
        operator: Who is told.
        journal: Where live updates go, and which pages were there.
        press: Makes packets.
        counts: Counts what is dropped.
        grace_seconds: How long pages are kept alive while no operator is attached.
        monotonic: Seconds from anywhere, for durations.
    """

    def __init__(
        self,
        agents: Agents,
        operator: OperatorLink,
        journal: Journal,
        press: PacketFactory,
        counts: Counter[str],
        grace_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._agents = agents
        self._operator = operator
        self._journal = journal
        self._press = press
        self._counts = counts
        self._grace_seconds = grace_seconds
        self._monotonic = monotonic
        self._somebody_came = anyio.Event()

    def heard(self, connection: Connection, packet: Packet) -> None:
        """A page sent a packet."""
        agent = self._agents.get(packet.subject_id) if isinstance(packet.subject_id, str) else None
        if agent is None:
            self._counts["unknown_agent"] += 1
            return
        match packet.packet_type:
            case "alive":
                self._greet(agent, connection, is_new=True)
            case "heartbeat":
                self._greet(agent, connection, is_new=False)
                self._answer_heartbeat(agent, connection, packet)
            case "mephisto_bound_live_update":
                self._greet(agent, connection, is_new=False)
                self._record_live_update(agent, packet)
            case _:
                self._counts["unknown_packet_type"] += 1

    def left(self, connection: Connection, *, said_goodbye: bool) -> None:
        """A socket is closed."""
        self._agents.lose(connection, self._monotonic(), said_goodbye=said_goodbye)

    def answered(self, agent: Agent, *, was_waited_for: bool) -> None:
        """A page was given an agent, or would have been if it had waited."""
        if was_waited_for:
            self._agents.claim(agent)
        elif self._agents.miss(agent, self._monotonic()):
            self._somebody_came.set()

    def operator_came(self) -> None:
        """There is an operator to answer pages; whoever was waiting for one is not gone because of that."""
        self._agents.wait_anew(self._monotonic())
        self._somebody_came.set()

    def report_statuses(self, statuses: dict[str, str]) -> None:
        """Tell the operator statuses, if one is attached; a later one asks for all."""
        self._operator.tell(self._press.from_router("return_statuses", raw(statuses)))

    async def watch_silence(self) -> None:
        """Report agents whose page is gone, for ever."""
        while True:
            due = self._agents.silence_due()
            if due is None:
                self._somebody_came = anyio.Event()
                await self._somebody_came.wait()
            elif (rest := due - self._monotonic()) > 0:
                await anyio.sleep(rest)
            else:
                gone = self._agents.take_silent(self._monotonic())
                self.report_statuses({agent.token: agent.reported_status for agent in gone})

    def _greet(self, agent: Agent, connection: Connection, *, is_new: bool) -> None:
        # Whatever a page says may be its first sign: it does not always say `alive` for its agent.
        was_away = self._agents.hear(agent, connection, self._monotonic(), is_new=is_new)
        self._journal.note_page(agent.token)
        self._somebody_came.set()
        if is_new or was_away:
            connection.post(self._press.status(agent.token, agent.status))
            self._agents.deliver_kept(agent, connection)
        if was_away:
            self.report_statuses({agent.token: agent.status})

    def _answer_heartbeat(self, agent: Agent, connection: Connection, packet: Packet) -> None:
        # In terms of the page's own clock: it compares, and leaves for good if the time looks old.
        seen_at = packet.client_timestamp if isinstance(packet.client_timestamp, float) else self._press.now()
        absence = self._operator.absence_seconds
        if absence > self._grace_seconds:
            seen_at -= absence
        packet.data = raw(Pulse(last_mephisto_ping=round(seen_at * 1000), status=agent.status))
        connection.post(self._press.passed_on(packet))

    def _record_live_update(self, agent: Agent, packet: Packet) -> None:
        if not is_object(packet.data):
            self._counts["malformed_packet"] += 1
            return
        update = self._press.from_worker(packet.packet_type, agent.token, packet.data, packet.client_timestamp)
        try:
            self._journal.record_nowait(update)
        except OutboxFullError:
            self._counts["outbox_full"] += 1
