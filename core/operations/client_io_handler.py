"""The bridge between routers and task code: packets in, packets out, nothing decided.

What a router keeps in its outbox is posted to the ledger in the order in which it came, and acknowledged once it is
durable. A request for an agent is handed to the worker pool, which answers in its own time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, assert_never

import msgspec
import trio
from msgspec.structs import replace

from ..abstractions.channel import Channel
from ..errors import CommandRefusedError, ProtocolError
from ..ledger import Ledger, PendingCommand
from ..lifecycles.onboarding import OnboardingState
from ..packets import (
    SYSTEM,
    Ack,
    AckData,
    AgentDetails,
    AgentDetailsData,
    Agents,
    AgentsData,
    ClientBoundLiveUpdate,
    Drain,
    Inbound,
    LiveUpdate,
    LogErrorPacket,
    Outbound,
    RegisterAgent,
    ReturnStatuses,
    ReturnUnit,
    RouterReport,
    RouterState,
    SubmitMetadata,
    SubmitOnboarding,
    SubmitUnit,
    UpdateStatus,
    UpdateStatusData,
    provider_data_of,
)
from ..ports import Ids
from .logger_core import get_logger
from .packet_commands import OutboxPackets, PacketCommands
from .run.live_task_run import LiveTaskRun, WorkerFailureReasons
from .task_code.timings import timings

#: Packets of a channel that may wait for their commit; beyond that the channel is not read.
IN_FLIGHT_LIMIT = 1024
#: Packets that are acknowledged in one go at most, so that a busy router can clear its outbox.
ACK_EVERY = 64
#: Seconds that routers have at the end of a run to hand over what they have taken from workers: long enough for one
#: that died to come back.
DRAIN_SECONDS = 120.0
#: The same where a run is to end at once.
SHORT_DRAIN_SECONDS = 10.0
#: Requests for an agent that are seen to at a time; the others wait.
REGISTRATION_LIMIT = 256
#: Updates of a page that are sent again when a channel opens.
SENT_AGAIN_LIMIT = 50
#: What a page says of its error is quoted up to here.
QUOTE_BYTES = 2000

logger = get_logger(__name__)


class _Posted(NamedTuple):
    """An outbox packet on its way into the log."""

    #: Its place in the outbox that it came in: its router may have another one by now, which counts from the start.
    place: AckData
    #: None: it is of no use.
    pending: PendingCommand | None
    #: To be called when it is done with.
    done: Callable[[], None]


class ClientIOHandler:
    """Connects the routers of one run with its worker pool and the ledger.

    Attributes:
        dropped: packets that could not be used, by reason.
    """

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._run: LiveTaskRun | None = None
        self._commands: PacketCommands  # with the run
        self._channels: dict[str, Channel] = {}
        self._closed: dict[str, trio.Event] = {}
        self._incarnations: dict[str, str] = {}
        self._acking: dict[str, trio.MemorySendChannel[_Posted]] = {}
        #: Up to where each channel's outbox is durable here, and up to where it will be once its router is closed.
        self._durable: dict[str, AckData] = {}
        self._last: dict[str, AckData] = {}
        #: The channels whose routers know how things stand.
        self._synced_channels: set[str] = set()
        #: The last updates that the page of each agent at work was sent.
        self._sent: dict[str, deque[bytes]] = {}
        self._is_draining = False
        self._progress = trio.Event()
        #: The channel that each open request came from.
        self._requests: dict[str, str] = {}
        self._registering = trio.CapacityLimiter(REGISTRATION_LIMIT)
        self._broken: Callable[[str], None] = lambda _: None
        self.dropped: dict[str, int] = {}

    def register_run(self, live_run: LiveTaskRun) -> None:
        """Take the run whose packets these are."""
        self._run = live_run
        self._commands = PacketCommands(live_run.task_run, self._ids, concurrent=live_run.task_runner.is_concurrent)

    def get_live_run(self) -> LiveTaskRun:
        """The run whose packets these are."""
        if self._run is None:
            raise LookupError("no run is registered with this ClientIOHandler")
        return self._run

    async def launch_channels(self, on_catastrophic_disconnect: Callable[[str], None]) -> None:
        """Open the channels to all servers of the run; returns when packets can come.

        Args:
            on_catastrophic_disconnect: told the id of a channel that has given up for good.

        Raises:
            ProtocolError: a router refuses us.
        """
        live_run = self.get_live_run()
        self._broken = on_catastrophic_disconnect
        for channel in live_run.architect.get_channels(self._on_channel_open, self._on_broken, self._on_message):
            sender, receiver = trio.open_memory_channel[_Posted](IN_FLIGHT_LIMIT)
            self._channels[channel.channel_id] = channel
            self._acking[channel.channel_id] = sender
            live_run.nursery.start_soon(self._acknowledge, channel, receiver)
            await live_run.nursery.start(self._run_channel, channel)

    async def _run_channel(self, channel: Channel, *, task_status: trio.TaskStatus[None]) -> None:
        closed = self._closed[channel.channel_id] = trio.Event()
        try:
            await channel.open(task_status=task_status)
        finally:
            closed.set()

    async def drain(self, *, at_once: bool) -> None:
        """Have the routers take nothing more from workers, and wait until all they took is durable here.

        A worker who was told that the work has arrived must be right. A router that cannot be reached for so long
        keeps what it has.

        Args:
            at_once: whether a router that is away is not waited for.
        """
        seconds = SHORT_DRAIN_SECONDS if at_once else DRAIN_SECONDS
        self._is_draining = True
        self._send_to_all(Drain(subject_id=SYSTEM))
        with trio.move_on_after(seconds) as patience:
            while any(channel not in self._last or self._owes(channel) for channel in self._channels):
                await self._progress.wait()
        if patience.cancelled_caught:
            logger.error("a router could not hand over all it has", limit_seconds=seconds)

    def _owes(self, channel_id: str) -> bool:
        last, durable = self._last[channel_id], self._durable.get(channel_id)
        if durable is None or durable.incarnation != last.incarnation:
            return last.seq > 0
        return last.seq > durable.seq

    def _progressed(self) -> None:
        self._progress.set()
        self._progress = trio.Event()

    async def shutdown(self) -> None:
        """Close all channels for good, once they have sent what they were given."""
        for channel in self._channels.values():
            channel.close()
        for closed in self._closed.values():
            await closed.wait()

    # Out ------------------------------------------------------------------------------------------------------------

    def enqueue_agent_details(self, request_id: str, details: AgentDetailsData) -> None:
        """Answer a page that asked for an agent, over the channel that its request came from."""
        packet = AgentDetails(subject_id=request_id, data=details)
        channel = self._channels.get(self._requests.pop(request_id, ""))
        if channel is None:
            # An earlier process took the request; the router that has it knows.
            self._send_to_all(packet)
        else:
            channel.enqueue_send(packet)

    def add_page(self, token: str, sent: Iterable[bytes] = ()) -> None:
        """Keep what an agent's page is sent, for the next time that a channel opens.

        Nobody knows what was on its way when a channel was lost, or a process died. A page drops what it has.

        Args:
            token: the agent's.
            sent: what an earlier process has sent.
        """
        self._sent[token] = deque(sent, maxlen=SENT_AGAIN_LIMIT)

    def drop_page(self, token: str) -> None:
        """Nothing is sent again to the page of an agent that is done."""
        self._sent.pop(token, None)

    def send_live_update(self, token: str, update: bytes) -> None:
        """Send a live update to an agent's page."""
        if token in self._sent:
            self._sent[token].append(update)
        self._send_to_page(ClientBoundLiveUpdate(subject_id=token, data=msgspec.Raw(update)))

    def send_status_update(self, token: str, status: str) -> None:
        """Tell an agent's page of its new status."""
        self._send_to_page(UpdateStatus(subject_id=token, data=UpdateStatusData(status)))

    def _send_to_page(self, packet: ClientBoundLiveUpdate | UpdateStatus) -> None:
        for channel_id, channel in self._channels.items():
            # Whoever is still to be told how things stand learns of this then, and in its order.
            if channel_id in self._synced_channels:
                channel.enqueue_send(packet)

    def _send_to_all(self, packet: Outbound) -> None:
        # Only the router that has the page's socket passes it on.
        for channel in self._channels.values():
            channel.enqueue_send(packet)

    # In -------------------------------------------------------------------------------------------------------------

    def _on_channel_open(self, channel_id: str) -> None:
        self._synced_channels.discard(channel_id)
        self._ledger.call_when_durable(partial(self._send_current_state, channel_id))

    def _send_current_state(self, channel_id: str) -> None:
        pool, channel = self.get_live_run().worker_pool, self._channels[channel_id]
        channel.enqueue_send(Agents(subject_id=SYSTEM, data=AgentsData(pool.statuses_by_token())))
        for token, updates in self._sent.items():
            for update in updates:
                channel.enqueue_send(ClientBoundLiveUpdate(subject_id=token, data=msgspec.Raw(update)))
        self._synced_channels.add(channel_id)
        if self._is_draining:
            channel.enqueue_send(Drain(subject_id=SYSTEM))

    def _on_broken(self, channel_id: str) -> None:
        self._broken(channel_id)

    async def _on_message(self, channel_id: str, packet: Inbound) -> None:
        """Take a packet; returns as soon as its place in the order is certain."""
        done = timings().packet(packet)
        match packet:
            case SubmitUnit() | SubmitOnboarding() | SubmitMetadata() | LiveUpdate() | ReturnUnit():
                place = AckData(self._incarnations[channel_id], packet.seq)
                await self._acking[channel_id].send(_Posted(place, self._post(channel_id, packet, place), done))
            case RegisterAgent():
                if packet.data.request_id not in self._requests:
                    self._requests[packet.data.request_id] = channel_id
                    self.get_live_run().nursery.start_soon(self._register_agent, packet, done)
            case _:
                self._note(channel_id, packet)
                done()

    def _note(self, channel_id: str, packet: RouterState | ReturnStatuses | LogErrorPacket | RouterReport) -> None:
        """Take note of what a router says of itself, of pages, and of what it sees of agents."""
        match packet:
            case RouterState():
                self._incarnations[channel_id] = packet.data.incarnation
                self._last.pop(channel_id, None)
                if packet.data.closed:
                    last = 0 if packet.data.first_unacked is None else packet.data.next_seq - 1
                    self._last[channel_id] = AckData(packet.data.incarnation, last)
                    self._progressed()
            case ReturnStatuses():
                self.get_live_run().worker_pool.handle_updated_agent_status(packet.data)
            case LogErrorPacket():
                error = bytes(packet.data)[:QUOTE_BYTES].decode(errors="replace")
                logger.warning("a worker's page broke", error=error)
            case RouterReport():
                logger.warning("the router reports", **{f"report_{key}": value for key, value in packet.data.items()})
            case _:
                assert_never(packet)

    async def _register_agent(self, packet: RegisterAgent, done: Callable[[], None]) -> None:
        request_id = packet.data.request_id
        async with self._registering:
            try:
                provider_data = provider_data_of(packet)
            except ProtocolError as error:
                self._drop("request without the data of a provider", error)
                reason = WorkerFailureReasons.TASK_MISSING.value
                self.enqueue_agent_details(request_id, AgentDetailsData(request_id=request_id, failure_reason=reason))
                return
            await self.get_live_run().worker_pool.register_worker(provider_data, request_id)
            done()

    def _post(self, channel_id: str, packet: OutboxPackets, place: AckData) -> PendingCommand | None:
        """Hand an outbox packet to the ledger; None: it is of no use, and is acknowledged so that it goes away."""
        agent = self._ledger.state.agent_by_token(packet.subject_id or "")
        if agent is None:
            self._drop("unknown agent", None)
            return None
        command = self._commands.command_of(agent, packet)
        if command is None:
            self._drop(f"{type(packet).__name__} that is not one, or of an agent it is not for", None)
            return None
        if isinstance(packet, SubmitOnboarding) and isinstance(agent, OnboardingState):
            self._requests[packet.data.request_id] = channel_id
            self.get_live_run().worker_pool.expect_onboarding_answer(agent, packet.data.request_id)
        command_id = f"router/{place.incarnation}/{place.seq}"
        return self._ledger.submit(replace(command, id=command_id, actor=f"worker/{agent.worker}", idempotent=True))

    async def _acknowledge(self, channel: Channel, posted: trio.MemoryReceiveChannel[_Posted]) -> None:
        """Acknowledge outbox packets in their order, each once it is durable."""
        since = 0
        async for place, pending, done in posted:
            if pending is not None:
                try:
                    await pending.wait()
                except CommandRefusedError as error:
                    self._drop("not legal in the agent's status", error)
            done()
            self._durable[channel.channel_id] = place
            self._progressed()
            since += 1
            if since >= ACK_EVERY or posted.statistics().current_buffer_used == 0:
                since = 0
                channel.enqueue_send(Ack(subject_id=SYSTEM, data=place))

    def _drop(self, reason: str, error: Exception | None) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        logger.info("dropped a packet", reason=reason, error=str(error) if error else None)
