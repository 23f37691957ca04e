"""A router to talk to, played by the test, and the owner of a channel."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from mephisto_es.adapters.channels.websocket import WebsocketChannel
from mephisto_es.core.packets import Inbound

SECRET = "the secret of this run"
STATE = '{"packet_type":"router_state","subject_id":"mephisto","data":{"incarnation":"i","next_seq":1}}'


@dataclass
class ScriptedRouter:
    """Accepts operators; what arrives from all of them comes in order through `received`."""

    port: int = 0
    #: What it says to a good greeting.
    state: str = STATE
    arrived: trio.MemoryReceiveChannel[dict[str, object]] = field(init=False)
    #: One socket for each greeting, the last at the end.
    sockets: list[WebSocketConnection] = field(default_factory=list)
    #: Numbers of packets in each frame that came after a greeting.
    frame_sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arriving, self.arrived = trio.open_memory_channel[dict[str, object]](10_000)

    async def talk(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        try:
            greeting = msgspec.json.decode(await socket.get_message())
            if greeting["packet_type"] != "alive" or greeting["data"]["token"] != SECRET:
                await socket.aclose(1008)
                return
            self.sockets.append(socket)
            await socket.send_message(self.state)
            while True:
                frame = msgspec.json.decode(await socket.get_message())
                packets = frame if isinstance(frame, list) else [frame]
                self.frame_sizes.append(len(packets))
                for packet in packets:
                    await self._arriving.send(packet)
        except ConnectionClosed:
            pass

    async def drop(self) -> None:
        """Close the present operator's connection."""
        await self.sockets[-1].aclose(1001)


@dataclass
class ChannelEvents:
    """The callbacks that a channel made."""

    opened: int = 0
    given_up: list[str] = field(default_factory=list)
    packets: trio.MemoryReceiveChannel[Inbound] = field(init=False)
    #: Called on each opening.
    when_open: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._packets, self.packets = trio.open_memory_channel[Inbound](10_000)

    def on_channel_open(self, channel_id: str) -> None:
        self.opened += 1
        self.when_open()

    async def on_message(self, channel_id: str, packet: Inbound) -> None:
        await self._packets.send(packet)

    def channel(
        self,
        port: int,
        *,
        secret: str = SECRET,
        scheme: str = "ws",
        patience_seconds: float = 600,
        ssl_context: ssl.SSLContext | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        is_backed: Callable[[], bool] = lambda: False,
    ) -> WebsocketChannel:
        return WebsocketChannel(
            "channel-1",
            f"{scheme}://127.0.0.1:{port}/",
            secret,
            self.on_channel_open,
            self.given_up.append,
            self.on_message,
            jitter=lambda: 1.0,
            patience_seconds=patience_seconds,
            ssl_context=ssl_context,
            prepare=prepare,
            is_backed=is_backed,
        )


@asynccontextmanager
async def serving(router: ScriptedRouter, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedRouter]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, router.talk, "127.0.0.1", 0, ssl_context)
        router.port = server.port
        yield router
        nursery.cancel_scope.cancel()
