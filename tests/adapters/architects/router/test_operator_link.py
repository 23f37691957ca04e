"""How router and operator notice each other: pulse, orderly departure, and whose pages are open."""

import trio

from .conftest import MakeHarness, MakeRouter
from .harness import Router, RouterHarness, attempt, was_gone

PAUSED = "This task is paused. Please come back later."


def started(make_router: MakeRouter, **settings: float) -> Router:
    router = make_router(**settings)
    router.start()
    return router


async def test_an_operator_that_hangs_is_away_and_pages_are_told(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    harness = make_harness(started(make_router, operator_silence_seconds=1))
    operator = await harness.operator({"a": "in task"})
    page = await harness.page("a")
    assert (await harness.counters())["operator_attached"]
    operator.freeze()
    while (await harness.counters())["operator_attached"]:
        await page.heartbeat()
    operator.thaw()
    await operator.closing_code()
    successor = await harness.operator(after=operator)
    assert await successor.settled() == {"a": "in task"}


async def test_an_operator_that_only_answers_pings_is_there(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    harness = make_harness(started(make_router, operator_silence_seconds=0.6, heartbeat_limit_seconds=1))

    async def is_there_beyond_the_silence() -> bool:
        operator = await harness.operator({"a": "in task"})
        page = await harness.page("a")
        page.freeze()
        # The page is gone more than the silence later, by the router's own clock.
        while (is_attached := (await harness.counters())["operator_attached"]) and not was_gone("a", operator):
            await trio.lowlevel.checkpoint()
        await page.close()
        await operator.close()
        return bool(is_attached)

    await attempt(is_there_beyond_the_silence)


async def test_a_page_shows_that_it_is_open(harness: RouterHarness) -> None:
    operator = await harness.operator({"a": "waiting", "b": "waiting", "c": "waiting", "d": "waiting"})
    await harness.page("a")
    frozen = await harness.page("b")
    closed = await harness.page("c")
    frozen.freeze()
    await closed.close()
    await operator.send("confirm_pages", "mephisto", {"agents": ["a", "b", "c", "d", "nobody"]})
    assert (await operator.expect("pages_confirmed")).data == {"agents": ["a"]}
    await harness.page("c")
    assert (await operator.expect("pages_confirmed")).data == {"agents": ["c"]}
    frozen.thaw()
    assert (await operator.expect("pages_confirmed")).data == {"agents": ["b"]}
    await harness.page("d")
    assert (await operator.expect("pages_confirmed")).data == {"agents": ["d"]}


async def test_a_page_is_told_of_once(harness: RouterHarness) -> None:
    operator = await harness.operator({"a": "waiting"})
    page = await harness.page("a")
    await operator.send("confirm_pages", "mephisto", {"agents": ["a"]})
    await operator.expect("pages_confirmed")
    await page.heartbeat()
    await operator.settled()
    assert len(operator.inbox.of_type("pages_confirmed")) == 1


async def test_an_operator_that_leaves_in_order_keeps_its_pages_beyond_the_grace(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    harness = make_harness(started(make_router, operator_grace_seconds=0.1, request_deadline_seconds=0.5))
    operator = await harness.operator({"a": "in task"})
    page = await harness.page("a")
    await operator.send("pausing", "mephisto", {"failure_reason": PAUSED})
    await operator.settled()
    await operator.close()
    await harness.wait_sockets(1)
    # They wait in case it is back soon, and are told the truth if it is not.
    answers = [(await harness.request_agent(f"newcomer {number}")).json()["data"] for number in range(3)]
    assert [answer["failure_reason"] for answer in answers] == [PAUSED] * 3
    assert (await page.heartbeat(at=100.0)).data["last_mephisto_ping"] == 100_000
    successor = await harness.operator(after=operator)
    assert (await harness.request_agent("late")).json()["data"]["failure_reason"] != PAUSED
    assert await successor.settled() == {"a": "in task"}


async def test_an_operator_that_just_dies_does_not(make_router: MakeRouter, make_harness: MakeHarness) -> None:
    harness = make_harness(started(make_router, operator_grace_seconds=0.1, request_deadline_seconds=0.3))
    operator = await harness.operator({"a": "in task"})
    page = await harness.page("a")
    await operator.vanish()
    await harness.wait_sockets(1)
    assert "busy" in (await harness.request_agent()).json()["data"]["failure_reason"]
    assert (await page.heartbeat(at=100.0)).data["last_mephisto_ping"] < 100_000


async def test_a_large_submission_reaches_the_operator_whole(harness: RouterHarness) -> None:
    operator = await harness.operator({"a": "in task", "b": "in task"})
    for token, values in (("a", ["\u00e4", 1.5] * 70_000), ("b", [])):
        assert (await harness.submit(token, values)).status_code == 200
        packet = await operator.expect("submit_unit")
        assert (packet.subject_id, packet.data) == (token, {"final_data": values})
