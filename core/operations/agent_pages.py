"""Sends answers, live updates and status changes to workers' pages, through the routers of one run.

A router that connects, or reconnects, is first brought up to date: it gets the status of every agent, and the recent
updates of every page, because nobody knows which packets were lost with the previous connection. Pages ignore updates
that they already have. From then on it gets each change as it becomes durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import count

import msgspec
import trio

from ...events.engagement import RefusalReason
from ...events.ids import TaskRunId
from ..abstractions.channel import Channel
from ..ledger import Ledger
from ..packet_data import AgentsData, PagesData, PausingData, WebhookKey, WorkerPageDetailsData
from ..packets import (
    SYSTEM,
    AgentDetails,
    AgentDetailsData,
    Agents,
    ClientBoundLiveUpdate,
    ConfirmPages,
    Drain,
    ExpectWebhooks,
    Outbound,
    PageAnswer,
    Pausing,
    UpdateStatus,
    UpdateStatusData,
    WorkerPageDetails,
)
from ..signal import Signal
from .page_presence import PageAbsence, PagePresence
from .texts.catalogue import Texts

#: Updates per page that are sent again when a channel opens.
RESEND_LIMIT = 50
#: Seconds in which an open page answers its router.
CONFIRM_SECONDS = 2.0


class AgentPages:
    """Outgoing side of a run's connection to workers' pages."""

    def __init__(
        self,
        task_run: TaskRunId,
        ledger: Ledger,
        texts: Texts,
        *,
        offers_receipts: bool = False,
        on_gone: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep the parts.

        Args:
            task_run: the run.
            ledger: tells the status of each agent.
            texts: what pages show.
            offers_receipts: whether workers can have receipts.
            on_gone: called when a page is gone.
        """
        self._run = task_run
        self._on_gone = on_gone
        self._offers_receipts = offers_receipts
        self._texts = texts
        self._ledger = ledger
        self._channels: dict[str, Channel] = {}
        #: True also once all routers but one are lost: their pages move to that one.
        self._has_several_routers = False
        #: Channels whose routers have been brought up to date.
        self._synced_channels: set[str] = set()
        self._presence = PagePresence()
        #: The last updates sent to each page, by the token of its agent.
        self._sent: dict[str, deque[bytes]] = {}
        #: The channel that each open request of a page came from.
        self._requests: dict[str, str] = {}
        #: Agents of each question whose pages have not been confirmed yet.
        self._unconfirmed: dict[int, set[str]] = {}
        self._questions = count()
        self._confirmed = Signal()
        self._is_draining = False
        self._webhooks: WebhookKey | None = None
        #: Tokens of agents whose pages have gone.
        self._gone: set[str] = set()
        #: Tokens of agents whose pages were told a status beside that of the state, and the status.
        self._told: dict[str, str] = {}

    def add_channel(self, channel: Channel) -> None:
        """Send through one more channel, from its first opening on."""
        self._channels[channel.channel_id] = channel
        self._has_several_routers = len(self._channels) > 1
        self._presence.add_channel(channel.channel_id)

    def lose_channel(self, channel_id: str) -> bool:
        """Send nothing more through a channel that has given up; return whether another one is left.

        The pages of its router move to the others, which get the recent updates of these pages before any later one.
        """
        moving = [token for token in self._sent if channel_id in self._presence.places(token)]
        self._presence.lose_channel(channel_id)
        self._synced_channels.discard(channel_id)
        self._channels.pop(channel_id, None)
        for other in sorted(self._synced_channels):
            for token in moving:
                self._send_recent(token, self._channels[other])
        return bool(self._channels)

    def sync(self, channel_id: str) -> None:
        """Bring the router behind a channel that has just opened up to date, once the current state is durable."""
        self._synced_channels.discard(channel_id)
        self._presence.restart(channel_id)
        self._ledger.call_when_durable(partial(self._send_current_state, channel_id))

    def drain(self) -> None:
        """Tell all routers, also those that connect later, to accept nothing more from workers."""
        self._is_draining = True
        self._send_to_all(Drain(subject_id=SYSTEM))

    def expect_webhooks(self, key: WebhookKey) -> None:
        """Tell all routers, also those that connect later, how they recognize requests of the provider's site."""
        self._webhooks = key
        self._send_to_all(ExpectWebhooks(subject_id=SYSTEM, data=key))

    def pause(self) -> None:
        """Tell all routers that the operator leaves in order: they keep the pages of everybody at work."""
        reason = self._texts.refusal(RefusalReason.PAUSED)
        self._send_to_all(Pausing(subject_id=SYSTEM, data=PausingData(reason)))

    async def absent(self, tokens: Collection[str]) -> set[str]:
        """Ask the routers whether pages are open, and return those that have not answered after a short time.

        Args:
            tokens: tokens of their agents.
        """
        missing = set(tokens)
        if not missing:
            return missing
        question = next(self._questions)
        self._unconfirmed[question] = missing
        try:
            self._send_to_all(ConfirmPages(subject_id=SYSTEM, data=PagesData(sorted(missing))))
            with trio.move_on_after(CONFIRM_SECONDS):
                while missing:
                    await self._confirmed.wait()
        finally:
            del self._unconfirmed[question]
        return missing

    def confirm(self, tokens: Collection[str]) -> None:
        """Note that pages are open, according to a router."""
        for missing in self._unconfirmed.values():
            missing.difference_update(tokens)
        self._confirmed.notify()

    # Presence -------------------------------------------------------------------------------------------------------

    def list_pages(self, channel_id: str, tokens: Collection[str]) -> None:
        """Note all pages that a router watches; the recent updates of those that have moved there follow them."""
        moved = [token for token in tokens if (places := self._presence.places(token)) and channel_id not in places]
        self._presence.list_pages(channel_id, tokens)
        # A router that has yet to be brought up to date gets them with the current state.
        if channel_id in self._synced_channels:
            for token in moved:
                self._send_recent(token, self._channels[channel_id])

    def see(self, token: str, channel_id: str) -> None:
        """Note that a page has shown itself at a router; if it has moved there, its recent updates follow it."""
        self._gone.discard(token)
        if self._presence.see(token, channel_id) and channel_id in self._synced_channels and self._has_several_routers:
            self._send_recent(token, self._channels[channel_id])

    def miss(self, token: str, channel_id: str) -> PageAbsence:
        """Note that a router misses a page; return what that means."""
        away = [other for other, channel in self._channels.items() if not channel.is_alive()]
        absence = self._presence.miss(token, channel_id, away)
        if absence is PageAbsence.GONE:
            self._note_gone(token)
        return absence

    def is_unclear(self, token: str) -> bool:
        """Return whether a page is missed that has not shown itself since."""
        return self._presence.is_unclear(token)

    def settle(self, token: str) -> bool:
        """Return whether a page is gone of which that was unclear."""
        is_gone = self._presence.settle(token)
        if is_gone:
            self._note_gone(token)
        return is_gone

    def is_gone(self, token: str) -> bool:
        """Return whether an agent's page has gone; of a page that never opened a socket nobody knows."""
        return token in self._gone

    def _note_gone(self, token: str) -> None:
        self._gone.add(token)
        self._on_gone()

    # Requests of pages ----------------------------------------------------------------------------------------------

    def is_open(self, request_id: str) -> bool:
        """Return whether a page's request still waits for its answer."""
        return request_id in self._requests

    def open_request(self, request_id: str, channel_id: str) -> None:
        """Note which channel a request came from, for its answer."""
        self._requests[request_id] = channel_id

    def answer(self, request_id: str, details: AgentDetailsData) -> None:
        """Answer a page's request for an agent, through the channel that the request came from."""
        if details.agent_id is not None and request_id in self._requests:
            self._presence.answer(details.agent_id, self._requests[request_id])
        if self._offers_receipts and details.agent_id is not None:
            details = msgspec.structs.replace(details, offers_receipts=True)
        self._answer(request_id, AgentDetails(subject_id=request_id, data=details))

    def answer_worker_page(self, details: WorkerPageDetailsData) -> None:
        """Answer a request for a worker's own page, through the channel that the request came from."""
        self._answer(details.request_id, WorkerPageDetails(subject_id=details.request_id, data=details))

    def _answer(self, request_id: str, packet: PageAnswer) -> None:
        channel = self._channels.get(self._requests.pop(request_id, ""))
        if channel is None:
            # An earlier process took the request; the router that holds it recognizes its id.
            self._send_to_all(packet)
        else:
            channel.enqueue_send(packet)

    # Pages ----------------------------------------------------------------------------------------------------------

    def add(self, token: str, sent: Iterable[bytes] = ()) -> None:
        """Keep the recent updates of an agent's page, to send them again when a channel opens.

        Args:
            token: the agent's token.
            sent: updates that an earlier process sent.
        """
        self._sent[token] = deque(sent, maxlen=RESEND_LIMIT)

    def drop(self, token: str) -> None:
        """Stop keeping the updates of an agent's page."""
        self._sent.pop(token, None)
        self._told.pop(token, None)
        self._presence.drop(token)

    def tell(self, token: str, status: str) -> None:
        """Send an agent's page a status that its lifecycle does not have, until `send_status` is called again."""
        self.send_status(token, status)
        self._told[token] = status

    def send_update(self, token: str, update: bytes) -> None:
        """Send a live update to an agent's page."""
        if token in self._sent:
            self._sent[token].append(update)
        # Only to the routers that have the page, if any is known to: the others would keep it in vain.
        places = self._presence.places(token) & self._synced_channels or self._synced_channels
        self._send_to(places, ClientBoundLiveUpdate(subject_id=token, data=msgspec.Raw(update)))

    def send_status(self, token: str, status: str) -> None:
        """Send an agent's new status to its page."""
        self._told.pop(token, None)
        self._send_to(self._synced_channels, UpdateStatus(subject_id=token, data=UpdateStatusData(status)))

    # ----------------------------------------------------------------------------------------------------------------

    def _send_to(self, channels: set[str], packet: ClientBoundLiveUpdate | UpdateStatus) -> None:
        for channel_id, channel in self._channels.items():
            # A router that is not up to date yet gets this with the current state, in the right order.
            if channel_id in channels:
                channel.enqueue_send(packet)

    def _send_recent(self, token: str, channel: Channel) -> None:
        for update in self._sent.get(token, ()):
            channel.enqueue_send(ClientBoundLiveUpdate(subject_id=token, data=msgspec.Raw(update)))

    def _send_to_all(self, packet: Outbound) -> None:
        # Only the router that holds the page's socket passes the packet on.
        for channel in self._channels.values():
            channel.enqueue_send(packet)

    def _send_current_state(self, channel_id: str) -> None:
        channel = self._channels[channel_id]
        channel.enqueue_send(Agents(subject_id=SYSTEM, data=AgentsData(self._statuses_by_token())))
        for token in self._sent:
            if not (places := self._presence.places(token)) or channel_id in places:
                self._send_recent(token, channel)
        self._synced_channels.add(channel_id)
        if self._webhooks is not None:
            channel.enqueue_send(ExpectWebhooks(subject_id=SYSTEM, data=self._webhooks))
        if self._is_draining:
            channel.enqueue_send(Drain(subject_id=SYSTEM))

    def _statuses_by_token(self) -> dict[str, str]:
        """Return the status of each agent that a router has to know."""
        state = self._ledger.state
        agents = (state.agent_by_token(self._run, token) for token in state.tokens_of(self._run))
        return {agent.token: agent.status.value for agent in agents if agent is not None} | self._told
