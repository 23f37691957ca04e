"""Large bodies of strangers wait for each other, and workers for none of them.

What each test compares takes place at the same time: strangers send bodies that need seconds, and others come.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from hashlib import sha256

import httpx
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, RouterHarness

#: So much strangers may bring at once; each further one takes a second.
MEBIBYTE = 2**20
#: Seconds in which a stranger's body does not arrive among that many others.
SHORT_SECONDS = 1.0
#: Seconds in which a body of that size arrives, unless it waits with the others.
ENOUGH_SECONDS = PATIENCE_SECONDS / 3
WORKER = "198.51.100.1"
STRANGER = "198.51.100.2"
PART = b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n'


def at(address: str) -> dict[str, str]:
    """Return the header with which the web server in front says where a client is."""
    return {"X-Forwarded-For": address}


@pytest.fixture
async def own(make_router: MakeRouter, make_harness: MakeHarness) -> RouterHarness:
    """A router behind a web server, with one agent."""
    router = make_router(trusted_proxies=1)
    router.start()
    harness = make_harness(router)
    await harness.operator({"worker": "in task"})
    return harness


async def send_large(own: RouterHarness, address: str) -> None:
    """Send a stranger's body, until it is refused."""
    body = {"USED_AGENT_ID": "nobody", "final_data": "x" * (9 * MEBIBYTE)}
    with suppress(httpx.TransportError):
        await own.http.post("/submit_task", json=body, headers=at(address))


async def keep_strangers_waiting(own: RouterHarness, nursery: trio.Nursery) -> None:
    """Let strangers at many addresses send more than arrives in a minute."""
    for number in range(12):
        nursery.start_soon(send_large, own, f"203.0.113.{number}")
    await trio.sleep(0.2)


async def submit_large(own: RouterHarness, address: str) -> httpx.Response:
    """Submit more than strangers may bring at once."""
    body = {"USED_AGENT_ID": "worker", "final_data": "x" * (3 * MEBIBYTE)}
    return await own.http.post("/submit_task", json=body, headers=at(address))


async def ask_for_status(own: RouterHarness) -> None:
    answer = await own.http.post("/agent_status", json={"USED_AGENT_ID": "worker"}, headers=at(WORKER))
    assert answer.status_code == 200


async def submit_little(own: RouterHarness) -> None:
    body = {"USED_AGENT_ID": "worker", "final_data": 1}
    assert (await own.http.post("/submit_task", json=body, headers=at(WORKER))).status_code == 200


async def open_a_page(own: RouterHarness) -> None:
    await own.page("worker", address=WORKER)


@pytest.mark.parametrize("prove", [ask_for_status, submit_little, open_a_page])
async def test_who_has_an_agent_does_not_wait_for_strangers(
    own: RouterHarness, nursery: trio.Nursery, prove: Callable[[RouterHarness], Awaitable[None]]
) -> None:
    await prove(own)
    await keep_strangers_waiting(own, nursery)
    with trio.move_on_after(SHORT_SECONDS) as waits:
        await submit_large(own, STRANGER)
    assert waits.cancelled_caught, "nobody there has shown an agent"
    with trio.fail_after(ENOUGH_SECONDS):
        assert (await submit_large(own, WORKER)).status_code == 200
    nursery.cancel_scope.cancel()


async def test_small_bodies_of_strangers_do_not_wait(own: RouterHarness, nursery: trio.Nursery) -> None:
    await keep_strangers_waiting(own, nursery)
    body = {"USED_AGENT_ID": "worker", "final_data": "x" * 3000}
    answer = await own.http.post("/submit_task", json=body, headers=at(STRANGER))
    assert answer.status_code == 200, answer.text
    nursery.cancel_scope.cancel()


async def test_an_operator_does_not_wait_for_strangers(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router(STATIC="", trusted_proxies=1)
    router.start()
    own = make_harness(router)
    page = b"x" * (3 * MEBIBYTE)
    digest = sha256(page).hexdigest()
    headers = {**router.auth, **at(WORKER)}
    await keep_strangers_waiting(own, nursery)
    claim = {"run": "a run", "files": {"index.html": digest}}
    assert (await own.http.post("/run_page", json=claim, headers=headers)).status_code == 200
    with trio.fail_after(ENOUGH_SECONDS):
        answer = await own.http.put(f"/run_page/{digest}", content=page, headers=headers)
    assert answer.status_code == 200, answer.text
    nursery.cancel_scope.cancel()


async def test_a_form_is_throttled_no_longer_once_it_has_named_its_agent(
    own: RouterHarness, nursery: trio.Nursery
) -> None:
    await keep_strangers_waiting(own, nursery)
    files = {"file": ("a", b"y" * (3 * MEBIBYTE))}
    with trio.fail_after(ENOUGH_SECONDS):
        answer = await own.http.post(
            "/submit_task", data={"USED_AGENT_ID": "worker"}, files=files, headers=at(STRANGER)
        )
    assert answer.status_code == 200, answer.text
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("parts", "status"), [(800, 403), (2000, 413)])
async def test_a_small_part_of_a_form_costs_as_much_as_kilobytes(own: RouterHarness, parts: int, status: int) -> None:
    """Both forms together have 100 KB or so, less than strangers may bring at once; it costs too if it is refused."""
    form = b"".join(PART % number for number in range(parts)) + b"--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b", **at(STRANGER)}
    began = trio.current_time()
    for _ in range(2):
        assert (await own.http.post("/submit_task", content=form, headers=headers)).status_code == status
    assert trio.current_time() - began > SHORT_SECONDS


async def test_so_many_bodies_are_throttled_at_once(own: RouterHarness) -> None:
    """When there are more, the slowest gives way to the newest."""
    head = b"POST /submit_task HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.%d\r\nContent-Length: 9000000\r\n\r\n"
    host, port = own.router.listener.getsockname()
    async with AsyncExitStack() as stack:
        for number in range(105):
            stream = await stack.enter_async_context(await trio.open_tcp_stream(host, port))
            await stream.send_all(head % number + b" " * 10_000)
            if number == 99:
                await trio.sleep(0.5)
        with trio.fail_after(PATIENCE_SECONDS):
            while (await own.counters())["dropped"].get("throttled_bodies", 0) < 5:
                await trio.lowlevel.checkpoint()
