"""Puts the router together: everything between the journal below and the HTTP server above."""

from collections.abc import Callable

import anyio

from .counters import Counters
from .http.run_page import RunPage
from .http.task_config import TaskConfigFile
from .journal.journal import Journal
from .log import log
from .operator.commit_waits import CommitWaits
from .operator.operator_link import OperatorLink
from .operator.operator_orders import OperatorOrders
from .operator.waiting_requests import WaitingRequests
from .operator.webhooks import Webhooks
from .packets import BUSY, PacketFactory
from .pages.agents import AgentSessions
from .pages.page_requests import PageRequests
from .pages.page_sessions import PageSessions
from .settings import RouterSettings, Secret
from .sockets.hub import Hub


class Router:
    """The parts of a running router.

    Args:
        settings: its limits.
        secret: makes a socket the operator's.
        page: knows the run that the router belongs to.
        journal: the outbox and the known agents.
        clock: returns seconds since the epoch, for timestamps on packets.
        monotonic: returns seconds since any fixed moment, for durations.
        new_id: makes request ids.
    """

    def __init__(
        self,
        settings: RouterSettings,
        secret: Secret,
        page: RunPage,
        journal: Journal,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.counters = Counters()
        self._journal = journal
        self._page = page
        self._version = settings.version
        config = TaskConfigFile(settings.static)
        packets = PacketFactory(clock, lambda: config.text("router.busy", BUSY))
        self._requests = WaitingRequests(packets, settings.request_deadline_seconds, settings.max_sockets, monotonic)
        self._agents = AgentSessions(
            journal, self.counters, settings.max_kept_per_agent, settings.heartbeat_limit_seconds, monotonic
        )
        commits = CommitWaits(settings.commit_wait_seconds)
        self._link = OperatorLink(
            journal, packets, self.counters, settings.operator_silence_seconds, commits, monotonic
        )
        self.webhooks = Webhooks(journal, packets, self.counters)
        orders = OperatorOrders(
            journal, self._agents, self._requests, self.webhooks, self._link, packets, self.counters
        )
        self._sessions = PageSessions(
            journal, self._agents, self._link, packets, self.counters, settings.operator_grace_seconds
        )
        self.page_requests = PageRequests(
            journal, self._agents, self._requests, self._link, packets, self.counters, new_id
        )
        self.hub = Hub(
            secret,
            page,
            self._sessions,
            self.page_requests,
            self._link,
            orders,
            self.counters,
            settings.max_packet_bytes,
            max(1, settings.max_sockets // 4),
        )

    async def run(self) -> None:
        """Write the journal and watch for pages that are gone. Never returns."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sessions.watch_silence)
            tasks.start_soon(self._sessions.watch_pulse)
            tasks.start_soon(self._link.watch_pulse)
            await self._journal.write_batches(self._link.flush, self._on_journal_failed)

    async def wait_abandoned(self, seconds: float) -> None:
        """Return once there has been no operator for `seconds`."""
        await self._link.wait_abandoned(seconds)

    def forget_run(self) -> None:
        """Forget the agents of a run that has ended, and its provider's site."""
        self._agents.replace_all({})
        self.webhooks.forget()

    def figures(self) -> dict[str, int | str | bool | dict[str, int]]:
        """Return what there is and what was lost, for monitoring."""
        return {
            "dropped": self.counters.dropped,
            "known_agents": len(self._agents),
            "operator_attached": self._link.is_attached,
            "outbox_bytes": self._journal.outbox.size_bytes,
            "outbox_length": len(self._journal.outbox),
            "page": self._page.state,
            "refused_operators": self.counters.refused_operators,
            "sockets": self.hub.socket_count,
            "version": self._version,
        }

    def close(self) -> None:
        """Answer everyone who waits, and close all sockets."""
        self._requests.give_up_all()
        self.hub.close()

    async def close_journal(self) -> None:
        """Write what still waits to the journal, and close it."""
        await self._journal.close(self._link.flush, self._on_journal_failed)

    def _on_journal_failed(self, error: OSError) -> None:
        self.counters.drop("journal_unwritable")
        log("journal_write_failed", reason=error.strerror)
