"""Handles what the routers of a run report about themselves and about their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import trio

from ..abstractions.channel import SILENT_SECONDS, Channel
from ..packets import (
    SYSTEM,
    Ack,
    AckData,
    Drain,
    LogErrorPacket,
    OutboxPacket,
    PagesConfirmed,
    ReturnStatuses,
    RouterReport,
    RouterState,
    RouterStateData,
    WatchedPages,
)
from ..ports import Outage
from ..signal import Signal
from .agent_pages import AgentPages
from .logger_core import get_logger
from .page_presence import PageAbsence
from .worker_pool import GONE, WorkerPool

#: Seconds in which a page that one router misses may show itself at another one that is not connected.
UNCLEAR_SECONDS = 60.0
#: Bytes of a page's error report that are logged.
QUOTE_BYTES = 2000

Report = ReturnStatuses | PagesConfirmed | WatchedPages | LogErrorPacket | RouterReport

logger = get_logger(__name__)


class RouterReports:
    """The reports of all routers of one run."""

    def __init__(self, nursery: trio.Nursery, pages: AgentPages, worker_pool: WorkerPool) -> None:
        self._nursery = nursery
        self._pages = pages
        self._worker_pool = worker_pool

    def handle(self, channel_id: str, packet: Report) -> None:
        """Handle a report of the router behind a channel."""
        match packet:
            case ReturnStatuses():
                for token, status in packet.data.items():
                    if status == GONE:
                        self._miss_page(token, channel_id)
                    else:
                        self._pages.see(token, channel_id)
            case WatchedPages():
                self._pages.list_pages(channel_id, packet.data.agents)
            case PagesConfirmed():
                self._pages.confirm(packet.data.agents)
            case LogErrorPacket():
                error = bytes(packet.data)[:QUOTE_BYTES].decode(errors="replace")
                logger.warning("a worker's page reported an error", error=error)
            case RouterReport():
                log_router_report(packet.data)
            case _:
                assert_never(packet)

    def _miss_page(self, token: str, channel_id: str) -> None:
        """End the agent whose page a router misses, unless the page is at another router."""
        match self._pages.miss(token, channel_id):
            case PageAbsence.GONE:
                self._worker_pool.end_gone(token)
            case PageAbsence.LIKELY:
                self._nursery.start_soon(self._look_again, token, channel_id)
            case PageAbsence.UNCLEAR:
                self._nursery.start_soon(self._settle_absence, token, UNCLEAR_SECONDS)
            case PageAbsence.ELSEWHERE:
                pass

    async def _look_again(self, token: str, channel_id: str) -> None:
        """End the agent of a page that no router has, unless the connection to one of them turns out to be dead."""
        await trio.sleep(SILENT_SECONDS)
        if self._pages.is_unclear(token):
            is_unclear = self._pages.miss(token, channel_id) is PageAbsence.UNCLEAR
            await self._settle_absence(token, UNCLEAR_SECONDS if is_unclear else 0)

    async def _settle_absence(self, token: str, seconds: float) -> None:
        await trio.sleep(seconds)
        if self._pages.settle(token):
            self._worker_pool.end_gone(token)


class RouterOutboxes:
    """The outboxes of the routers of one run, and up to which packet each is durable here."""

    def __init__(self) -> None:
        """Start without routers."""
        #: What the router behind each channel last said of its outbox.
        self._states: dict[str, RouterStateData] = {}
        #: Position up to which each channel's outbox is durable here.
        self._durable: dict[str, AckData] = {}
        #: Notified when a router accepts nothing more and has an empty outbox.
        self.progress = Signal()

    def note_state(self, channel: Channel, packet: RouterState) -> None:
        """Note the state of a router's outbox, and acknowledge again what it still holds although it is durable here.

        An acknowledgement can be lost with its connection, and there may be no later one before the run ends.
        """
        state = self._states[channel.channel_id] = packet.data
        durable = self._durable.get(channel.channel_id)
        first = state.next_seq if state.first_unacked is None else state.first_unacked
        # A journal that lost its end is behind: its packets arrive again, and are acknowledged as they do.
        if durable is not None and durable.incarnation == state.incarnation and first <= durable.seq < state.next_seq:
            self.acknowledge(channel)
        self.progress.notify()

    def place_of(self, channel_id: str, packet: OutboxPacket) -> AckData:
        """Return the position of a packet that has just arrived."""
        return AckData(self._states[channel_id].incarnation, packet.seq)

    def note_durable(self, channel_id: str, place: AckData) -> None:
        """Note that all packets up to a position are durable here."""
        self._durable[channel_id] = place

    def acknowledge(self, channel: Channel) -> None:
        """Acknowledge what is durable here; ask a router that accepts nothing more to confirm that this was all."""
        durable, state = self._durable[channel.channel_id], self._states[channel.channel_id]
        channel.enqueue_send(Ack(subject_id=SYSTEM, data=durable))
        if state.closed and durable == AckData(state.incarnation, state.next_seq - 1):
            channel.enqueue_send(Drain(subject_id=SYSTEM))

    def is_drained(self, channel_id: str) -> bool:
        """Return whether a router has confirmed that it accepts nothing more and that its outbox is empty."""
        state = self._states.get(channel_id)
        return state is not None and state.closed and state.first_unacked is None


def log_router_report(data: Mapping[str, str | int | float | bool | None]) -> None:
    """Log what a router reports, in words if it is known here.

    Args:
        data: the report. A page names the version of mephisto-task that it was built with; other programs name none.
    """
    if data.get("what") != "version_mismatch":
        logger.warning("the router reports", **{f"report_{key}": value for key, value in data.items()})
    elif data.get("version") is None:
        logger.info(
            "task_config.json was read without a version of mephisto-task, as curl does; if a page of yours read it, "
            "build the page with mephisto-task 2.0.4"
        )
    else:
        logger.warning(
            "a page was built with a version of mephisto-task that is not supported, and may not work; build it again "
            "with mephisto-task 2.0.4",
            version=data["version"],
        )


def log_outages(outages: Sequence[Outage], limit_seconds: float) -> None:
    """Log which routers are waited for at the end of a run, and the remedy."""
    for away in outages:
        logger.warning(
            "a router is out of reach and may hold what workers submitted: start it again; waiting for it",
            router=away.server,
            reason=away.problem,
            limit_seconds=limit_seconds,
        )
