"""Nothing a worker was told "Submitted!" about is lost, doubled or out of order."""

import resource
import signal
import sys
import zlib
from typing import Any

import msgspec
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, Data, OperatorLink, Router, RouterHarness, attempt, error_of, was_gone

#: A journal over this is written anew once nothing in it is needed.
REWRITE_BYTES = 16 * 2**20


@pytest.fixture
async def own(make_router: MakeRouter, make_harness: MakeHarness) -> RouterHarness:
    """A router of the test's own, which knows the agents `a` and `b`; no operator is attached."""
    router = make_router()
    router.start()
    harness = make_harness(router)
    await knowing(harness, {"a": "in task", "b": "waiting"})
    return harness


async def knowing(harness: RouterHarness, agents: dict[str, str]) -> None:
    """Have an operator come, make agents known, and go."""
    operator = await harness.operator(agents)
    await operator.close()


async def submit(harness: RouterHarness, *final_data: Any, token: str = "a") -> None:
    for item in final_data:
        answer = await harness.submit(token, item)
        assert answer.status_code == 200
        assert answer.json() == {"status": "Submitted!"}


async def arrivals(operator: OperatorLink, count: int) -> list[Any]:
    """Return the submissions in the order of arrival, once as many as expected have come and no more follow."""
    packets = [await operator.expect("submit_unit") for _ in range(count)]
    await operator.settled()
    assert len(operator.inbox.of_type("submit_unit")) == count
    return [packet.data["final_data"] for packet in packets]


def lines(router: Router) -> list[Data]:
    """The journal's lines, each checked against its sum."""
    (journal,) = router.journals()
    decoded = []
    for line in journal.read_bytes().splitlines():
        checksum, _, json = line.partition(b" ")
        assert checksum == b"%08x" % zlib.crc32(json)
        decoded.append(msgspec.json.decode(json, type=Data))
    return decoded


# -- without an operator ---------------------------------------------------------------------


async def test_what_was_submitted_to_nobody_arrives_once_and_in_order(own: RouterHarness) -> None:
    page = await own.page("b")
    await submit(own, *range(20))
    await page.say(text="live")
    await page.heartbeat()
    body = {"USED_AGENT_ID": "a", "metadata": {"tips": {"text": "be kind"}}}
    assert (await own.http.post("/submit_metadata", json=body)).status_code == 200

    operator = await own.operator()

    assert await arrivals(operator, 20) == list(range(20))
    assert (await operator.expect("mephisto_bound_live_update")).data["text"] == "live"
    assert (await operator.expect("submit_metadata")).data == {"metadata": {"tips": {"text": "be kind"}}}
    first = operator.state["first_unacked"]
    assert operator.numbers() == list(range(first, first + 22))
    assert operator.state["next_seq"] == first + 22
    # The state is told before anything else.
    assert operator.inbox.received[0].packet_type == "router_state"


