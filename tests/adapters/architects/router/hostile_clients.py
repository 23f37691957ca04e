"""Hostile clients of a router, of more than twenty kinds, each of which goes on until it is cancelled.

They come from addresses of their own, as a web server in front of the router reports them; limits by address do not
apply to clients on this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random

import msgspec
import trio

from .harness import HANDSHAKE

#: Seconds between two steps of a client that is slow on purpose.
SLOW_SECONDS = 0.05
#: Turns that were missed for so long are made up for.
CATCH_UP_SECONDS = 0.1
MIB = 2**20
#: Sockets or connections that one client holds open.
HELD = 30
#: Names of what is counted besides the kinds. Nearly every request has a connection of its own.
CONNECTIONS, PACKETS = "connections", "packets"

Attack = Callable[["HostileClient"], Awaitable[None]]


class Pace:
    """Limits how many connections and packets all clients together begin in a second.

    Args:
        per_second: how many; infinite for as many as they can.
    """

    def __init__(self, per_second: float) -> None:
        self._seconds = 1 / per_second
        self._next = trio.current_time()

    async def wait(self) -> None:
        """Wait for a turn; clients have theirs in the order in which they asked."""
        turn = max(self._next, trio.current_time() - CATCH_UP_SECONDS)
        self._next = turn + self._seconds
        await trio.sleep_until(turn)


class HostileClient:
    """One hostile client.

    Attributes:
        counts: what all clients did: attacks of each kind, connections and packets.
    """

    def __init__(self, port: int, number: int, token: str, counts: Counter[str], pace: Pace) -> None:
        self._port = port
        self._number = number
        self._pace = pace
        self._random = Random(number)
        self._streams: list[trio.SocketStream] = []
        #: The token of an agent of its own.
        self.token = token
        self.counts = counts

    async def attack(self, kind: str) -> None:
        """Attack again and again. Never returns by itself."""
        while True:
            try:
                with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await ATTACKS[kind](self)
            finally:
                for stream in self._streams:
                    stream.socket.close()
                self._streams.clear()
            self.counts[kind] += 1
            await trio.sleep(SLOW_SECONDS)

    async def connect(self) -> trio.SocketStream:
        """Open a connection."""
        await self._pace.wait()
        stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        self.counts[CONNECTIONS] += 1
        self._streams.append(stream)
        return stream

    @property
    def head(self) -> bytes:
        """The headers of each request; the address is one of a few hundred."""
        return b"Host: x\r\nX-Forwarded-For: 198.51.%d.%d\r\n" % (self._number % 256, self._random.randrange(256))

    async def request(self, line: bytes, body: bytes = b"", headers: bytes = b"", wait: float = 5.0) -> bytes:
        """Send one request and return what comes back."""
        async with await self.connect() as stream:
            await stream.send_all(
                line + b" HTTP/1.1\r\nConnection: close\r\n" + self.head + headers
                + b"Content-Length: %d\r\n\r\n" % len(body) + body
            )  # fmt: skip
            answer = b""
            with trio.move_on_after(wait):
                async for chunk in stream:
                    answer += chunk
            return answer

    async def post(self, path: bytes, body: object, wait: float = 5.0) -> bytes:
        """Post JSON, or bytes as they are."""
        text = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.request(b"POST " + path, text, b"Content-Type: application/json\r\n", wait)

    async def open_socket(self) -> trio.SocketStream:
        """Open a WebSocket."""
        stream = await self.connect()
        await stream.send_all(HANDSHAKE.replace(b"Host: x\r\n", self.head))
        await stream.receive_some()
        return stream

    async def say(self, stream: trio.SocketStream, packet: Mapping[str, object]) -> None:
        """Send a packet on a WebSocket."""
        await self._pace.wait()
        await stream.send_all(frame(msgspec.json.encode(packet)))
        self.counts[PACKETS] += 1


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """Return a masked WebSocket frame; the mask is zero."""
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, 0x80 | length])
    elif length < 2**16:
        head = bytes([0x80 | opcode, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


async def slow_head(client: HostileClient) -> None:
    async with await client.connect() as stream:
        for number in range(10_000):
            await stream.send_all(b"GET / HTTP/1.1\r\n" if number == 0 else b"a: b\r\n")
            await trio.sleep(SLOW_SECONDS)


async def endless_head(client: HostileClient) -> None:
    async with await client.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        for number in range(10_000):
            await stream.send_all(b"x-%d: %b\r\n" % (number, b"y" * 1000))


async def endless_url(client: HostileClient) -> None:
    async with await client.connect() as stream:
        await stream.send_all(b"GET /")
        for _ in range(10_000):
            await stream.send_all(b"x" * 1000)


async def unfinished_body(client: HostileClient) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(HELD):
            nursery.start_soon(_unfinished_body, client)


async def _unfinished_body(client: HostileClient) -> None:
    with suppress(OSError, trio.BrokenResourceError):
        async with await client.connect() as stream:
            await stream.send_all(
                b"POST /submit_task HTTP/1.1\r\n" + client.head + b"Content-Length: %d\r\n\r\n" % (9 * MIB)
            )
            for _ in range(9):
                await stream.send_all(b" " * (MIB - 1))
            await trio.sleep(5)


async def slow_body(client: HostileClient) -> None:
    async with await client.connect() as stream:
        await stream.send_all(b"POST /submit_task HTTP/1.1\r\n" + client.head + b"Content-Length: 100000\r\n\r\n")
        while True:
            await stream.send_all(b"{")
            await trio.sleep(SLOW_SECONDS)


async def announced_too_large(client: HostileClient) -> None:
    await client.request(b"POST /submit_task", b"{}", b"Content-Length: 99999999999\r\n")


async def endless_chunks(client: HostileClient) -> None:
    async with await client.connect() as stream:
        await stream.send_all(b"POST /submit_task HTTP/1.1\r\n" + client.head + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            await stream.send_all(b"2710\r\n" + b" " * 10_000 + b"\r\n")


FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


async def slow_forms(client: HostileClient) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(HELD):
            nursery.start_soon(_slow_form, client)


async def _slow_form(client: HostileClient) -> None:
    with suppress(OSError, trio.BrokenResourceError):
        async with await client.connect() as stream:
            head = b"POST /submit_task HTTP/1.1\r\n" + client.head + FORM + b"Content-Length: 1000000\r\n\r\n"
            await stream.send_all(head + FILE)
            while True:
                await stream.send_all(b"x")
                await trio.sleep(1)


async def large_form_of_a_stranger(client: HostileClient) -> None:
    await client.request(b"POST /submit_task", FILE + b"x" * (5 * MIB) + b"\r\n--b--\r\n", FORM)


async def form_of_many_parts(client: HostileClient) -> None:
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n' % part for part in range(2000))
    await client.request(b"POST /submit_task", parts + b"--b--\r\n", FORM)


async def deep_json(client: HostileClient) -> None:
    await client.post(b"/submit_task", b'{"USED_AGENT_ID":"x","final_data":' + b"[" * 10**6)


async def long_numbers(client: HostileClient) -> None:
    await client.post(b"/request_agent", b'{"provider_data":{"worker_name":' + b"9" * 10**6 + b"}}")


async def silent_sockets(client: HostileClient) -> None:
    streams = [await client.open_socket() for _ in range(HELD)]
    await trio.sleep(2)
    for stream in streams:
        await trio.aclose_forcefully(stream)


async def sockets_of_one_agent(client: HostileClient) -> None:
    streams: list[trio.SocketStream] = []
    try:
        for _ in range(HELD):
            streams.append(await client.open_socket())
            await client.say(streams[-1], {"packet_type": "alive", "subject_id": client.token, "data": {}})
        await trio.sleep(0.5)
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def false_operator(client: HostileClient) -> None:
    async with await client.open_socket() as stream:
        guess = {"token": str(client._random.random())}
        await client.say(stream, {"packet_type": "alive", "subject_id": "mephisto", "data": guess})
        await stream.receive_some()


async def flood_of_updates(client: HostileClient) -> None:
    async with await client.open_socket() as stream:
        update = {
            "packet_type": "mephisto_bound_live_update",
            "subject_id": client.token,
            "data": {"text": "x" * 50_000},
        }
        for number in range(20):
            await client.say(stream, update | {"data": {"text": "x" * 50_000, "update_id": str(number)}})


async def large_packets(client: HostileClient) -> None:
    async with await client.open_socket() as stream:
        await client.say(stream, {"packet_type": "alive", "subject_id": "x" * (2 * MIB)})
        await stream.receive_some()


async def broken_frames(client: HostileClient) -> None:
    async with await client.open_socket() as stream:
        broken = [b"\x81\x05hello", b"\xff" * 20, frame(b"\xff\xfe"), frame(b"nonsense"), frame(b"x" * 200, opcode=9)]
        await stream.send_all(client._random.choice(broken))
        with trio.move_on_after(1):
            await stream.receive_some()


async def slow_reader(client: HostileClient) -> None:
    async with await client.open_socket() as stream:
        for _ in range(100):
            await client.say(stream, {"packet_type": "heartbeat", "subject_id": client.token, "client_timestamp": 1.5})
        await trio.sleep(1)


async def flood_of_requests(client: HostileClient) -> None:
    for number in range(20):
        names = {"worker_name": f"nobody {number}", "agent_registration_id": str(client._random.random())}
        await client.post(b"/request_agent", {"provider_data": names}, wait=0.2)


async def bad_names(client: HostileClient) -> None:
    for name in ("", "\x00", "\x1b[31m", "x" * 1000, "=1+1\r\n"):
        await client.post(b"/request_agent", {"provider_data": {"worker_name": name, "agent_registration_id": name}})


async def guessed_tokens(client: HostileClient) -> None:
    for token in ("1", "honest-1", "__proto__", str(client._random.random())):
        await client.post(b"/submit_task", {"USED_AGENT_ID": token, "final_data": "forged"})
        await client.post(b"/return_task", {"USED_AGENT_ID": token})


async def smuggled_requests(client: HostileClient) -> None:
    async with await client.connect() as stream:
        await stream.send_all(
            b"POST /submit_task HTTP/1.1\r\n" + client.head
            + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /counters HTTP/1.1\r\n\r\n"
        )  # fmt: skip
        with trio.move_on_after(1):
            await stream.receive_some()


async def paths(client: HostileClient) -> None:
    for path in (b"/../router.secret", b"/%2e%2e/journal", b"/download_file/..%2f..%2fetc%2fpasswd", b"/counters"):
        await client.request(b"GET " + path)


async def flood_of_errors(client: HostileClient) -> None:
    for _ in range(20):
        await client.post(b"/log_error", {"USED_AGENT_ID": None, "error_data": "x" * 5000})


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(slow_head, endless_head, endless_url, unfinished_body, slow_body, announced_too_large, endless_chunks),
        *(slow_forms, large_form_of_a_stranger, form_of_many_parts, deep_json, long_numbers),
        *(silent_sockets, sockets_of_one_agent, false_operator, flood_of_updates, large_packets, broken_frames),
        *(slow_reader, flood_of_requests, bad_names, guessed_tokens, smuggled_requests, paths, flood_of_errors),
    )
}


def token_of(kind: str) -> str:
    """Return the token of the agent that the client of a kind has."""
    return f"hostile-{kind}"


async def attack_with_all(port: int, counts: Counter[str], per_second: float) -> None:
    """Attack a router with a client of each kind. Never returns by itself.

    Args:
        port: the router's.
        counts: what the clients do is counted here.
        per_second: connections and packets that they begin in a second, all together.
    """
    pace = Pace(per_second)
    async with trio.open_nursery() as nursery:
        for number, kind in enumerate(ATTACKS):
            nursery.start_soon(HostileClient(port, number, token_of(kind), counts, pace).attack, kind)
