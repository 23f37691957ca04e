"""Pages' sockets: who is told what, in which order, and what is kept."""

import signal

import msgspec
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, OperatorLink, Page, RouterHarness, attempt, gone, was_gone


async def test_alive_is_answered_with_the_status_as_it_is_now(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting"})
    await operator.status("a", "in task")
    await operator.settled()
    page = await harness.page("a", alive=False)

    await page.alive()
    packet = await page.expect("update_status")

    assert (packet.subject_id, packet.data) == ("a", {"status": "in task"})
    await page.heartbeat()
    assert page.statuses() == ["in task"]


async def test_the_operator_learns_who_is_there(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting", "b": "in task"})
    await harness.page("a")

    pushed = await operator.expect("return_statuses", lambda packet: "b" not in packet.data and "a" in packet.data)

    assert pushed.subject_id == "mephisto"
    assert pushed.data == {"a": "waiting"}
    assert await operator.settled() == {"a": "waiting", "b": "in task"}


async def test_statuses_arrive_in_order(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "accepted"})
    page = await harness.page("a")

    for status in ("waiting", "in task", "completed"):
        await operator.status("a", status)
    await page.expect("update_status", lambda packet: packet.data == {"status": "completed"})

    assert page.statuses() == ["accepted", "waiting", "in task", "completed"]


async def test_a_status_is_passed_on_with_its_times(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting"})
    page = await harness.page("a")

    await operator.send(
        "update_status",
        "a",
        {"status": "in task"},
        client_timestamp=None,
        router_incoming_timestamp=None,
        router_outgoing_timestamp=None,
        server_timestamp=1795290311.814193,
    )
    packet = await page.expect("update_status", lambda packet: packet.data["status"] == "in task")

    assert packet.server_timestamp == 1795290311.814193
    assert packet.router_incoming_timestamp is not None
    assert packet.router_outgoing_timestamp is not None


async def handshake(harness: RouterHarness, path: str, *headers: str) -> bytes:
    """Ask for a socket as a browser does; return the head of the answer."""
    host, port = harness.router.listener.getsockname()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Origin: http://{host}:{port}",
        *headers,
    ]
    with trio.fail_after(PATIENCE_SECONDS):
        async with await trio.open_tcp_stream(host, port) as stream:
            await stream.send_all("\r\n".join([*lines, "", ""]).encode())
            answer = b""
            async for chunk in stream:
                answer += chunk
                if b"\r\n\r\n" in answer:
                    break
    return answer.partition(b"\r\n\r\n")[0].lower()


async def test_compression_is_offered_and_not_taken(harness: RouterHarness) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

    answer = await handshake(harness, "/", offer)

    assert answer.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in answer
    assert b"extensions" not in answer
    assert b"protocol" not in answer.partition(b"\r\n")[2]


@pytest.mark.parametrize("path", ["/other", "/submit_task"])
async def test_sockets_are_at_the_root_only(harness: RouterHarness, path: str) -> None:
    answer = await handshake(harness, path)

    assert not answer.startswith(b"http/1.1 101 ")


# -- live updates ----------------------------------------------------------------------------


async def test_a_live_update_goes_to_the_operator_as_it_is(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    update_id = await page.say(request_id="r", target="echo", args='{"hello":"wörld","n":1}')
    packet = await operator.expect("mephisto_bound_live_update")

    assert packet.subject_id == "a"
    assert packet.data == {
        "request_id": "r",
        "target": "echo",
        "args": '{"hello":"wörld","n":1}',
        "update_id": update_id,
    }
    assert packet.client_timestamp == 2.5
    assert packet.seq is not None
    assert packet.router_incoming_timestamp is not None


async def test_what_a_page_sent_is_passed_on_before_its_next_request(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    """A page that is loaded again is shown what it sent: the operator knows that before it is asked."""
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    for round_ in range(5):
        for number in range(20):
            await page.say(text=f"{number}" * 10_000)
        await page.heartbeat()
        nursery.start_soon(harness.request_agent)
        await operator.expect("register_agent")
        types = [packet.packet_type for packet in operator.inbox.received]
        assert types[: types.index("register_agent")].count("mephisto_bound_live_update") == 20, round_
        operator.inbox.forget()


async def test_live_updates_of_all_pages_keep_their_order(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task", "b": "in task"})
    first, second = await harness.page("a"), await harness.page("b")

    for number in range(100):
        await first.say(number=number)
        await second.say(number=number)
    packets = [await operator.expect("mephisto_bound_live_update") for _ in range(200)]

    for token in "ab":
        assert [packet.data["number"] for packet in packets if packet.subject_id == token] == list(range(100))
    numbers = [packet.seq for packet in packets if packet.seq is not None]
    assert numbers == list(range(numbers[0], numbers[0] + 200))


async def test_a_live_update_goes_to_the_page_it_is_for(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task", "b": "in task"})
    first, second = await harness.page("a"), await harness.page("b")

    update_id = await operator.tell("b", text="hello from one", id="Speaker 1", task_data={}, timestamp=1.5)
    packet = await second.expect("client_bound_live_update")
    await first.heartbeat()

    assert packet.subject_id == "b"
    assert packet.data == {
        "text": "hello from one",
        "id": "Speaker 1",
        "task_data": {},
        "timestamp": 1.5,
        "update_id": update_id,
    }
    assert packet.server_timestamp == 3.5
    assert packet.seq is None
    assert not first.inbox.of_type("client_bound_live_update")


async def test_a_batch_of_the_operator_reaches_pages_one_packet_a_frame(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    page.frames.clear()

    batch = [
        {"packet_type": "client_bound_live_update", "subject_id": "a", "data": {"text": text, "update_id": text}}
        for text in ("one", "two", "three")
    ]
    await operator.send_text(msgspec.json.encode(batch).decode())
    for _ in batch:
        await page.expect("client_bound_live_update")

    assert page.texts() == ["one", "two", "three"]
    assert [msgspec.json.decode(frame)["data"]["text"] for frame in page.frames] == ["one", "two", "three"]


# -- heartbeats ------------------------------------------------------------------------------


async def test_a_heartbeat_is_answered_in_the_pages_own_time(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "waiting"})
    page = await harness.page("a")

    answer = await page.heartbeat(at=1795290311.414)

    assert answer.subject_id == "a"
    assert answer.client_timestamp == 1795290311.414
    assert answer.data == {"last_mephisto_ping": 1795290311414, "status": "waiting", "operator_away": False}
    assert isinstance(answer.data["last_mephisto_ping"], int)
    assert answer.router_incoming_timestamp is not None
    assert answer.router_outgoing_timestamp is not None


async def test_a_heartbeat_of_an_agent_without_socket_counts_as_alive(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"onboarding_a": "approved", "a": "in task"})
    await operator.tell("a", text="kept")
    await operator.settled()
    page = await harness.page("onboarding_a")

    # After an onboarding the client may go on with the new agent without saying so.
    await page.heartbeat(token="a")

    await page.expect("update_status", lambda packet: packet.subject_id == "a")
    await page.expect("client_bound_live_update")
    await operator.tell("a", text="live")
    await page.expect("client_bound_live_update")
    assert page.texts() == ["kept", "live"]
    await operator.expect("return_statuses", lambda packet: packet.data == {"a": "in task"})


async def test_a_heartbeat_of_an_agent_with_a_socket_is_only_a_heartbeat(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    await page.heartbeat()
    await page.heartbeat()

    assert page.statuses() == ["in task"]


async def test_a_heartbeat_after_the_submission_is_answered(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    await harness.submit("a", "done")
    await operator.expect("submit_unit")
    await operator.status("a", "completed")
    await page.expect("update_status", lambda packet: packet.data == {"status": "completed"})

    assert (await page.heartbeat()).data["status"] == "completed"


async def test_pages_are_kept_alive_while_the_operator_is_away(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router(operator_grace_seconds=0.5)
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"a": "in task"})
    page = await harness.page("a")
    lost_at = 0.0

    async def is_alive_within_the_grace() -> bool:
        nonlocal operator, lost_at
        operator = await harness.operator(after=operator)
        lost_at = trio.current_time()
        await operator.close()
        within = await page.heartbeat(at=100.0)
        return bool(within.data["last_mephisto_ping"] == 100_000)

    await attempt(is_alive_within_the_grace)
    with trio.fail_after(PATIENCE_SECONDS):
        while (ping := (await page.heartbeat(at=100.0)).data["last_mephisto_ping"]) == 100_000:
            await trio.lowlevel.checkpoint()
    gone_seconds = trio.current_time() - lost_at

    # After the grace the true age is told.
    assert 0.5 <= (100_000 - ping) / 1000 <= gone_seconds + 0.1
    await harness.operator()
    assert (await page.heartbeat(at=100.0)).data["last_mephisto_ping"] == 100_000


async def test_a_page_goes_on_with_a_router_that_was_started_again_before_its_operator(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"a": "waiting"})
    await operator.status("a", "in task")
    await operator.settled()
    await harness.page("a")
    # What is answered is durable, and with it what was there before.
    assert (await harness.submit("a", "early")).status_code == 200
    router.stop(signal.SIGKILL)
    router.start()

    # The client opens a new socket when its next heartbeat is due, and says that it is alive.
    page = await harness.page("a")

    assert page.statuses() == ["in task"]
    # Its clock is right, however long the operator takes: within the grace it does not leave.
    assert (await page.heartbeat(at=100.0)).data == {
        "last_mephisto_ping": 100_000,
        "status": "in task",
        "operator_away": False,
    }
    await page.say(text="to whom it may concern")
    successor = await harness.operator(after=operator)
    assert (await successor.expect("mephisto_bound_live_update")).data["text"] == "to whom it may concern"


# -- what is kept ----------------------------------------------------------------------------


async def test_what_comes_before_the_first_socket_is_kept_in_order(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "accepted"})
    for status, text in (("waiting", "one"), ("in task", "two"), ("in task", "three")):
        await operator.status("a", status)
        await operator.tell("a", text=text)
    await operator.settled()

    page = await harness.page("a")
    await operator.tell("a", text="four")
    for _ in range(4):
        await page.expect("client_bound_live_update")

    assert page.texts() == ["one", "two", "three", "four"]
    # Only the present status, and before everything else.
    assert page.statuses() == ["in task"]
    assert page.inbox.received[0].packet_type == "update_status"


async def test_what_comes_while_the_socket_is_down_is_kept(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    await operator.tell("a", text="seen")
    await page.expect("client_bound_live_update")
    await page.heartbeat()
    await page.close()
    await harness.wait_sockets(1)

    await operator.tell("a", text="missed")
    await operator.status("a", "partner disconnect")
    await operator.settled()
    again = await harness.page("a")
    await again.expect("client_bound_live_update")

    assert again.texts() == ["missed"]
    assert again.statuses() == ["partner disconnect"]


async def test_what_was_sent_into_a_dying_socket_is_sent_again(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    await page.heartbeat()
    for text in ("one", "two"):
        await operator.tell("a", text=text)
    await operator.settled()
    await page.vanish()
    await harness.wait_sockets(1)
    await operator.tell("a", text="three")

    again = await harness.page("a")
    for _ in range(3):
        await again.expect("client_bound_live_update")

    assert again.texts() == ["one", "two", "three"]


async def test_what_was_sent_into_a_dead_socket_is_sent_again_though_nobody_noticed(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    await page.heartbeat()
    await operator.tell("a", text="into the void")
    await operator.settled()

    # The page lost its network and opened a new socket; the router still believes in the old one.
    again = await harness.page("a")

    await again.expect("client_bound_live_update")
    assert again.texts() == ["into the void"]


async def test_what_is_kept_has_a_limit_and_the_newest_stay(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task"})
    for number in range(30):
        await operator.tell("a", text=number)
    await operator.settled()

    page = await tight.page("a")
    await page.expect("client_bound_live_update", lambda packet: packet.data["text"] == 29)

    assert page.texts() == list(range(10, 30))


async def test_what_is_kept_has_a_size_and_the_newest_stay(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    for number in range(6):
        await operator.tell("a", text=f"{number}" * 2**20)
    await operator.settled()

    page = await harness.page("a")

    await page.expect("client_bound_live_update", lambda packet: packet.data["text"].startswith("5"))
    assert [text[0] for text in page.texts()] == ["3", "4", "5"]


async def test_an_agent_of_a_new_operator_gets_the_status_that_changed(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "waiting", "b": "in task", "c": "in task"})
    pages = {token: await harness.page(token) for token in "abc"}

    successor = await harness.operator({"a": "in task", "b": "in task"}, after=operator)

    await pages["a"].expect("update_status", lambda packet: packet.data == {"status": "in task"})
    assert (await pages["b"].heartbeat()).data["status"] == "in task"
    assert pages["a"].statuses() == ["waiting", "in task"]
    assert pages["b"].statuses() == ["in task"]
    # The third is no longer known.
    await pages["c"].say(text="from nobody")
    await pages["b"].say(text="from b")
    assert (await successor.expect("mephisto_bound_live_update")).subject_id == "b"
    assert await successor.settled() == {"a": "in task", "b": "in task"}


# -- two sockets -----------------------------------------------------------------------------


async def test_the_socket_that_spoke_last_gets_the_packets(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    first = await harness.page("a")
    second = await harness.page("a")

    await operator.tell("a", text="to the second")
    await second.expect("client_bound_live_update")
    await first.heartbeat()
    await operator.tell("a", text="to the first")
    await first.expect("client_bound_live_update")
    await second.heartbeat()
    await operator.tell("a", text="to the second again")
    await second.expect("client_bound_live_update", lambda packet: packet.data["text"] == "to the second again")
    await first.heartbeat()

    assert first.texts() == ["to the first"]
    assert second.texts() == ["to the second", "to the second again"]


async def test_the_other_tab_takes_over_when_one_is_closed(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    first = await harness.page("a")
    second = await harness.page("a")
    await second.close()
    await harness.wait_sockets(2)
    await operator.tell("a", text="between the tabs")
    await operator.settled()

    await first.heartbeat()

    await first.expect("client_bound_live_update")
    assert first.texts() == ["between the tabs"]


async def test_an_agent_has_at_most_three_sockets_and_the_oldest_goes(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"a": "in task"})
    tabs = [await harness.page("a") for _ in range(3)]
    for tab in tabs:
        assert (await tab.heartbeat()).data["status"] == "in task"

    tabs.append(await harness.page("a"))

    assert await tabs[0].closing_code() == 1008
    # A tab that is closed makes room again.
    for tab in tabs[:2]:
        await tab.close()
    await harness.wait_sockets(3)
    tabs.append(await harness.page("a"))
    for tab in tabs[2:]:
        assert (await tab.heartbeat()).data["status"] == "in task"
    await operator.tell("a", text="to the last one")
    assert (await tabs[-1].expect("client_bound_live_update")).data["text"] == "to the last one"


async def test_after_an_onboarding_a_page_has_two_sockets(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"onboarding_a": "onboarding"})
    first = await harness.page("onboarding_a")
    await operator.status("onboarding_a", "waiting")
    await operator.status("a", "in task")
    second = await harness.page("a")

    await operator.tell("a", text="task")
    await operator.tell("onboarding_a", text="onboarding")
    await second.expect("client_bound_live_update")
    await first.expect("client_bound_live_update")

    assert (second.texts(), first.texts()) == (["task"], ["onboarding"])


# -- disconnects -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1001, 1005], ids=["the tab is closed", "the client closes it for good"])
async def test_a_closed_page_is_gone_after_the_limit(tight: RouterHarness, code: int) -> None:
    operator = await tight.operator({"a": "in task", "b": "in task"})
    page = await tight.page("a")
    await page.heartbeat()
    await page.close(code)

    pushed = await operator.expect("return_statuses", lambda packet: gone("a", packet.data))

    assert pushed.data == {"a": "disconnect"}
    assert await operator.settled() == {"a": "disconnect", "b": "in task"}


@pytest.mark.parametrize("heartbeats", [0, 1])
async def test_a_silent_page_is_gone_after_the_limit(tight: RouterHarness, heartbeats: int) -> None:
    operator = await tight.operator({"a": "in task"})
    page = await tight.page("a")
    for _ in range(heartbeats):
        await page.heartbeat()
    page.freeze()

    pushed = await operator.expect("return_statuses", lambda packet: gone("a", packet.data))

    assert pushed.data == {"a": "disconnect"}


async def freeze_until_gone(page: Page, operator: OperatorLink) -> None:
    """Let a page sleep for longer than the limit."""
    page.freeze()
    await operator.expect("return_statuses", lambda packet: gone(page.token, packet.data))


async def thaw_until_back(page: Page, operator: OperatorLink) -> None:
    """Let a page wake up."""
    page.thaw()
    await operator.expect("return_statuses", lambda packet: packet.data.get(page.token) == "in task")


async def test_a_page_with_a_heart_is_not_gone(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task", "b": "in task"})
    page, other = await tight.page("a"), await tight.page("b")

    async def beat() -> None:
        while True:
            await page.heartbeat()
            await trio.sleep(0.1)

    async def outlives_the_other() -> bool:
        await operator.settled()
        operator.inbox.forget()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            await freeze_until_gone(other, operator)
            statuses = await operator.settled()
            nursery.cancel_scope.cancel()
        stayed = not was_gone("a", operator) and statuses["a"] == "in task"
        await thaw_until_back(other, operator)
        return stayed

    await attempt(outlives_the_other)


async def test_a_page_whose_tab_sleeps_is_not_gone_while_its_socket_answers(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task", "b": "in task"})
    await tight.page("a")
    other = await tight.page("b")

    async def outlives_the_other() -> bool:
        await operator.settled()
        operator.inbox.forget()
        await freeze_until_gone(other, operator)
        await thaw_until_back(other, operator)
        await freeze_until_gone(other, operator)
        await thaw_until_back(other, operator)
        statuses = await operator.settled()
        return not was_gone("a", operator) and statuses == {"a": "in task", "b": "in task"}

    await attempt(outlives_the_other)


async def test_a_page_that_comes_back_is_reported_and_gets_what_it_missed(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task"})
    page = await tight.page("a")
    page.freeze()
    await operator.expect("return_statuses", lambda packet: gone("a", packet.data))
    await operator.tell("a", text="missed")
    await operator.settled()
    operator.inbox.forget()
    page.inbox.forget()

    # The very same socket speaks again.
    page.thaw()
    await page.heartbeat()

    await page.expect("client_bound_live_update")
    assert set(page.statuses()) == {"in task"}
    await operator.expect("return_statuses", lambda packet: packet.data == {"a": "in task"})


async def test_a_page_that_is_back_in_time_is_never_gone(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task", "marker": "in task"})
    marker = await tight.page("marker")
    page = await tight.page("a")

    async def is_back_in_time() -> bool:
        nonlocal page
        await operator.settled()
        operator.inbox.forget()
        await page.close()
        marker.freeze()
        page = await tight.page("a")
        # The marker left after the page did, so the limit of the page is over.
        while not was_gone("marker", operator):
            await page.heartbeat()
        stayed = not was_gone("a", operator)
        await thaw_until_back(marker, operator)
        return stayed

    await attempt(is_back_in_time)


async def test_an_agent_that_never_had_a_socket_is_not_gone(tight: RouterHarness) -> None:
    operator = await tight.operator({"static": "in task", "live": "in task"})
    (await tight.page("live")).freeze()

    await operator.expect("return_statuses", lambda packet: gone("live", packet.data))

    assert await operator.settled() == {"static": "in task", "live": "disconnect"}


# -- nonsense --------------------------------------------------------------------------------

NONSENSE = [
    "",
    "nonsense",
    "{",
    "[]",
    "null",
    "1",
    '"alive"',
    "{}",
    '{"packet_type": "alive"}',
    '{"packet_type": "alive", "subject_id": null}',
    '{"packet_type": "alive", "subject_id": ["a"]}',
    '{"packet_type": 7, "subject_id": "a"}',
    '{"packet_type": null, "subject_id": "a"}',
    '{"packet_type": "heartbeat"}',
    '{"packet_type": "agent_details", "subject_id": "a", "data": {"request_id": "x", "agent_id": "y"}}',
    '{"packet_type": "update_status", "subject_id": "a", "data": {"status": "completed"}}',
    '{"packet_type": "client_bound_live_update", "subject_id": "a", "data": {}}',
    '{"packet_type": "__proto__", "subject_id": "a"}',
    '{"packet_type": "alive", "subject_id": "__proto__"}',
    '{"packet_type": "mephisto_bound_live_update", "subject_id": "a"}',
    '{"packet_type": "mephisto_bound_live_update", "subject_id": "a", "data": "text"}',
    '[{"packet_type": "alive", "subject_id": "a"}]',
    '{"packet_type": "mephisto_bound_live_update", "subject_id": "a", "data": ' + "[" * 3000 + "]" * 3000 + "}",
]


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_is_dropped_and_counted(harness: RouterHarness, operator: OperatorLink, text: str) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")
    before = sum((await harness.counters())["dropped"].values())

    await page.send_text(text)
    assert (await page.heartbeat()).data["status"] == "in task"
    await page.say(text="still here")

    assert (await operator.expect("mephisto_bound_live_update")).data["text"] == "still here"
    assert sum((await harness.counters())["dropped"].values()) == before + 1
    assert page.statuses() == ["in task"]


async def test_a_binary_frame_is_dropped(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    await page.socket.send_message(b'{"packet_type": "alive", "subject_id": "a"}')

    assert (await page.heartbeat()).data["status"] == "in task"
    assert page.statuses() == ["in task"]


async def test_a_half_character_in_a_live_update_is_replaced(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    await page.send_text(
        '{"packet_type": "mephisto_bound_live_update", "subject_id": "a", "data": {"text": "\\ud83d"}}'
    )

    assert (await operator.expect("mephisto_bound_live_update")).data == {"text": "\ufffd"}


async def test_a_packet_over_the_limit_closes_the_socket(tight: RouterHarness) -> None:
    operator = await tight.operator({"a": "in task"})
    page = await tight.page("a")

    await page.say(text="x" * 20_000)

    assert await page.closing_code() in (1008, 1009)
    again = await tight.page("a")
    await again.say(text="x" * 9_000)
    assert len((await operator.expect("mephisto_bound_live_update")).data["text"]) == 9_000


async def test_a_nonsensical_operator_is_borne(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"a": "in task"})
    page = await harness.page("a")

    for text in (
        "nonsense",
        "7",
        '{"packet_type": "unheard of", "subject_id": "a"}',
        '{"packet_type": "update_status", "subject_id": "a", "data": {}}',
        '{"packet_type": "agents", "subject_id": "mephisto", "data": {"agents": ["a"]}}',
        '{"packet_type": "agent_details", "subject_id": "x", "data": null}',
        '{"packet_type": "ack", "subject_id": "mephisto", "data": {"seq": "1"}}',
        '{"packet_type": "client_bound_live_update", "subject_id": "nobody", "data": {}}',
        '[{"packet_type": "update_status", "subject_id": "a", "data": {}}, '
        '{"packet_type": "client_bound_live_update", "subject_id": "a", "data": {"text": "after"}}]',
    ):
        await operator.send_text(text)

    assert (await page.expect("client_bound_live_update")).data["text"] == "after"
    assert await operator.settled() == {"a": "in task"}
    assert page.statuses() == ["in task"]
    reports = [packet.data for packet in operator.inbox.of_type("router_report")]
    assert [report["what"] for report in reports] == ["malformed_packet"] * 8
    assert reports[2]["reason"] == "unheard of: 'unheard of' is not a packet type of the operator"