async def test_an_operator_of_a_router_without_a_past_is_told_so(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.settled()
    successor = await harness.operator(after=operator)

    assert successor.state["first_unacked"] is None
    assert isinstance(successor.state["incarnation"], str)
    assert isinstance(successor.state["next_seq"], int)
    await successor.settled()
    assert successor.numbers() == []


async def test_a_long_absence_is_caught_up(own: RouterHarness) -> None:
    page = await own.page("b")
    for number in range(3000):
        await page.say(number=number)
    await page.heartbeat()

    operator = await own.operator()
    packets = [await operator.expect("mephisto_bound_live_update") for _ in range(3000)]

    assert [packet.data["number"] for packet in packets] == list(range(3000))
    assert operator.numbers() == [packet.seq for packet in packets]


# -- acknowledgements ------------------------------------------------------------------------


async def test_what_is_not_acknowledged_comes_again(own: RouterHarness) -> None:
    first = await own.operator()
    await submit(own, "one", "two", "three")
    assert await arrivals(first, 3) == ["one", "two", "three"]
    numbers = first.numbers()
    await first.ack(numbers[0])
    await first.settled()
    await first.close()

    second = await own.operator(after=first)
    assert second.state["incarnation"] == first.state["incarnation"]
    assert second.state["first_unacked"] == numbers[1]
    assert await arrivals(second, 2) == ["two", "three"]
    assert second.numbers() == numbers[1:]
    await second.ack(numbers[2])
    await second.settled()

    third = await own.operator(after=second)
    assert third.state["first_unacked"] is None
    await submit(own, "four")
    assert await arrivals(third, 1) == ["four"]
    assert third.numbers() == [numbers[2] + 1]


async def test_what_the_operator_says_it_has_is_not_sent(own: RouterHarness) -> None:
    first = await own.operator()
    await submit(own, "one", "two", "three")
    await arrivals(first, 3)
    numbers = first.numbers()

    second = await own.operator(after=first, acked=numbers[1])

    assert second.state["first_unacked"] == numbers[2]
    assert await arrivals(second, 1) == ["three"]


async def test_an_operator_of_another_past_gets_everything(own: RouterHarness) -> None:
    await submit(own, "one")
    other = await own.operator()
    other.state["incarnation"] = "of another router"

    operator = await own.operator(after=other, acked=1_000_000)

    assert await arrivals(operator, 1) == ["one"]


async def test_strange_acknowledgements_are_ignored(own: RouterHarness) -> None:
    first = await own.operator()
    await submit(own, "one", "two")
    await arrivals(first, 2)
    last = first.numbers()[-1]

    await first.ack(last, incarnation="of another router")
    await first.ack(last + 1000)
    await first.ack(-5)
    await first.settled()
    second = await own.operator(after=first)
    assert await arrivals(second, 2) == ["one", "two"]
    await second.ack(last)
    await second.ack(last - 1)
    await second.settled()

    assert (await own.operator(after=second)).state["first_unacked"] is None


async def test_an_outbox_has_its_figures(own: RouterHarness) -> None:
    await submit(own, "one", "two")
    full = await own.counters()
    operator = await own.operator()
    await arrivals(operator, 2)
    await operator.ack(operator.numbers()[-1])
    await operator.settled()
    empty = await own.counters()

    assert (full["outbox_length"], empty["outbox_length"]) == (2, 0)
    assert full["outbox_bytes"] > 0
    assert empty["outbox_bytes"] == 0
    assert full["known_agents"] >= 2
    assert full["sockets"] == 0


# -- restarts --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_router_that_is_started_again_goes_on(own: RouterHarness, how: signal.Signals) -> None:
    first = await own.operator()
    await submit(own, "one", "two")
    await arrivals(first, 2)
    await first.ack(first.numbers()[0])
    await first.status("b", "in task")
    await first.settled()
    await first.close()
    await submit(own, "three")

    own.router.stop(how)
    own.router.start()
    # It knows the agents though no operator has told it yet.
    await submit(own, "four", token="b")
    page = await own.page("b")
    second = await own.operator(after=first)

    assert page.statuses() == ["in task"]
    assert second.state["incarnation"] == first.state["incarnation"]
    assert await arrivals(second, 3) == ["two", "three", "four"]
    assert second.numbers() == [first.numbers()[1], first.numbers()[1] + 1, first.numbers()[1] + 2]


async def test_every_submission_that_was_answered_survives_a_kill(own: RouterHarness) -> None:
    told: list[int] = []

    async def submit_one(number: int) -> None:
        if (await own.submit("a", number)).status_code == 200:
            told.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(submit_one, number)
    own.router.stop(signal.SIGKILL)
    own.router.start()
    operator = await own.operator()

    assert len(told) == 50
    assert sorted(await arrivals(operator, 50)) == list(range(50))


async def test_an_agent_that_was_given_is_known_after_a_kill(own: RouterHarness, nursery: trio.Nursery) -> None:
    operator = await own.operator()
    answers = []

    async def ask() -> None:
        answers.append(await own.request_agent())
        own.router.stop(signal.SIGKILL)
        done.set()

    done = trio.Event()
    nursery.start_soon(ask)
    await operator.answer(await operator.expect("register_agent"), "given", status="in task")
    with trio.fail_after(PATIENCE_SECONDS):
        await done.wait()
    own.router.start()

    assert answers[0].json()["data"]["agent_id"] == "given"
    await submit(own, "late", token="given")


async def test_a_forgotten_agent_is_unknown_after_a_restart(own: RouterHarness) -> None:
    operator = await own.operator()
    await operator.agents({"b": "in task"})
    await operator.settled()
    own.router.stop()
    own.router.start()

    assert (await own.submit("a", 1)).status_code == 403
    assert (await own.submit("b", 1)).status_code == 200


@pytest.mark.parametrize("left_before_the_kill", [True, False])
async def test_a_page_that_does_not_come_back_after_a_restart_is_gone(
    make_router: MakeRouter, make_harness: MakeHarness, *, left_before_the_kill: bool
) -> None:
    router = make_router(heartbeat_limit_seconds=0.5)
    router.start()
    harness = make_harness(router)
    agents = {"static": "in task", "live": "in task"}
    operator = await harness.operator(agents)
    page = await harness.page("live")
    # What the operator gets is durable, and with it that the page was there.
    await page.say(text="here I am")
    await operator.expect("mephisto_bound_live_update")
    if left_before_the_kill:
        await page.close()
    await operator.settled()
    router.stop(signal.SIGKILL)
    router.start()

    operator = await harness.operator(agents, after=operator)
    await operator.expect("return_statuses", lambda packet: packet.data.get("live") == "disconnect")

    assert await operator.settled() == {"static": "in task", "live": "disconnect"}


async def test_a_page_that_waits_for_an_operator_has_its_time_when_there_is_one(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    """It was loaded anew while there was none, so it has no socket until it is told its agent."""
    router = make_router(heartbeat_limit_seconds=0.5)
    router.start()
    harness = make_harness(router)
    agents = {"a": "in task"}

    async def has_its_time() -> bool:
        operator = await harness.operator(agents)
        page = await harness.page("a")
        await page.heartbeat()
        await operator.close()
        await page.close()
        nursery.start_soon(harness.request_agent)
        await trio.sleep(0.7)
        operator = await harness.operator(agents, after=operator)
        await operator.answer(await operator.expect("register_agent"), "a", status="in task")
        page = await harness.page("a")
        await page.heartbeat()
        statuses = await operator.settled()
        await page.close()
        return statuses == {"a": "in task"} and not was_gone("a", operator)

    await attempt(has_its_time)


# -- the journal -----------------------------------------------------------------------------


async def test_the_journal_is_written_as_agreed(own: RouterHarness) -> None:
    operator = await own.operator()
    await submit(own, "ä")
    await arrivals(operator, 1)
    (seq,) = operator.numbers()
    await operator.ack(seq)
    await operator.settled()
    own.router.stop()

    header, *rest = lines(own.router)
    (journal,) = own.router.journals()
    assert journal.name == f"journal-{header['incarnation']}.jsonl"
    assert header == {"incarnation": operator.state["incarnation"], "next_seq": seq}
    assert {"agent": "a", "status": "in task"} in rest
    assert {"agent": "b", "status": "waiting"} in rest
    (packet,) = [line for line in rest if "packet" in line]
    assert packet["seq"] == seq
    assert packet["packet"]["packet_type"] == "submit_unit"
    assert packet["packet"]["data"] == {"final_data": "ä"}
    assert {"ack": seq} in rest


@pytest.mark.parametrize("tail", [b"deadbeef", b'deadbeef {"seq": 99, "packet": {}}\n', b"\0" * 5000, b"\n"])
async def test_a_torn_end_is_cut_off(own: RouterHarness, tail: bytes) -> None:
    await submit(own, "one", "two")
    own.router.stop(signal.SIGKILL)
    (journal,) = own.router.journals()
    with journal.open("ab") as file:
        file.write(tail)

    own.router.start()
    await submit(own, "three")
    operator = await own.operator()

    assert await arrivals(operator, 3) == ["one", "two", "three"]
    assert operator.numbers() == list(range(operator.numbers()[0], operator.numbers()[0] + 3))
    assert lines(own.router)


@pytest.mark.parametrize("lost_bytes", [1, 30])
async def test_a_cut_off_end_loses_only_itself(own: RouterHarness, lost_bytes: int) -> None:
    await submit(own, "one", "two")
    own.router.stop(signal.SIGKILL)
    (journal,) = own.router.journals()
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-lost_bytes])

    own.router.start()
    operator = await own.operator()

    assert await arrivals(operator, 1) == ["one"]


