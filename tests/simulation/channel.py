"""The way between operator and router: packets take their time, and a connection that is lost takes some with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import msgspec
import trio

from mephisto_es.adapters.architects.memory.router import Json
from mephisto_es.core.abstractions.channel import Channel, OnCatastrophicDisconnect, OnChannelOpen, OnMessage
from mephisto_es.core.packets import Inbound, Outbound, decode_packet, encode_frame

from .faults import Router

LATENCY_SECONDS = (0.0, 0.05)
RECONNECT_SECONDS = (0.1, 5.0)


class _Pipe:
    """One direction of a connection: in order, each a little later."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._news = trio.Event()
        self.is_empty = trio.Event()

    def put(self, frame: str) -> None:
        self._waiting.append(frame)
        self._news.set()
        if self.is_empty.is_set():
            self.is_empty = trio.Event()

    async def get(self, chance: Random) -> str:
        while not self._waiting:
            self._news = trio.Event()
            self.is_empty.set()
            await self._news.wait()
        await trio.sleep(chance.uniform(*LATENCY_SECONDS))
        return self._waiting.popleft()


class Connection:
    """One connection to a router; the router's end is `put` and `lose`."""

    def __init__(self) -> None:
        self.inward = _Pipe()
        self.outward = _Pipe()
        self.scope = trio.CancelScope()
        #: True once the router has answered the operator's greeting.
        self.is_accepted = False

    def put(self, frame: str) -> None:
        self.inward.put(frame)

    def lose(self) -> None:
        self.scope.cancel()


class UnreliableChannel(Channel):
    """A channel whose connection can be cut at any time, and which connects again."""

    def __init__(
        self,
        channel_id: str,
        router: Router,
        chance: Random,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
        check: Callable[[Outbound], None],
    ) -> None:
        super().__init__(channel_id, on_channel_open, on_catastrophic_disconnect, on_message)
        self._router = router
        self._chance = chance
        self._check = check
        self._connection: Connection | None = None
        self._closed = trio.Event()
        self._has_opened = False
        #: True while the process is stopped: it makes no connection.
        self.is_frozen = False
        self._away_seconds: float | None = None

    async def open(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        while not self._closed.is_set():
            if self._router.is_up and not self.is_frozen:
                connection = Connection()
                try:
                    with connection.scope:
                        await self._hold(connection, task_status)
                finally:
                    self._connection = None
                    self._router.detach(connection)
            seconds, self._away_seconds = self._away_seconds, None
            with trio.move_on_after(self._chance.uniform(*RECONNECT_SECONDS) if seconds is None else seconds):
                await self._closed.wait()
        if not self._has_opened:
            task_status.started()  # closed before it was open

    def cut(self, away_seconds: float | None = None) -> None:
        """Lose the connection; what was on its way is gone.

        Args:
            away_seconds: when it connects again; None: by chance.
        """
        if self._connection is not None:
            self._away_seconds = away_seconds
            self._connection.lose()

    def die(self) -> None:
        """The process is gone: nothing that it does from now on reaches the router."""
        if self._connection is not None:
            self._router.detach(self._connection)
            self._connection = None

    def close(self) -> None:
        self._closed.set()

    def is_alive(self) -> bool:
        # Not while it greets a router again, which had no way to report the pages that moved there meanwhile.
        return self._connection is not None and self._connection.is_accepted

    def is_closed(self) -> bool:
        return self._closed.is_set()

    def enqueue_send(self, packet: Outbound) -> bool:
        self._check(packet)
        if self._connection is None or not self._connection.is_accepted:
            return False
        self._connection.outward.put(encode_frame([packet]))
        return True

    async def _hold(self, connection: Connection, task_status: trio.TaskStatus[None]) -> None:
        self._router.attach(connection)
        self._connection = connection
        state = await self._next(connection)
        connection.is_accepted = True
        await self.on_message(self.channel_id, state)
        self.on_channel_open(self.channel_id)
        if not self._has_opened:
            self._has_opened = True
            task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive_all, connection)
            nursery.start_soon(self._send_all, connection)
            await self._closed.wait()
            await connection.outward.is_empty.wait()
            nursery.cancel_scope.cancel()

    async def _next(self, connection: Connection) -> Inbound:
        return decode_packet(await connection.inward.get(self._chance))

    async def _receive_all(self, connection: Connection) -> None:
        while True:
            await self.on_message(self.channel_id, await self._next(connection))

    async def _send_all(self, connection: Connection) -> None:
        while True:
            packet: Json = msgspec.json.decode(await connection.outward.get(self._chance))
            if self._connection is connection:
                self._router.take(packet)
