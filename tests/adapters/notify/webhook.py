"""A program that takes notices over HTTP, and may refuse them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import trio

from mephisto_es.adapters.notify.notice import Notice


class Delivery(NamedTuple):
    """One request that was taken."""

    headers: dict[str, str]
    body: bytes

    @property
    def notice(self) -> Notice:
        return msgspec.json.decode(self.body, type=Notice)


class Webhook:
    """What arrived.

    Attributes:
        url: its address.
        taken: requests that were answered with 200.
        status: chooses the answer to the next request.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.taken: list[Delivery] = []
        self.status: Callable[[], int] = lambda: 200
        self._changed = trio.Event()

    async def wait_for(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    async def answer(self, stream: trio.SocketStream) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some()
        head, _, body = received.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        while len(body) < int(headers["content-length"]):
            body += await stream.receive_some()
        status = self.status()
        if status == 200:
            self.taken.append(Delivery(headers, body))
            self._changed.set()
            self._changed = trio.Event()
        await stream.send_all(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await stream.aclose()


@asynccontextmanager
async def open_webhook() -> AsyncIterator[Webhook]:
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        webhook = Webhook(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/notices")
        nursery.start_soon(trio.serve_listeners, webhook.answer, [listener])
        yield webhook
        nursery.cancel_scope.cancel()