async def test_damage_in_the_middle_stops_the_start(own: RouterHarness) -> None:
    await submit(own, "one", "two", "three")
    own.router.stop()
    (journal,) = own.router.journals()
    text = bytearray(journal.read_bytes())
    number = text.count(b"\n", 0, text.index(b'"one"')) + 1
    text[text.index(b'"one"') + 1] ^= 1
    journal.write_bytes(text)

    status, _, complaint = own.router.run_to_the_end()

    assert status not in (0, None)
    assert journal.name in complaint
    assert f"line {number}" in complaint
    assert journal.read_bytes() == bytes(text)


async def test_a_journal_of_the_past_is_written_anew(own: RouterHarness) -> None:
    await submit(own, *["x" * 6_000_000] * 3)
    operator = await own.operator()
    packets = [await operator.expect("submit_unit") for _ in range(3)]
    (journal,) = own.router.journals()
    assert journal.stat().st_size > REWRITE_BYTES
    assert packets[-1].seq is not None

    await operator.ack(packets[-1].seq)
    with trio.fail_after(PATIENCE_SECONDS):
        while journal.stat().st_size > 100_000:
            await own.counters()
    await submit(own, "after")
    own.router.stop(signal.SIGKILL)
    own.router.start()
    successor = await own.operator(after=operator)

    assert own.router.journals() == [journal]
    assert successor.state["incarnation"] == operator.state["incarnation"]
    assert await arrivals(successor, 1) == ["after"]
    assert successor.numbers() == [packets[-1].seq + 1]
    assert await successor.settled() == {"a": "in task", "b": "waiting"}


async def test_a_directory_has_one_router(own: RouterHarness, make_router: MakeRouter) -> None:
    status, output, complaint = make_router().run_to_the_end()

    assert status == 2
    assert output == ""
    assert str(own.router.data) in complaint
    await submit(own, "still served")


