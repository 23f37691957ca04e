"""Provides the operator's channel to a router by WebSocket, which reconnects whenever the connection is lost."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from trio_websocket import ConnectionClosed

from ...core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from ...core.errors import ProtocolError
from ...core.operations.logger_core import get_logger
from ...core.packet_data import AliveData
from ...core.packets import SYSTEM, Alive, Outbound
from ...core.ports import Outage
from .backoff import Backoff
from .connection import RouterConnection
from .dial import ConnectionFailedError, dial

#: The time that a router may be unreachable before the channel gives up.
PATIENCE_SECONDS = 600.0
#: A connection that lasts this long resets the backoff.
STEADY_SECONDS = 30.0
#: The time for queued packets to be sent when the channel is closed.
FLUSH_SECONDS = 3.0
#: The number of characters of a protocol error that a log line quotes.
QUOTE_LENGTH = 200

logger = get_logger(__name__)


class WebsocketChannel(Channel):
    """A channel over `ws://` or `wss://`.

    Attributes:
        undecodable: the number of packets that were skipped because they could not be decoded.
    """

    def __init__(
        self,
        channel_id: str,
        url: str,
        secret: str,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
        *,
        jitter: Callable[[], float],
        patience_seconds: float = PATIENCE_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
        run: str | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        is_backed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Store the parameters; nothing is connected yet.

        Args:
            channel_id: a name that no other channel of the run has.
            url: the router's URL, starting with `ws://` or `wss://`.
            secret: the run's secret, which authenticates the operator.
            on_channel_open: as for every channel.
            on_catastrophic_disconnect: as for every channel.
            on_message: as for every channel.
            jitter: returns numbers from 0 to 1.
            patience_seconds: the time that the router may be unreachable before the channel gives up.
            ssl_context: the trusted authorities for `wss://`; by default the system's.
            run: names the run, for a router that belongs to one run at a time.
            prepare: awaited before each connection; raises `ConnectionFailedError` to be called again later, and
                `ProtocolError` if the router refuses us.
            is_backed: returns whether other routers serve the run meanwhile; then the channel does not give up.
        """
        super().__init__(channel_id, on_channel_open, on_catastrophic_disconnect, on_message)
        self.undecodable = 0
        self._url = url
        self._secret = secret
        self._backoff = Backoff(patience_seconds, jitter)
        self._ssl_context = ssl_context
        self._run = run
        self._prepare = prepare
        self._is_backed = is_backed
        self._connection: RouterConnection | None = None
        self._closed = False
        self._was_open = False
        #: Time at which the connection was lost, or first tried, and the problem since; None while there is one.
        self._away_since: float | None = None
        self._problem = ""
        self._lifetime = trio.CancelScope()
        self._log = logger.bind(channel=channel_id)

    async def open(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and transfer packets until closed; start it with `await nursery.start(channel.open)`.

        Reports started once the router has accepted the operator. A lost connection is reopened with bounded backoff;
        if that fails for too long, the channel calls `on_catastrophic_disconnect` and returns. Cancellation closes the
        connection.

        Raises:
            ProtocolError: the router refuses the operator, or could not be reached the first time.
        """
        with self._lifetime:
            try:
                await self._stay_connected(task_status)
            finally:
                self._closed = True
        if not self._was_open:
            task_status.started()  # closed before it was open

    def close(self) -> None:
        """Close for good, after queued packets are sent; `open` returns soon after. Calling it twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._connection is None:
            self._lifetime.cancel()
        else:
            self._connection.finish()
            self._lifetime.deadline = trio.current_time() + FLUSH_SECONDS

    def is_alive(self) -> bool:
        """Return whether packets can be transferred now."""
        return self._connection is not None and not self._closed

    def outage(self) -> Outage | None:
        """Return how long the router has been out of reach; None if it is not, or is no longer wanted."""
        if self._closed or self._away_since is None:
            return None
        address = f"http{self._url.removeprefix('ws')}".rstrip("/")
        return Outage(address, trio.current_time() - self._away_since, self._problem)

    def is_closed(self) -> bool:
        """Return whether the channel was closed, or has given up, for good."""
        return self._closed

    def enqueue_send(self, packet: Outbound) -> bool:
        """Send a packet as soon as possible, in order; return False if there is no connection or the queue is full."""
        return self._connection is not None and not self._closed and self._connection.enqueue(packet)

    async def _stay_connected(self, task_status: trio.TaskStatus[None]) -> None:
        while True:
            problem = await self._connect(task_status)
            if self._closed:
                return
            self._problem = problem[:QUOTE_LENGTH]
            if self._away_since is None:
                self._away_since = trio.current_time()
            delay = self._backoff.next_delay(trio.current_time())
            if delay is None and self._is_backed():
                self._backoff.restart_patience(trio.current_time())
                delay = self._backoff.next_delay(trio.current_time())
            if delay is None:
                self._give_up(problem)
                return
            self._log.warning("no connection to the router", reason=problem, retry_in_seconds=round(delay, 2))
            await trio.sleep(delay)

    async def _connect(self, task_status: trio.TaskStatus[None]) -> str:
        """Use one connection until it is lost; return the reason."""
        try:
            if self._prepare is not None:
                await self._prepare()
            async with dial(self._url, self._ssl_context) as socket:
                on_packet = partial(self.on_message, self.channel_id)
                connection = RouterConnection(socket, on_packet, self._skip)
                return await self._use(connection, task_status)
        except ConnectionClosed:
            return "the router did not answer the greeting"
        except ConnectionFailedError as error:
            return str(error)
        except ProtocolError as error:
            if self._is_backed():
                return str(error)
            raise

    async def _use(self, connection: RouterConnection, task_status: trio.TaskStatus[None]) -> str:
        state = await connection.greet(Alive(subject_id=SYSTEM, data=AliveData(token=self._secret, run=self._run)))
        since = trio.current_time()
        self._connection, self._away_since = connection, None
        try:
            await self.on_message(self.channel_id, state)
            self.on_channel_open(self.channel_id)
            self._log.info("connected to the router", incarnation=state.data.incarnation)
            if not self._was_open:
                self._was_open = True
                task_status.started()
            return await connection.transfer()
        finally:
            self._connection = None
            if trio.current_time() - since >= STEADY_SECONDS:
                self._backoff.reset()

    def _give_up(self, problem: str) -> None:
        self._closed = True
        if not self._was_open:
            raise ProtocolError(f"the router at {self._url} could not be reached: {problem}")
        self._log.error("giving up on the router", reason=problem)
        self.on_catastrophic_disconnect(self.channel_id)

    def _skip(self, error: ProtocolError) -> None:
        self.undecodable += 1
        self._log.warning("skipped a packet", reason=str(error)[:QUOTE_LENGTH])
