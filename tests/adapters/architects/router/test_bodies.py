"""Bodies and heads that never end cost a router little, and the others nothing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import chain, cycle, repeat
from pathlib import Path

import httpx
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import HANDSHAKE, PATIENCE_SECONDS, OperatorLink, Router, RouterHarness, error_of

BOUNDARY = b"boundary"
JSON_HEAD = b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
FORM_HEAD = (
    b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n%b"
    b"Content-Type: multipart/form-data; boundary=" + BOUNDARY + b"\r\n\r\n"
)
FILE = b'--boundary\r\nContent-Disposition: form-data; name="attachment"; filename="a"\r\n\r\nxxx'


def form_head(headers: bytes = b"") -> bytes:
    return FORM_HEAD % headers


@asynccontextmanager
async def connected(harness: RouterHarness, text: bytes) -> AsyncIterator[trio.SocketStream]:
    """A connection on which something was sent."""
    host, port = harness.router.listener.getsockname()
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(text)
        yield stream


async def status_of(stream: trio.SocketStream) -> int:
    """Return the status of the answer; 0 if the connection is closed without one."""
    with trio.fail_after(PATIENCE_SECONDS):
        try:
            answer = await stream.receive_some()
        except trio.BrokenResourceError:
            return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0


def resident_bytes(router: Router) -> int:
    assert router.process is not None
    status = Path(f"/proc/{router.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@pytest.fixture
async def own(make_router: MakeRouter, make_harness: MakeHarness) -> RouterHarness:
    router = make_router(trusted_proxies=1)
    router.start()
    return make_harness(router)


async def test_unfinished_bodies_have_a_limit_in_memory(own: RouterHarness) -> None:
    await own.operator({"worker": "in task"})
    before = resident_bytes(own.router)

    async def stop_in_the_middle(task_status: trio.TaskStatus[None]) -> None:
        async with connected(own, JSON_HEAD) as stream:
            with suppress(trio.BrokenResourceError):  # it had to give way
                await stream.send_all(b"x" * 9_000_000)
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            await nursery.start(stop_in_the_middle)
        await trio.sleep(0.5)
        answer = await own.submit("worker", "x" * 5_000_000)
        # The limit is 40 MiB; the rest is what collectors return, on a busy machine after a while. They sent 360 MB.
        for _ in range(100):
            held = resident_bytes(own.router) - before
            if held < 280 * 2**20:
                break
            await trio.sleep(0.2)
        nursery.cancel_scope.cancel()

    assert answer.status_code == 200, answer.text
    assert held < 280 * 2**20
    assert (await own.counters())["dropped"]["body_memory"] > 10


async def test_forms_that_hardly_move_do_not_stop_the_others(own: RouterHarness, nursery: trio.Nursery) -> None:
    operator = await own.operator({"worker": "in task"})

    async def trickle(number: int, task_status: trio.TaskStatus[None]) -> None:
        address = b"X-Forwarded-For: 192.0.2.%d\r\n" % (number % 10)
        async with connected(own, form_head(address) + FILE) as stream:
            task_status.started()
            with suppress(trio.BrokenResourceError):
                while True:
                    await trio.sleep(0.1)
                    await stream.send_all(b"x")

    for number in range(105):
        await nursery.start(trickle, number)
    await trio.sleep(1.5)
    files = {"attachment": ("a.txt", b"y" * 100_000)}
    answer = await own.http.post("/submit_task", data={"USED_AGENT_ID": "worker"}, files=files)
    nursery.cancel_scope.cancel()

    assert answer.status_code == 200, answer.text
    assert (await operator.expect("submit_unit")).data["files"][0]["size"] == 100_000


async def test_an_address_has_a_quarter_of_the_places_for_forms(own: RouterHarness) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(26):
            beginning = form_head(b"X-Forwarded-For: 192.0.2.1\r\n") + FILE
            stream = await stack.enter_async_context(connected(own, beginning))
            await own.counters()
        assert await status_of(stream) == 503
        other = await stack.enter_async_context(connected(own, form_head(b"X-Forwarded-For: 192.0.2.2\r\n") + FILE))
        with trio.move_on_after(0.5) as still_open:
            await status_of(other)
        assert still_open.cancelled_caught


async def test_a_form_for_a_strangers_agent_is_refused_before_its_file(own: RouterHarness) -> None:
    await own.operator({"worker": "in task"})
    named = b'--boundary\r\nContent-Disposition: form-data; name="USED_AGENT_ID"\r\n\r\n%b\r\n'
    async with connected(own, form_head() + named % b"nobody" + FILE) as stranger:
        assert await status_of(stranger) == 403
    async with connected(own, form_head() + named % b"worker" + FILE) as worker:
        with trio.move_on_after(0.5) as still_open:
            await status_of(worker)
    assert still_open.cancelled_caught


async def test_a_body_that_trickles_is_ended(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router(idle_seconds=1)
    router.start()
    harness = make_harness(router)
    async with connected(harness, JSON_HEAD) as stream, trio.open_nursery() as nursery:

        async def trickle() -> None:
            with suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(b" ")
                    await trio.sleep(0.1)

        nursery.start_soon(trickle)
        began = trio.current_time()
        assert await status_of(stream) == 408
        nursery.cancel_scope.cancel()
    # By default a client has 75 seconds.
    assert 0.9 < trio.current_time() - began < 60


ENDLESS = {
    "a url": (b"GET /", b"x" * 1000),
    "a header": (b"GET / HTTP/1.1\r\nX: ", b"x" * 1000),
    "headers": (b"GET / HTTP/1.1\r\n", b"X: %b\r\n" % (b"x" * 1000)),
    "trailers": (
        b"POST /submit_task HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
        b"X: %b\r\n" % (b"x" * 1000),
    ),
    "a trailer": (
        b"POST /submit_task HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX: ",
        b"x" * 1000,
    ),
    "headers of a part": (form_head() + FILE.partition(b"\r\n")[0] + b"\r\n", b"X: %b\r\n" % (b"x" * 1000)),
}


async def send_until_hung_up(stream: trio.abc.SendStream, pieces: Iterator[bytes]) -> int:
    """Send pieces that do not end until the router hangs up, and return how many bytes the connection took."""
    sent = 0
    with trio.fail_after(PATIENCE_SECONDS), suppress(trio.BrokenResourceError):
        for piece in pieces:
            await stream.send_all(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_has_no_end_is_ended(own: RouterHarness, what: str) -> None:
    beginning, piece = ENDLESS[what]
    async with connected(own, beginning) as stream:
        await send_until_hung_up(stream, repeat(piece * 100))
    assert (await own.http.get("/is_alive")).status_code == 200


async def test_a_refused_body_that_goes_on_is_hung_up_on(tight: RouterHarness) -> None:
    """It is read on for a while, so that the client reads the answer, but not as fast as it comes."""
    size = 2**30
    head = b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    piece = b" " * 2**16
    async with connected(tight, head) as stream:
        assert await status_of(stream) == 413
        # 2 MiB, and what the buffers of the connection take.
        assert await send_until_hung_up(stream, repeat(piece, size // len(piece))) < 2**25


@pytest.mark.parametrize("opcode", [0x01, 0x02])
async def test_a_message_that_has_no_end_is_ended(own: RouterHarness, opcode: int) -> None:
    """Of a stranger: only the operator's messages may be larger than a page's."""
    first, *others = (bytes([code, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0]) + b"x" * 65535 for code in (opcode, 0))
    async with connected(own, HANDSHAKE) as stream:
        assert await status_of(stream) == 101
        # Parts of a message, masked with zeros.
        assert await send_until_hung_up(stream, chain([first], cycle(others))) >= 2**20


async def test_data_of_a_provider_has_a_limit(harness: RouterHarness, operator: OperatorLink) -> None:
    names = {"worker_name": "W", "agent_registration_id": "A", "more": "x" * 70_000}
    answer: httpx.Response = await harness.http.post("/request_agent", json={"provider_data": names})
    assert answer.status_code == 413
    assert "65536" in error_of(answer)
    await operator.settled()
    assert operator.inbox.of_type("register_agent") == []
