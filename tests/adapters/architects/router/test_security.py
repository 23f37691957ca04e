"""Identities on the router, and attacks by strangers. The vulnerabilities of other routers are cases here."""

from pathlib import Path

import msgspec
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import HANDSHAKE, PATIENCE_SECONDS, OperatorLink, RouterHarness, error_of

# -- the operator's place --------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"token": None},
        {"token": ""},
        {"token": "wrong"},
        {"token": "Open sesame, said the secret"},
        {"token": "open sesame, said the secret "},
        {"token": "ö"},
        {"token": ["open sesame, said the secret"]},
        {"token": 0},
        [],
        "open sesame, said the secret",
    ],
)
async def test_nobody_is_the_operator_without_the_secret(
    harness: RouterHarness, operator: OperatorLink, data: object
) -> None:
    await operator.agents({"a": "in task"})
    await operator.settled()
    before = (await harness.counters())["refused_operators"]
    intruder = await harness.socket()

    await intruder.send("alive", "mephisto", data)

    assert await intruder.closing_code() == 1008
    assert intruder.inbox.received == []
    assert (await harness.counters())["refused_operators"] == before + 1
    # The operator is still the operator, and gets what workers submit.
    assert (await harness.submit("a", "secret")).status_code == 200
    assert (await operator.expect("submit_unit")).data == {"final_data": "secret"}


