"""Workers with live pages who do nothing: their sockets, and their heartbeats.

Usage: watchers.py URL. Brings the workers it is told to bring, lets their pages beat, and answers what they heard.
"""

from __future__ import annotations

import base64
import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import msgspec
import trio

from mephisto_es.tests.benchmarks import visitors
from mephisto_es.tests.benchmarks.processes import answer, standard_input

PROGRAM = Path(__file__)
#: As the published client has it.
HEARTBEAT_SECONDS = 6.0
_WARMING_UP_SECONDS = 2 * HEARTBEAT_SECONDS
_AT_A_TIME = 32
_TEXT = 0x81
_LONG, _LONGER = 126, 127


class IdleRequest(msgspec.Struct):
    """Workers who come, and how long their pages beat once all are there."""

    workers: int
    seconds: float


class IdleReply(msgspec.Struct):
    """The measurements of the pages."""

    #: Until each heartbeat was answered.
    answer_seconds: list[float] = []
    unanswered: int = 0
    lost_sockets: int = 0


class Page:
    """The socket of a page, as far as beating takes it. Its masks are zeros, as nobody has to be fooled."""

    def __init__(self, stream: trio.SocketStream, agent: str) -> None:
        self._stream = stream
        self._agent = agent
        self._sent_at: float | None = None
        self._rest = b""

    @classmethod
    async def open(cls, url: str, agent: str) -> Page:
        """Open the socket of an agent's page, and say that it is there."""
        parts = urlsplit(url)
        stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or 80)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        await stream.send_all(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        page = cls(stream, agent)
        while b"\r\n\r\n" not in page._rest:
            page._rest += await stream.receive_some()
        _, _, page._rest = page._rest.partition(b"\r\n\r\n")
        await page._say("alive", {"update_id": f"{agent}-alive"})
        return page

    async def beat(self, first_after: float, reply: IdleReply) -> None:
        """Beat until cancelled, in a rhythm that no delay shifts: else a pause would set all pages to one beat."""
        due = trio.current_time() + first_after
        while True:
            await trio.sleep_until(due)
            due += HEARTBEAT_SECONDS
            reply.unanswered += self._sent_at is not None
            self._sent_at = time.perf_counter()
            await self._say("heartbeat", None)

    async def listen(self, reply: IdleReply) -> None:
        """Note when heartbeats are answered; returns when the socket is lost."""
        async for some in self._stream:
            self._rest += some
            for text in self._texts():
                if b'"heartbeat"' in text and self._sent_at is not None:
                    reply.answer_seconds.append(time.perf_counter() - self._sent_at)
                    self._sent_at = None
        reply.lost_sockets += 1

    async def _say(self, packet_type: str, data: object) -> None:
        packet: dict[str, object] = {"packet_type": packet_type, "subject_id": self._agent}
        packet |= {"client_timestamp": time.time()} | ({} if data is None else {"data": data})
        text = msgspec.json.encode(packet)
        head = bytes([_TEXT, 0x80 | min(len(text), _LONG)])
        head += len(text).to_bytes(2, "big") if len(text) >= _LONG else b""
        await self._stream.send_all(head + bytes(4) + text)

    def _texts(self) -> Iterator[bytes]:
        """Return the frames that have arrived completely."""
        while len(self._rest) >= 2:
            length, start = self._rest[1], 2
            if length in (_LONG, _LONGER):
                start = 4 if length == _LONG else 10
                length = int.from_bytes(self._rest[2:start], "big")
            if len(self._rest) < start + length:
                return
            yield self._rest[start : start + length]
            self._rest = self._rest[start + length :]


async def _bring(url: str, count: int) -> list[Page]:
    pages: list[Page] = []
    numbers = iter(range(count))

    async def bring() -> None:
        browser = visitors.Browser(url)
        for number in numbers:
            agent = await visitors.ask_for_agent(browser, f"watcher-{number}", visitors.VisitsReply())
            pages.append(await Page.open(url, agent))
        await browser.close()

    async with trio.open_nursery() as nursery:
        for _ in range(_AT_A_TIME):
            nursery.start_soon(bring)
    return pages


async def _serve(url: str) -> None:
    async for line in standard_input():
        request = msgspec.json.decode(line, type=IdleRequest)
        chance = Random(0)
        reply = IdleReply()
        async with trio.open_nursery() as nursery:
            pages = await _bring(url, request.workers)
            for page in pages:
                nursery.start_soon(page.listen, reply)
                nursery.start_soon(page.beat, chance.uniform(0, HEARTBEAT_SECONDS), reply)
            await trio.sleep(_WARMING_UP_SECONDS)
            # A pause here would be taken for one of the router.
            gc.disable()
            answer(reply)  # all are there and beating: from here on it is measured
            reply.answer_seconds.clear()
            await trio.sleep(request.seconds)
            answer(reply)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1])
