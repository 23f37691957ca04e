"""Handles what the routers of a run report about themselves and about their pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import trio

from ..packets import (
    AckData,
    LogErrorPacket,
    OutboxPacket,
    PagesConfirmed,
    ReturnStatuses,
    RouterReport,
    RouterState,
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
            case PageAbsence.UNCLEAR:
                self._nursery.start_soon(self._settle_absence, token)
            case PageAbsence.ELSEWHERE:
                pass

    async def _settle_absence(self, token: str) -> None:
        await trio.sleep(UNCLEAR_SECONDS)
        if self._pages.settle(token):
            self._worker_pool.end_gone(token)


class RouterOutboxes:
    """The outboxes of the routers of one run, and up to which packet each is durable here."""

    def __init__(self) -> None:
        """Start without routers."""
        self._incarnations: dict[str, str] = {}
        #: Position up to which each channel's outbox is durable here.
        self._durable: dict[str, AckData] = {}
        #: Last position of each channel's outbox, once its router accepts nothing more.
        self._last: dict[str, AckData] = {}
        #: Notified when a packet has become durable, or a router accepts nothing more.
        self.progress = Signal()

    def note_state(self, channel_id: str, packet: RouterState) -> None:
        """Note which outbox the router behind a channel has, and whether it is closed."""
        self._incarnations[channel_id] = packet.data.incarnation
        self._last.pop(channel_id, None)
        if packet.data.closed:
            last = 0 if packet.data.first_unacked is None else packet.data.next_seq - 1
            self._last[channel_id] = AckData(packet.data.incarnation, last)
            self.progress.notify()

    def place_of(self, channel_id: str, packet: OutboxPacket) -> AckData:
        """Return the position of a packet that has just arrived."""
        return AckData(self._incarnations[channel_id], packet.seq)

    def note_durable(self, channel_id: str, place: AckData) -> None:
        """Note that all packets up to a position are durable here."""
        self._durable[channel_id] = place
        self.progress.notify()

    def is_drained(self, channel_id: str) -> bool:
        """Return whether a router accepts nothing more, and all that it accepted is durable here."""
        last, durable = self._last.get(channel_id), self._durable.get(channel_id)
        if last is None:
            return False
        if durable is None or durable.incarnation != last.incarnation:
            return last.seq <= 0
        return last.seq <= durable.seq


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
