"""How often an address or a worker may ask for work, and how often an address may report errors."""

from functools import partial

import httpx
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import RouterHarness

BUSY = "The task server is busy"


@pytest.fixture
async def proxied(make_router: MakeRouter, make_harness: MakeHarness) -> RouterHarness:
    """A router behind a web server, with the rates that it has by default, but slower."""
    router = make_router(trusted_proxies=1, requests_per_second_per_address=0.001, requests_per_second_per_worker=0.001)
    router.start()
    return make_harness(router)


class Crowd:
    """Workers who ask for work, and an operator who has none."""

    def __init__(self, harness: RouterHarness, nursery: trio.Nursery) -> None:
        self._harness = harness
        nursery.start_soon(self._refuse_all)

    async def _refuse_all(self) -> None:
        operator = await self._harness.operator({})
        while True:
            question = await operator.expect("register_agent", lambda _: True, patience=float("inf"))
            await operator.answer(question, None, failure_reason="no work")

    async def ask(self, address: str | None, worker: str) -> str:
        """Ask for work; return the reason why there is none."""
        names = {"worker_name": worker, "agent_registration_id": worker}
        headers = {} if address is None else {"X-Forwarded-For": address}
        answer = await self._harness.http.post("/request_agent", json={"provider_data": names}, headers=headers)
        assert answer.status_code == 200
        return str(answer.json()["data"]["failure_reason"])


@pytest.fixture
async def crowd(proxied: RouterHarness, nursery: trio.Nursery) -> Crowd:
    return Crowd(proxied, nursery)


async def test_sixty_people_behind_one_address_are_served_and_a_thousand_are_not(
    crowd: Crowd, proxied: RouterHarness
) -> None:
    reasons = [await crowd.ask("192.0.2.1", f"worker {number // 2}") for number in range(120)]
    assert reasons == ["no work"] * 120
    assert (await crowd.ask("192.0.2.1", "another")).startswith(BUSY)
    assert await crowd.ask("192.0.2.2", "another") == "no work"
    assert (await proxied.counters())["dropped"] == {"rate_limited": 1}


async def test_a_worker_is_limited_from_wherever_it_asks(crowd: Crowd) -> None:
    reasons = [await crowd.ask(f"192.0.2.{number}", "eager") for number in range(20)]
    assert reasons == ["no work"] * 20
    assert (await crowd.ask("192.0.2.99", "eager")).startswith(BUSY)
    assert await crowd.ask("192.0.2.99", "patient") == "no work"


@pytest.mark.parametrize(
    ("addresses", "limit"),
    [
        # What the client wrote itself is worth nothing.
        ([f"192.0.2.{number}, 198.51.100.7" for number in range(121)], 120),
        # A network of IPv6 is one customer's.
        ([f"2001:db8:1:2::{number:x}" for number in range(121)], 120),
        ([f"2001:db8:1:{number:x}::1" for number in range(121)], 121),
        (["::ffff:192.0.2.9", "192.0.2.9"] * 60 + ["192.0.2.9"], 120),
        # All that are no address are one.
        ([f"nonsense {number}" for number in range(121)], 120),
        # Crowds that are simulated on this machine.
        ([address for _ in range(41) for address in ("127.0.0.1", "::1", "127.9.9.9")], 123),
    ],
)
async def test_an_address_is_what_the_web_server_says(crowd: Crowd, addresses: list[str], limit: int) -> None:
    reasons = [await crowd.ask(address, f"worker {number}") for number, address in enumerate(addresses)]
    assert reasons.count("no work") == limit


async def test_this_machine_is_exempt(crowd: Crowd) -> None:
    assert [await crowd.ask(None, "eager") for _ in range(200)] == ["no work"] * 200


async def test_tokens_come_back(make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery) -> None:
    router = make_router(trusted_proxies=1, max_requests_per_worker=1, requests_per_second_per_worker=1000)
    router.start()
    crowd = Crowd(make_harness(router), nursery)
    for _ in range(10):
        assert await crowd.ask("192.0.2.1", "eager") == "no work"
        await trio.sleep(0.002)


async def test_error_reports_are_limited_and_answered_the_same(proxied: RouterHarness) -> None:
    operator = await proxied.operator({})
    headers = {"X-Forwarded-For": "192.0.2.1"}
    report = partial(proxied.http.post, "/log_error", json={"error_data": "x"}, headers=headers)
    answers: list[httpx.Response] = [await report() for _ in range(40)]
    await operator.settled()
    assert {answer.text for answer in answers} == {'{"status":"Error log sent!"}'}
    assert 20 <= len(operator.inbox.of_type("log_error")) < 40