# -- when there is no room -------------------------------------------------------------------


async def test_a_full_outbox_is_507_until_there_is_room(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    router = make_router(max_outbox_bytes=5000)
    router.start()
    harness = make_harness(router)
    await knowing(harness, {"a": "in task"})
    taken = 0
    while (answer := await harness.submit("a", "x" * 500)).status_code == 200:
        taken += 1
        assert taken < 20

    assert answer.status_code == 507
    error_of(answer)
    assert taken > 3
    # What a page says on its socket is dropped, and it stays connected.
    page = await harness.page("a")
    await page.say(text="x" * 500)
    assert (await page.heartbeat()).data["status"] == "in task"
    assert (await harness.counters())["dropped"]["outbox_full"] == 1
    operator = await harness.operator()
    assert await arrivals(operator, taken) == ["x" * 500] * taken
    await operator.ack(operator.numbers()[-1])
    await operator.settled()
    await submit(harness, "there is room again")
    assert (await operator.expect("submit_unit")).data["final_data"] == "there is room again"
    assert not operator.inbox.of_type("mephisto_bound_live_update")


async def test_agents_are_still_given_when_the_outbox_is_full(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router(max_outbox_bytes=10)
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({"a": "in task"})
    answers = []

    async def ask() -> None:
        answers.append(await harness.request_agent())
        answered.set()

    answered = trio.Event()
    assert (await harness.submit("a", 1)).status_code == 507
    nursery.start_soon(ask)
    await operator.answer(await operator.expect("register_agent"), "given")
    with trio.fail_after(PATIENCE_SECONDS):
        await answered.wait()

    assert answers[0].json()["data"]["agent_id"] == "given"


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process is set from outside")
async def test_a_disk_that_takes_nothing_is_503_until_it_does(own: RouterHarness) -> None:
    await submit(own, "one")
    process = own.router.process
    assert process is not None
    (journal,) = own.router.journals()
    size = journal.stat().st_size
    unlimited = resource.RLIM_INFINITY

    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size + 100, unlimited))
    refused = await own.submit("a", "x" * 1000)
    page = await own.page("b")
    await page.say(text="x" * 1000)
    await page.heartbeat()
    again = await own.submit("a", "x" * 1000)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    await submit(own, "two")

    assert refused.status_code == again.status_code == 503
    error_of(refused)
    operator = await own.operator()
    assert await arrivals(operator, 2) == ["one", "two"]
    assert operator.numbers() == list(range(operator.numbers()[0], operator.numbers()[0] + 2))
    own.router.stop(signal.SIGKILL)
    own.router.start()
    successor = await own.operator(after=operator)
    assert await arrivals(successor, 2) == ["one", "two"]


async def test_numbers_go_on_after_everything_was_acknowledged(own: RouterHarness) -> None:
    operator = await own.operator()
    await submit(own, "one")
    await arrivals(operator, 1)
    (seq,) = operator.numbers()
    await operator.ack(seq)
    await operator.settled()
    for _ in range(2):
        own.router.stop(signal.SIGKILL)
        own.router.start()
    await submit(own, "two")

    successor = await own.operator(after=operator, acked=seq)

    assert await arrivals(successor, 1) == ["two"]
    assert successor.numbers() == [seq + 1]


# -- the end of a run ------------------------------------------------------------------------


async def test_a_drained_router_takes_nothing_more_and_says_up_to_where_it_took(own: RouterHarness) -> None:
    operator = await own.operator()
    page = await own.page("b")
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(submit, own, number)
    await page.say(text="last words")
    await page.heartbeat()
    await operator.send("drain", "mephisto", {})
    closed = (await operator.expect("router_state")).data

    assert closed["closed"] is True
    assert operator.numbers() == list(range(closed["first_unacked"], closed["next_seq"]))
    assert len(operator.numbers()) == 21
    for path, body in (
        ("/submit_task", {"USED_AGENT_ID": "a", "final_data": "late"}),
        ("/submit_metadata", {"USED_AGENT_ID": "a", "metadata": {"tips": {}}}),
        ("/return_task", {"USED_AGENT_ID": "a"}),
    ):
        assert (await own.http.post(path, json=body)).status_code == 507
    await page.say(text="too late")
    await page.heartbeat()
    await operator.settled()
    assert len(operator.numbers()) == 21

    await operator.ack(closed["next_seq"] - 1)
    await operator.send("drain", "mephisto", {})
    assert (await operator.expect("router_state")).data == closed | {"first_unacked": None}

    successor = await own.operator(after=operator)
    assert successor.state["closed"] is False
    await submit(own, "again")
    await successor.expect("submit_unit", lambda packet: packet.data["final_data"] == "again")