async def test_a_page_that_speaks_as_mephisto_is_closed(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting"})
    page = await harness.page("a")

    await page.send("request_statuses", "mephisto", {})

    assert await page.closing_code() == 1008
    assert not page.inbox.of_type("return_statuses")


async def test_a_page_gives_no_orders(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting", "b": "waiting"})
    page, other = await harness.page("a"), await harness.page("b")

    await page.send("update_status", "b", {"status": "completed"})
    await page.send("client_bound_live_update", "b", {"text": "forged", "update_id": "1"})
    await page.send("agents", "b", {"agents": {}})
    await page.send("ack", "a", {"incarnation": operator.state["incarnation"], "seq": 1})
    await page.heartbeat()
    await other.heartbeat()

    assert other.statuses() == ["waiting"]
    assert other.texts() == []
    assert await operator.settled() == {"a": "waiting", "b": "waiting"}


async def test_a_new_operator_takes_the_place_of_the_old_one(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    successor = await harness.operator(after=operator)

    assert await operator.closing_code() == 1012
    assert (await harness.submit("a", "to the new one")).status_code == 200
    assert (await successor.expect("submit_unit")).data == {"final_data": "to the new one"}
    await successor.tell("a", text="from the new one")
    await page.expect("client_bound_live_update")
    assert not operator.inbox.of_type("submit_unit")


async def test_the_operators_link_goes_on_while_pages_come_and_go(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "in task"})
    for how in ("close", "vanish"):
        page = await harness.page("a")
        await (page.close() if how == "close" else page.vanish())

    assert await operator.settled() == {"a": "in task"}
    assert not operator.closed.is_set()


# -- one agent cannot act for another --------------------------------------------------------


@pytest.mark.parametrize("token", ["1", "0", "", "a ", "A", "mephisto", "constructor", "__proto__", "x" * 10_000])
async def test_nobody_submits_for_an_agent_without_its_token(
    harness: RouterHarness, operator: OperatorLink, token: str
) -> None:
    await operator.agents({"a": "in task"})
    await operator.settled()
    onboarding = {"provider_data": {"USED_AGENT_ID": token, "onboarding_data": {}}}

    answers = [
        await harness.submit(token, "forged"),
        await harness.http.post("/submit_metadata", json={"USED_AGENT_ID": token, "metadata": {}}),
        await harness.http.post("/submit_onboarding", json=onboarding),
        await harness.http.post("/return_task", json={"USED_AGENT_ID": token}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    for answer in answers:
        error_of(answer)
    assert (await harness.submit("a", "genuine")).status_code == 200
    await operator.expect("submit_unit")
    assert len(operator.numbers()) == 1


@pytest.mark.parametrize("token", ["1", "", "A", "__proto__"])
async def test_a_socket_of_an_unknown_agent_is_told_nothing(
    harness: RouterHarness, operator: OperatorLink, token: str
) -> None:
    await operator.agents({"a": "in task"})
    stranger = await harness.page(token, alive=False)
    page = await harness.page("a")

    await stranger.alive()
    await stranger.send("heartbeat", token, client_timestamp=1.5)
    await stranger.say(text="forged")
    # A known agent on the same socket: everything before it has been handled.
    await stranger.heartbeat(token="a")
    await page.heartbeat()
    await page.say(text="genuine")

    assert (await operator.expect("mephisto_bound_live_update")).data["text"] == "genuine"
    assert {packet.subject_id for packet in stranger.inbox.received} == {"a"}
    assert (await operator.settled()) == {"a": "in task"}


async def test_a_refused_agent_is_not_known(harness: RouterHarness, operator: OperatorLink) -> None:
    details = {"request_id": "r", "worker_id": None, "agent_id": None, "failure_reason": "no"}
    await operator.send("agent_details", "r", details)
    await operator.settled()

    for token in ("null", "None", "r"):
        assert (await harness.submit(token, 1)).status_code == 403


# -- limits ----------------------------------------------------------------------------------


async def test_sockets_have_a_limit(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router(max_sockets=3)
    router.start()
    harness = make_harness(router)
    await harness.operator({"a": "in task"})
    pages = [await harness.page("a") for _ in range(2)]

    assert await is_turned_away(harness)
    await pages[0].close()
    await harness.wait_sockets(2)

    await harness.page("a")
    assert await is_turned_away(harness)


async def test_sockets_that_say_nothing_leave_room_for_the_others(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router(max_sockets=8)
    router.start()
    harness = make_harness(router)
    await harness.operator({"a": "in task"})
    page = await harness.page("a")

    silent = [await harness.socket() for _ in range(5)]

    for peer in silent[:3]:
        assert await peer.closing_code() == 1008
        await peer.close()
    await harness.wait_sockets(4)
    assert not silent[3].closed.is_set()
    assert (await page.heartbeat()).data["status"] == "in task"


async def is_turned_away(harness: RouterHarness) -> bool:
    host, port = harness.router.listener.getsockname()
    with trio.fail_after(PATIENCE_SECONDS):
        async with await trio.open_tcp_stream(host, port) as stream:
            await stream.send_all(HANDSHAKE)
            answer = b"".join([chunk async for chunk in stream])
    # It may be let in to be told why it has to go again.
    return not answer.startswith(b"HTTP/1.1 101") or b"\x88" in answer


async def test_waiting_requests_have_a_limit(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router(max_sockets=2)
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({})
    for _ in range(2):
        nursery.start_soon(harness.request_agent)
        await operator.expect("register_agent")

    answer = await harness.request_agent()

    assert answer.status_code == 200
    assert answer.json()["data"]["agent_id"] is None
    assert answer.json()["data"]["failure_reason"].startswith("The task server is busy")


async def test_figures_are_for_the_operator_only(harness: RouterHarness, operator: OperatorLink) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": harness.router.secret}):
        answer = await harness.http.get("/counters", headers=headers)
        assert answer.status_code in (401, 403, 404)
        error_of(answer)

    figures = await harness.counters()
    assert figures.keys() >= {
        "dropped",
        "refused_operators",
        "outbox_length",
        "outbox_bytes",
        "sockets",
        "known_agents",
    }


async def test_a_client_has_to_go_on(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router(idle_seconds=1, request_deadline_seconds=0.2)
    router.start()
    harness = make_harness(router)
    await harness.operator({"a": "in task"})
    page = await harness.page("a")
    head = b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    unfinished = [b"", b"GET / HT", head, head + b"\r\n{", b"GET /is_alive HTTP/1.1\r\nHost: x\r\n\r\n", HANDSHAKE]

    async with trio.open_nursery() as nursery:
        for beginning in unfinished:
            nursery.start_soon(is_hung_up_on, harness, beginning)

    # Who has said who it is may be silent: heartbeats have a limit of their own.
    assert (await page.heartbeat()).data["status"] == "in task"


async def is_hung_up_on(harness: RouterHarness, beginning: bytes) -> None:
    host, port = harness.router.listener.getsockname()
    with trio.fail_after(PATIENCE_SECONDS):
        async with await trio.open_tcp_stream(host, port) as stream:
            await stream.send_all(beginning)
            async for chunk in stream:
                if b"\x88" in chunk:  # a socket is told to go, and has some time to say goodbye
                    break


async def test_a_flood_of_complaints_does_not_fill_the_log(
    make_router: MakeRouter, make_harness: MakeHarness, tmp_path: Path
) -> None:
    router = make_router()
    with (tmp_path / "router.log").open("a+b") as log:
        router.stderr = log
        router.start()
        harness = make_harness(router)
        for _ in range(400):
            peer = await harness.socket()
            await peer.send("alive", "mephisto", {"token": "a guess"})
            assert await peer.closing_code() == 1008
            await peer.close()
        assert (await harness.counters())["refused_operators"] == 400
    lines = (tmp_path / "router.log").read_text().splitlines()
    assert len(lines) == 300
    assert {msgspec.json.decode(line)["event"] for line in lines} == {"operator_refused"}


async def test_what_workers_sent_is_for_its_owner_only(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    await harness.operator({"a": "in task"})
    files = {"attachment": ("a.txt", b"secret")}
    answer = await harness.http.post("/submit_task", data={"USED_AGENT_ID": "a"}, files=files)
    assert answer.status_code == 200

    found = [router.data, *router.data.rglob("*")]
    modes = {path.name.partition("-")[0]: path.stat().st_mode & 0o777 for path in found if path.name != "lock"}
    assert len(found) == 5
    assert modes.pop("journal") == 0o600
    assert {mode for name, mode in modes.items() if len(name) == 32} == {0o600}
    assert {mode for name, mode in modes.items() if len(name) != 32} == {0o700}


# -- HTTP as strangers speak it --------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /submit_task HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: carrier-pigeon\r\n\r\n",
    ],
    ids=range(7),
)
async def test_nonsense_is_no_hang_and_no_crash(harness: RouterHarness, request_: bytes) -> None:
    host, port = harness.router.listener.getsockname()
    with trio.fail_after(PATIENCE_SECONDS):
        async with await trio.open_tcp_stream(host, port) as stream:
            try:
                await stream.send_all(request_)
                answer = await stream.receive_some()
            except trio.BrokenResourceError:
                answer = b""

    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert (await harness.http.get("/is_alive")).status_code == 200


@pytest.mark.parametrize("path", ["/submit_task", "/request_agent", "/task_config.json", "/is_alive", "/", "/nothing"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused_in_json(harness: RouterHarness, method: str, path: str) -> None:
    answer = await harness.http.request(method, path)

    assert answer.status_code in (400, 404, 405)
    error_of(answer)


@pytest.mark.parametrize(
    "path", ["/../journal", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/%00", "/.env"]
)
async def test_only_the_page_is_served(harness: RouterHarness, path: str) -> None:
    host, port = harness.router.listener.getsockname()
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join([chunk async for chunk in stream])

    assert answer.split(b" ", 2)[1] in (b"400", b"403", b"404")
    assert b"root:" not in answer


async def test_other_sites_are_given_nothing(harness: RouterHarness) -> None:
    for path in ("/", "/task_config.json?mephisto_task_version=2.0.4", "/is_alive"):
        answer = await harness.http.get(path, headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert "x-powered-by" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_slow_reader_does_not_hold_up_the_others(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"slow": "in task", "quick": "in task"})
    quick = await harness.page("quick")
    # It says that it is there, and then never reads: not even its own library does.
    host, port = harness.router.listener.getsockname()
    stream = await trio.open_tcp_stream(host, port)
    await stream.send_all(HANDSHAKE)
    await stream.receive_some()
    await stream.send_all(masked(msgspec.json.encode({"packet_type": "alive", "subject_id": "slow"})))
    await operator.expect("return_statuses", lambda packet: packet.data == {"slow": "in task"})

    for _ in range(200):
        await operator.tell("slow", text="x" * 100_000)
    await operator.tell("quick", text="in time")

    assert (await quick.expect("client_bound_live_update")).data["text"] == "in time"
    await trio.aclose_forcefully(stream)


def masked(payload: bytes) -> bytes:
    """A text frame of a client, with a mask that changes nothing."""
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload
