"""Receives packets from the routers of one run and passes them to the ledger and the worker pool.

Packets from a router's outbox are submitted to the ledger in the order of their arrival and acknowledged once they are
durable. A request for an agent goes to the worker pool, which answers through `AgentPages` in its own time. It
overtakes other workers' packets that take long to check, but nothing that its own worker sent before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec
import trio

from ...events.engagement import RefusalReason
from ...events.ids import TaskRunId
from ..abstractions.channel import Channel
from ..command_issuer import CommandIssuer
from ..commands.agent import UpdateLimits
from ..commands.pending import PendingCommand
from ..errors import CommandRefusedError, ProtocolError, TooManyUpdatesError
from ..ledger import Ledger
from ..lifecycles.onboarding import OnboardingRecord
from ..packet_data import WebhookKey, WorkerPageDetailsData
from ..packets import (
    AckData,
    AgentDetailsData,
    Inbound,
    LiveUpdatePacket,
    OutboxPacket,
    ProviderEventPacket,
    RegisterAgent,
    RequestWorkerPage,
    RouterState,
    SubmitOnboardingPacket,
    provider_data_of,
)
from ..ports import Ids, Outage
from ..signal import Signal
from .agent_pages import AgentPages
from .configuration.task_settings import TaskSettings
from .control.own_page_requests import OwnPageServices, open_worker_page, withdraw_on_page
from .logger_core import get_logger
from .packet_commands import OutboxPackets, PacketCommands, PacketOrder, has_large_body, notice_of_limit
from .router_reports import Report, RouterOutboxes, RouterReports, log_outages
from .run_context import RunContext
from .services.directory import Directory
from .task_code.timings import timings
from .texts.catalogue import ServerText
from .worker_pool import WorkerPool

#: Packets of a channel that may wait for their commit; beyond that the channel is not read.
IN_FLIGHT_LIMIT = 1024
#: Packets acknowledged at once at most, so that a busy router can clear its outbox.
ACK_EVERY = 64
#: Seconds that routers have at the end of a run to hand over their outboxes: long enough for a router that died to
#: come back.
DRAIN_SECONDS = 120.0
#: The same if the run must end immediately.
SHORT_DRAIN_SECONDS = 10.0
#: Requests for an agent that are handled at a time; the others wait.
REGISTRATION_LIMIT = 256
#: Times that one page is told that it may send no more live updates.
MAX_NOTICES = 100
#: Seconds that the other routers have to be reached, once one is.
OTHERS_SECONDS = 20.0

logger = get_logger(__name__)


class _Received(NamedTuple):
    """An outbox packet on its way into the log."""

    #: Position in the outbox it came from. By the time it is durable, its router may have a new outbox.
    place: AckData
    packet: OutboxPackets | ProviderEventPacket
    #: The command it became; None if the packet is unusable.
    pending: PendingCommand | None
    #: Called once the packet is dealt with.
    done: Callable[[], None]


class ClientIOHandler:
    """Incoming side of a run's connection to workers' pages.

    Attributes:
        dropped: packets that could not be used, counted by reason.
    """

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        worker_pool: WorkerPool,
        pages: AgentPages,
        on_channel_lost: Callable[[str], None],
        own_pages: OwnPageServices,
        on_provider_event: Callable[[], None],
    ) -> None:
        """Keep the parts; channels are opened by `launch_channels`.

        Args:
            context: the run.
            ledger: takes the commands.
            ids: source of ids and salts.
            worker_pool: takes requests for agents.
            pages: sends to the pages.
            on_channel_lost: called with the id of a channel that has given up for good.
            own_pages: what workers may do on their own pages.
            on_provider_event: called when the provider's site has reported that something happened there.
        """
        self._ledger = ledger
        self._own_pages = own_pages
        self._run = context.task_run
        self._issuer = CommandIssuer(ledger, ids)
        self._architect = context.architect
        self._texts = context.texts
        self._nursery = context.nursery
        self._worker_pool = worker_pool
        self._pages = pages
        self._on_channel_lost = on_channel_lost
        self._on_provider_event = on_provider_event
        self._reports = RouterReports(context.nursery, pages, worker_pool)
        self._commands = PacketCommands(
            context.task_run,
            ids,
            worker_pool.agents.check_submission if context.blueprint.checks_submissions else None,
            _update_limits(context.settings),
            concurrent=context.task_runner.is_concurrent,
        )
        self._channels: dict[str, Channel] = {}
        self._closed: dict[str, trio.Event] = {}
        self._directory = Directory(ledger, ids)
        self._provider_type = context.provider.PROVIDER_TYPE
        self._orders: dict[str, PacketOrder] = {}
        self._acking: dict[str, trio.MemorySendChannel[_Received]] = {}
        self._outboxes = RouterOutboxes()
        self._registering = trio.CapacityLimiter(REGISTRATION_LIMIT)
        self.dropped: dict[str, int] = {}
        #: How often each page sent more live updates than it may, by the token of its agent.
        self._notices: dict[str, int] = {}

    async def launch_channels(self) -> None:
        """Open the channels to all servers of the run; returns once packets can come.

        Raises:
            ProtocolError: a router refuses the connection.
        """
        channels = self._architect.get_channels(self._pages.sync, self._lose_channel, self._on_message)
        for channel in channels:
            sender, receiver = trio.open_memory_channel[_Received](IN_FLIGHT_LIMIT)
            self._channels[channel.channel_id] = channel
            self._pages.add_channel(channel)
            self._orders[channel.channel_id] = PacketOrder(self._nursery)
            self._acking[channel.channel_id] = sender
            self._nursery.start_soon(self._acknowledge, channel, receiver)
        opened, failed, changed = set[str](), dict[str, ProtocolError](), Signal()

        async def open_channel(channel: Channel) -> None:
            try:
                await self._nursery.start(self._run_channel, channel)
            except ProtocolError as error:
                failed[channel.channel_id] = error
            else:
                opened.add(channel.channel_id)
            changed.notify()

        for channel in channels:
            self._nursery.start_soon(open_channel, channel)
        while len(failed) < len(channels) and not opened:
            await changed.wait()
        with trio.move_on_after(OTHERS_SECONDS):
            while len(opened) + len(failed) < len(channels):
                await changed.wait()
        for channel_id, error in failed.items():
            if not opened:
                raise error
            logger.error("a router refuses us", channel=channel_id, reason=str(error))
            self._lose_channel(channel_id)

    def _lose_channel(self, channel_id: str) -> None:
        """Continue with the routers that are left when one cannot be reached any more."""
        is_left = self._pages.lose_channel(channel_id)
        del self._channels[channel_id]
        self._outboxes.progress.notify()
        if is_left:
            logger.error("a router is lost; the run continues with the others", channel=channel_id)
        else:
            self._on_channel_lost(channel_id)

    async def _run_channel(self, channel: Channel, *, task_status: trio.TaskStatus[None]) -> None:
        closed = self._closed[channel.channel_id] = trio.Event()
        try:
            await channel.open(task_status=task_status)
        finally:
            closed.set()

    def expect_webhooks(self, key: WebhookKey | None) -> None:
        """Have the routers accept requests of the provider's site, if it sends any."""
        if key is not None:
            self._pages.expect_webhooks(key)

    async def drain(self, *, at_once: bool) -> None:
        """Make the routers accept nothing more from workers, and wait until everything they accepted is durable here.

        A worker who was told that the work has arrived must be able to rely on it. Each router also has to confirm that
        its outbox is empty, because one with packets left refuses to be released. A router that stays unreachable keeps
        its outbox.

        Args:
            at_once: wait only briefly for a router that is away.
        """
        seconds = SHORT_DRAIN_SECONDS if at_once else DRAIN_SECONDS
        self._pages.drain()
        log_outages(self.outages(), seconds)
        with trio.move_on_after(seconds) as timeout:
            while not all(map(self._outboxes.is_drained, self._channels)):
                await self._outboxes.progress.wait()
        if timeout.cancelled_caught:
            lacking = [name for name in self._channels if not self._outboxes.is_drained(name)]
            logger.error("a router could not hand over its whole outbox", routers=lacking, limit_seconds=seconds)

    def outages(self) -> tuple[Outage, ...]:
        """Return which routers are out of reach, for how long, and why."""
        found = (channel.outage() for channel in self._channels.values())
        return tuple(outage for outage in found if outage is not None)

    async def shutdown(self, *, is_paused: bool = False) -> None:
        """Close all channels for good, once they have sent what is queued.

        Args:
            is_paused: the run is left and may be resumed; routers keep its pages.
        """
        if is_paused:
            self._pages.pause()
        for channel in self._channels.values():
            channel.close()
        for closed in self._closed.values():
            await closed.wait()

    # Packets --------------------------------------------------------------------------------------------------------

    async def _on_message(self, channel_id: str, packet: Inbound) -> None:
        """Take a packet; returns as soon as its place in the order is settled."""
        done = timings().packet(packet)
        match packet:
            case RegisterAgent():
                if not self._pages.is_open(packet.data.request_id):
                    self._pages.open_request(packet.data.request_id, channel_id)
                    self._nursery.start_soon(self._register_agent, packet, self._orders[channel_id], done)
            case RequestWorkerPage():
                if not self._pages.is_open(packet.data.request_id):
                    self._pages.open_request(packet.data.request_id, channel_id)
                    self._nursery.start_soon(self._show_worker_page, packet, self._orders[channel_id], done)
            case RouterState():
                self._outboxes.note_state(self._channels[channel_id], packet)
                done()
            case _:
                await self._take_in_order(channel_id, packet, done)

    async def _take_in_order(
        self, channel_id: str, packet: OutboxPackets | ProviderEventPacket | Report, done: Callable[[], None]
    ) -> None:
        """Handle a packet after those that arrived before it."""
        order = self._orders[channel_id]
        if isinstance(packet, OutboxPacket):
            place = self._outboxes.place_of(channel_id, packet)
            handle = partial(self._record, channel_id, packet, place, done)
            takes_long = has_large_body(packet)
        else:
            handle = partial(self._report, channel_id, packet, done)
            takes_long = False
        if order.is_idle and not takes_long:
            await handle()
        else:
            agent = self._ledger.state.agent_by_token(self._run, packet.subject_id or "")
            await order.add(handle, None if agent is None else agent.worker)

    async def _record(
        self, channel_id: str, packet: OutboxPackets | ProviderEventPacket, place: AckData, done: Callable[[], None]
    ) -> None:
        pending = None
        if isinstance(packet, ProviderEventPacket):
            # The site itself is asked what has happened: nothing of the packet has to be kept.
            self._on_provider_event()
        else:
            pending = await self._submit(channel_id, packet, place)
        await self._acking[channel_id].send(_Received(place, packet, pending, done))

    async def _report(self, channel_id: str, packet: Report, done: Callable[[], None]) -> None:
        self._reports.handle(channel_id, packet)
        done()

    async def _register_agent(self, packet: RegisterAgent, order: PacketOrder, done: Callable[[], None]) -> None:
        request_id = packet.data.request_id
        async with self._registering:
            try:
                provider_data = provider_data_of(packet)
            except ProtocolError as error:
                self._drop("request without the data of a provider", error)
                reason = self._texts.refusal(RefusalReason.TASK_MISSING)
                self._pages.answer(request_id, AgentDetailsData(request_id=request_id, failure_reason=reason))
                return
            if not order.is_idle:
                worker = self._directory.find_worker(provider_data.worker_name, self._provider_type)
                if worker is not None:
                    await order.wait_handled(worker)
            await self._worker_pool.register_worker(provider_data, request_id)
            done()

    async def _show_worker_page(self, packet: RequestWorkerPage, order: PacketOrder, done: Callable[[], None]) -> None:
        async with self._registering:
            await order.wait_all_handled()
            asked = packet.data
            if asked.withdraw_consent is not None:
                run = TaskRunId(asked.withdraw_consent)
                await withdraw_on_page(self._ledger, asked.worker_page, run, self._own_pages.withdraw_consent)
            opened = await open_worker_page(self._ledger, self._run, asked, self._own_pages.make_receipt)
            page, receipt = (msgspec.Raw(msgspec.json.encode(part)) for part in opened)
            self._pages.answer_worker_page(
                WorkerPageDetailsData(request_id=asked.request_id, page=page, receipt=receipt)
            )
            done()

    async def _submit(self, channel_id: str, packet: OutboxPackets, place: AckData) -> PendingCommand | None:
        """Submit an outbox packet to the ledger.

        Returns:
            The pending command; None if the packet is unusable, and is acknowledged so that its router drops it.
        """
        agent = self._ledger.state.agent_by_token(self._run, packet.subject_id or "")
        if agent is None:
            self._drop("unknown agent", None)
            return None
        make_command = partial(self._commands.command_of, agent, packet)
        # To check and to hash megabytes takes long.
        command = await self._ledger.offload(make_command) if has_large_body(packet) else make_command()
        if command is None:
            self._drop(f"{type(packet).__name__} that is malformed, or does not fit its agent", None)
            return None
        if isinstance(packet, SubmitOnboardingPacket) and isinstance(agent, OnboardingRecord):
            self._pages.open_request(packet.data.request_id, channel_id)
            self._worker_pool.expect_onboarding_answer(agent, packet.data.request_id)
        command_id = f"router/{place.incarnation}/{place.seq}"
        actor = f"worker/{agent.worker}"
        return self._issuer.issue_nowait(command.command, *command.payloads, command_id=command_id, actor=actor)

    async def _acknowledge(self, channel: Channel, received: trio.MemoryReceiveChannel[_Received]) -> None:
        """Acknowledge outbox packets in order, each once it is durable."""
        since = 0
        async for place, packet, pending, done in received:
            if pending is not None:
                try:
                    await pending.wait()
                except TooManyUpdatesError:
                    self._tell_limit(packet)
                except CommandRefusedError as error:
                    self._drop("not legal in the agent's status", error)
            done()
            self._outboxes.note_durable(channel.channel_id, place)
            since += 1
            if since >= ACK_EVERY or received.statistics().current_buffer_used == 0:
                since = 0
                self._outboxes.acknowledge(channel)

    def _tell_limit(self, packet: OutboxPackets | ProviderEventPacket) -> None:
        """Tell a page that it may send no more live updates; after `MAX_NOTICES` it should know."""
        token = packet.subject_id or ""
        number = self._notices[token] = self._notices.get(token, 0) + 1
        self._count("more live updates than a page may send")
        if number == 1:
            logger.warning("a page sends more live updates than it may")
        if isinstance(packet, LiveUpdatePacket) and number <= MAX_NOTICES:
            sentence = self._texts.of_server(ServerText.NO_MORE_MESSAGES)
            self._pages.send_update(token, notice_of_limit(packet, sentence, number))

    def _drop(self, reason: str, error: Exception | None) -> None:
        self._count(reason)
        logger.info("dropped a packet", reason=reason, error=str(error) if error else None)

    def _count(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _update_limits(settings: TaskSettings) -> UpdateLimits:
    return UpdateLimits(
        agent_updates=settings.max_live_updates,
        agent_bytes=settings.max_live_update_bytes,
        run_updates=settings.max_live_updates_in_run,
        run_bytes=settings.max_live_update_bytes_in_run,
    )
