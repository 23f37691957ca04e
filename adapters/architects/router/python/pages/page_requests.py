"""Handles what pages ask for by HTTP request. Knows nothing of HTTP itself."""

from collections.abc import Callable

from msgspec import Raw

from ..counters import Counters
from ..errors import UnknownAgentError
from ..journal.journal import Journal
from ..json_text import raw
from ..operator.operator_link import OperatorLink
from ..operator.waiting_requests import WaitingRequests
from ..packets import PacketFactory, Timestamp
from .agents import FIRST_STATUS, AgentSessions

#: Longest part of a client's version that is reported to the operator.
MAX_VERSION_LENGTH = 64

#: Different versions that are reported to one operator, each once.
MAX_REPORTED_VERSIONS = 20

#: Statuses of agents whose work ended without a submission; what is submitted afterwards is late.
ENDED_STATUSES = frozenset({"disconnect", "timeout", "returned", "expired"})


class PageRequests:
    """Requests of pages, as packets for the operator.

    Args:
        journal: where what workers made goes.
        agents: the known agents.
        requests: pages that wait for an agent.
        link: the operator's socket.
        packets: makes packets.
        counters: counts what is discarded.
        new_id: makes request ids.
    """

    def __init__(
        self,
        journal: Journal,
        agents: AgentSessions,
        requests: WaitingRequests,
        link: OperatorLink,
        packets: PacketFactory,
        counters: Counters,
        new_id: Callable[[], str],
    ) -> None:
        self._journal = journal
        self._agents = agents
        self._requests = requests
        self._link = link
        self._packets = packets
        self._counters = counters
        self._new_id = new_id
        self._reported_versions: set[str | None] = set()

    async def request_agent(self, provider_data: Raw, client_timestamp: Timestamp) -> bytes:
        """Ask the operator for an agent.

        Cancelling gives the request up.

        Returns:
            The packet that answers the page, at the deadline one that asks to try again.
        """
        return await self._ask("register_agent", {"provider_data": provider_data}, client_timestamp)

    async def request_worker_page(
        self, worker_page: str, withdraw_consent: int | None, receipt: str | None, client_timestamp: Timestamp
    ) -> bytes:
        """Ask the operator for what a worker's own page shows.

        Cancelling gives the request up.

        Args:
            worker_page: the token in the page's address.
            withdraw_consent: a run whose consent the worker withdraws; None for no run.
            receipt: the token of an agent of whose work the worker wants a receipt; None for no agent.
            client_timestamp: when, by the page's clock.

        Returns:
            The packet that answers the page, at the deadline one that asks to try again.
        """
        asked: dict[str, object] = {"worker_page": worker_page}
        if withdraw_consent is not None:
            asked["withdraw_consent"] = withdraw_consent
        if receipt is not None:
            asked["receipt"] = receipt
        return await self._ask("request_worker_page", asked, client_timestamp)

    def refuse_busy(self) -> bytes:
        """Return the answer to a page that asks too often: it may try again later."""
        self._counters.drop("rate_limited")
        return self._packets.busy(self._new_id())

    async def submit_onboarding(self, token: str, onboarding_data: Raw, client_timestamp: Timestamp) -> bytes:
        """Record an onboarding's result, and wait for the agent it leads to.

        Returns:
            The packet that answers the page, at the deadline one that asks to try again.

        Raises:
            UnknownAgentError: nothing was recorded, nor with the errors of `Journal.record`.
        """
        request_id = self._new_id()
        data = raw({"onboarding_data": onboarding_data, "request_id": request_id})
        await self.submit("submit_onboarding", token, data, client_timestamp)
        return await self._wait_answer(request_id, None)

    async def submit(self, packet_type: str, token: str, data: Raw, client_timestamp: Timestamp) -> None:
        """Record what a worker made; return when it is durable, and the operator has committed it or is too slow.

        Raises:
            UnknownAgentError: nothing was recorded, nor with the errors of `Journal.record`.
        """
        self.check_known(token)
        packet = self._packets.from_worker(packet_type, token, data, client_timestamp)
        seq = await self._journal.record(packet)
        await self._link.wait_committed(seq, len(packet))

    def status_of(self, token: str) -> str:
        """Return the status of an agent, as the operator gave it.

        Raises:
            UnknownAgentError: no agent has this token.
        """
        self.check_known(token)
        session = self._agents.get(token)
        return FIRST_STATUS if session is None else session.status

    def has_ended(self, token: str) -> bool:
        """Return whether an agent's work ended without a submission, so that one that comes now is late."""
        session = self._agents.get(token)
        return session is not None and session.status in ENDED_STATUSES

    def log_error(self, token: str | None, error_data: Raw, client_timestamp: Timestamp) -> None:
        """Send the operator an error that happened in a page; lost if no operator is attached.

        Args:
            token: None while the page has no agent.
            error_data: what the page says of the error.
            client_timestamp: when, by the page's clock.

        Raises:
            UnknownAgentError: no agent has this token.
        """
        if token is not None:
            self.check_known(token)
        data = raw({"error_data": error_data})
        self._link.report(self._packets.from_worker("log_error", token, data, client_timestamp))

    def report_version(self, version: str | None) -> None:
        """Tell the operator, once, that there are pages built for a version that is not supported."""
        version = version and version[:MAX_VERSION_LENGTH]
        is_news = version not in self._reported_versions and len(self._reported_versions) < MAX_REPORTED_VERSIONS
        if is_news and self._link.is_attached:
            self._reported_versions.add(version)
            report = raw({"what": "version_mismatch", "version": version})
            self._link.report(self._packets.from_router("router_report", report))

    def on_operator_attached(self) -> None:
        """Put the open requests to a new operator, and report versions to it again."""
        self._requests.resume()
        self._reported_versions.clear()
        for packet in self._requests.unanswered:
            self._link.send(packet)

    def check_known(self, token: str) -> None:
        """Refuse a token that no agent has.

        Raises:
            UnknownAgentError: no agent has this token.
        """
        if self._agents.get(token) is None:
            self._counters.drop("unknown_agent")
            raise UnknownAgentError

    async def _ask(self, packet_type: str, fields: dict[str, object], client_timestamp: Timestamp) -> bytes:
        request_id = self._new_id()
        data = raw({**fields, "request_id": request_id})
        packet = self._packets.from_worker(packet_type, request_id, data, client_timestamp)
        # The updates that this page has sent reach the operator first: it finds its own words in the answer.
        # A submission promises nothing until it is answered, so nobody waits here while megabytes are written.
        await self._journal.wait_updates_written()
        if self._link.is_attached:
            self._link.send(packet)
        return await self._wait_answer(request_id, packet)

    async def _wait_answer(self, request_id: str, packet: bytes | None) -> bytes:
        answer = await self._requests.wait(request_id, packet)
        # A worker who was given an agent must be known here after a crash, too.
        await self._journal.wait_agents_written()
        return answer
