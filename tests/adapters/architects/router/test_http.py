"""Requests that pages post: for an agent, onboarding, submissions, metadata, errors."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, OperatorLink, Packet, RouterHarness, attempt, error_of

BUSY = "The task server is busy at the moment, please try again in a minute..."


async def test_the_server_is_alive_and_knows_the_time(harness: RouterHarness) -> None:
    alive = await harness.http.get("/is_alive")
    timestamp = await harness.http.get("/get_timestamp")

    assert alive.json() == {"status": "Alive!"}
    assert 1_700_000_000_000 < timestamp.json()["timestamp"] < 5_000_000_000_000
    assert isinstance(timestamp.json()["timestamp"], int)


class Asking:
    """An HTTP request that is under way while the test goes on."""

    def __init__(self, nursery: trio.Nursery, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._answered = trio.Event()
        self._answer: httpx.Response | None = None
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        self._answer = await self._ask()
        self._answered.set()

    @property
    def is_answered(self) -> bool:
        return self._answered.is_set()

    async def answer(self) -> httpx.Response:
        with trio.fail_after(PATIENCE_SECONDS):
            await self._answered.wait()
        assert self._answer is not None
        return self._answer


# -- /request_agent --------------------------------------------------------------------------


async def test_an_agent_is_asked_for_and_given(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    asking = Asking(nursery, harness.request_agent)
    question = await operator.expect("register_agent")
    await operator.answer(question, "token-of-the-agent")
    answer = await asking.answer()

    assert question.subject_id == question.data["request_id"]
    assert question.data["provider_data"] == {
        "worker_name": "W",
        "agent_registration_id": "A-W",
        "provider_type": "mock",
    }
    assert question.client_timestamp == 1795290650.597
    assert question.seq is None
    assert answer.status_code == 200
    assert answer.headers["content-type"].replace(" ", "") == "application/json;charset=utf-8"
    packet = answer.json()
    assert packet["packet_type"] == "agent_details"
    assert packet["data"] == {
        "request_id": question.data["request_id"],
        "worker_id": "17",
        "agent_id": "token-of-the-agent",
        "init_task_data": {"text": "Item #1", "number": 1},
        "failure_reason": None,
    }
    assert packet["server_timestamp"] == 1.25
    assert packet["router_incoming_timestamp"] > 1_700_000_000


@pytest.mark.parametrize("field", ["worker_name", "agent_registration_id"])
@pytest.mark.parametrize(
    "name", ["", " ", "\x00", "a\nb", "ends\n", "\x1b[31mred", "\x7f", "\x85", "x" * 256, 7, None, ["a"]], ids=repr
)
async def test_a_name_that_is_none_is_refused(
    harness: RouterHarness, operator: OperatorLink, field: str, name: object
) -> None:
    names = {"worker_name": "W", "agent_registration_id": "A-W", field: name}

    answer = await harness.http.post("/request_agent", json={"provider_data": names})

    assert answer.status_code == 400
    assert field in error_of(answer)
    await operator.settled()
    assert operator.inbox.of_type("register_agent") == []


@pytest.mark.parametrize("name", ["W", "ü" * 255, "名前 with spaces", "🦉" * 255, "a\u2028b"])
async def test_a_name_is_passed_on(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery, name: str
) -> None:
    names = {"worker_name": name, "agent_registration_id": name}
    asking = Asking(nursery, lambda: harness.http.post("/request_agent", json={"provider_data": names}))

    question = await operator.expect("register_agent")

    assert question.data["provider_data"] == names
    await operator.answer(question, None)
    assert (await asking.answer()).status_code == 200


@pytest.mark.parametrize(
    "details",
    [
        {"worker_id": None, "failure_reason": "You are not currently qualified to work on this task..."},
        {
            "worker_id": "3",
            "failure_reason": "There is currently no available work, please try again later...",
        },
    ],
)
async def test_a_refusal_is_told_as_it_is(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery, details: dict[str, Any]
) -> None:
    asking = Asking(nursery, harness.request_agent)
    await operator.answer(await operator.expect("register_agent"), None, **details)
    answer = await asking.answer()

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["agent_id"] is None
    assert data["init_task_data"] is None
    assert data["worker_id"] == details["worker_id"]
    assert data["failure_reason"] == details["failure_reason"]


async def test_what_the_provider_puts_into_the_query_does_not_matter(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    names = {"worker_name": "W", "agent_registration_id": "Ä"}
    body = {"provider_data": {**names, "nested": {"deep": [1, 2.5, None]}}}
    asking = Asking(nursery, lambda: harness.http.post("/request_agent?PROLIFIC_PID=1&x=%20", json=body))
    question = await operator.expect("register_agent")
    await operator.answer(question, "of-the-query")

    assert question.data["provider_data"] == body["provider_data"]
    assert (await asking.answer()).status_code == 200


async def test_two_tabs_ask_at_once_and_both_are_answered(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    tabs = [Asking(nursery, harness.request_agent) for _ in range(2)]
    questions = [await operator.expect("register_agent") for _ in tabs]
    assert questions[0].data["request_id"] != questions[1].data["request_id"]
    for question in reversed(questions):
        await operator.answer(question, "one-agent")

    for tab in tabs:
        assert (await tab.answer()).json()["data"]["agent_id"] == "one-agent"


@pytest.mark.parametrize("is_attached", [True, False])
async def test_nobody_waits_for_ever(make_router: MakeRouter, make_harness: MakeHarness, *, is_attached: bool) -> None:
    router = make_router(request_deadline_seconds=0.3)
    router.start()
    harness = make_harness(router)
    if is_attached:
        await harness.operator({})

    answer = await harness.request_agent()

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert data["agent_id"] is None
    assert data["init_task_data"] is None
    assert data["failure_reason"] == BUSY


async def test_an_answer_after_the_deadline_does_no_harm(tight: RouterHarness) -> None:
    operator = await tight.operator({})

    async def is_known_after_the_deadline() -> bool:
        await operator.agents({})
        await given_late(tight, operator, "late")
        statuses = await operator.settled()
        assert (await tight.submit("late", 1)).status_code == 200
        return statuses == {"late": "in task"}

    await attempt(is_known_after_the_deadline)


async def given_late(harness: RouterHarness, operator: OperatorLink, token: str) -> None:
    """Ask for an agent, and be given it when nobody waits for it any more."""
    assert (await harness.request_agent()).json()["data"]["failure_reason"] == BUSY
    question = await operator.expect("register_agent")
    await operator.status(token, "in task")
    await operator.answer(question, token, status="in task")


async def the_limit_is_over(harness: RouterHarness, operator: OperatorLink) -> None:
    """Return when an agent is reported gone that nobody waited for: all before it would have been reported."""
    await given_late(harness, operator, "marker")
    await operator.expect("return_statuses", lambda packet: packet.data.get("marker") == "disconnect")


async def test_an_agent_that_nobody_waited_for_is_reported_gone(tight: RouterHarness) -> None:
    operator = await tight.operator({"static": "in task"})
    await given_late(tight, operator, "late")

    await operator.expect("return_statuses", lambda packet: packet.data.get("late") == "disconnect")

    assert await operator.settled() == {"static": "in task", "late": "disconnect"}
    successor = await tight.operator({"static": "in task", "late": "in task"}, after=operator)
    await successor.expect("return_statuses", lambda packet: packet.data.get("late") == "disconnect")


async def test_a_page_that_goes_gives_its_place_up(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router(max_sockets=1, heartbeat_limit_seconds=0.4)
    router.start()
    harness = make_harness(router)
    operator = await harness.operator({})
    with trio.CancelScope() as visit:
        async with trio.open_nursery() as page:
            page.start_soon(harness.request_agent)
            question = await operator.expect("register_agent")
            visit.cancel()

    # Its place is free once the router has noticed.
    async def ask_until_there_is_room() -> None:
        while not operator.inbox.of_type("register_agent")[1:]:
            await harness.request_agent()

    nursery.start_soon(ask_until_there_is_room)
    await operator.expect("register_agent")
    await operator.answer(question, "left", status="waiting")
    assert (await operator.expect("return_statuses")).data == {"left": "disconnect"}


async def test_an_agent_that_is_asked_for_again_in_time_is_there(tight: RouterHarness, nursery: trio.Nursery) -> None:
    operator = await tight.operator({})

    async def is_there() -> bool:
        await operator.agents({})
        await operator.settled()
        operator.inbox.forget()
        await given_late(tight, operator, "late")
        again = Asking(nursery, tight.request_agent)
        await operator.answer(await operator.expect("register_agent"), "late", status="in task")
        was_in_time = (await again.answer()).json()["data"]["agent_id"] == "late"
        await the_limit_is_over(tight, operator)
        return was_in_time and (await operator.settled())["late"] == "in task"

    await attempt(is_there)


async def test_an_agent_that_a_page_has_is_not_missed_where_a_second_tab_left(tight: RouterHarness) -> None:
    operator = await tight.operator({"static": "in task"})
    await given_late(tight, operator, "static")

    await the_limit_is_over(tight, operator)

    assert (await operator.settled())["static"] == "in task"


async def test_a_request_waits_for_the_operator(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    asking = Asking(nursery, harness.request_agent)

    operator = await harness.operator({})
    await operator.answer(await operator.expect("register_agent"), "after-the-wait")

    assert (await asking.answer()).json()["data"]["agent_id"] == "after-the-wait"


async def test_an_open_question_is_put_to_the_next_operator_an_answered_one_is_not(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    answered = Asking(nursery, lambda: harness.request_agent("answered"))
    await operator.answer(await operator.expect("register_agent"), "first")
    await answered.answer()
    asking = Asking(nursery, lambda: harness.request_agent("open"))
    question = await operator.expect("register_agent")

    successor = await harness.operator()
    again = await successor.expect("register_agent")
    await successor.answer(again, "second")

    assert again.data == question.data
    assert (await asking.answer()).json()["data"]["agent_id"] == "second"
    await successor.settled()
    assert len(successor.inbox.of_type("register_agent")) == 1


# -- onboarding ------------------------------------------------------------------------------


async def submit_onboarding(harness: RouterHarness, token: str, **data: Any) -> httpx.Response:
    body = {"provider_data": {"USED_AGENT_ID": token, **data}, "client_timestamp": 1795291708.975}
    return await harness.http.post("/submit_onboarding", json=body)


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        (
            {"onboarding_data": {"success": True, "answer": "I read it"}},
            {"success": True, "answer": "I read it"},
        ),
        ({"onboarding_data": None}, None),
        ({}, {}),
    ],
)
async def test_an_onboarding_leads_to_the_tasks_agent(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery, sent: dict[str, Any], arrived: object
) -> None:
    asking = Asking(nursery, harness.request_agent)
    await operator.answer(await operator.expect("register_agent"), "onboarding_x", status="onboarding")
    assert (await asking.answer()).json()["data"]["agent_id"] == "onboarding_x"

    asking = Asking(nursery, lambda: submit_onboarding(harness, "onboarding_x", **sent))
    submission = await operator.expect("submit_onboarding")
    await operator.answer(submission, "task-agent", status="accepted")
    answer = await asking.answer()

    assert submission.subject_id == "onboarding_x"
    assert submission.data["onboarding_data"] == arrived
    assert submission.client_timestamp == 1795291708.975
    assert submission.seq is not None
    assert answer.status_code == 200
    assert answer.json()["packet_type"] == "agent_details"
    assert answer.json()["data"]["agent_id"] == "task-agent"


async def test_an_onboarding_submitted_twice_is_answered_twice(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    await operator.status("onboarding_twice", "onboarding")
    clicks = [Asking(nursery, lambda: submit_onboarding(harness, "onboarding_twice")) for _ in range(2)]
    for _ in clicks:
        await operator.answer(await operator.expect("submit_onboarding"), "the-one-agent")

    for click in clicks:
        assert (await click.answer()).json()["data"]["agent_id"] == "the-one-agent"


async def test_an_onboarding_is_kept_though_nobody_answers_in_time(tight: RouterHarness) -> None:
    operator = await tight.operator({"onboarding_slow": "onboarding"})

    answer = await submit_onboarding(tight, "onboarding_slow", onboarding_data=[1])

    assert answer.json()["data"]["agent_id"] is None
    assert answer.json()["data"]["failure_reason"] == BUSY
    assert (await operator.expect("submit_onboarding")).data["onboarding_data"] == [1]


# -- /submit_task ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "final_data",
    [
        {"note": "…", "rating": "good"},
        {},
        [],
        None,
        'text with "quotes", \\ and \u2028',
        0,
        -1.5e300,
        2**53,
        False,
        [{"deep": [[[{"ä": "🦉"}]]]}],
        {"": "", "a\nb": "\t\r\n\x00"},
    ],
)
async def test_any_json_is_submitted_as_it_is(
    harness: RouterHarness, operator: OperatorLink, final_data: object
) -> None:
    await operator.agents({"worker": "in task"})
    await operator.settled()

    answer = await harness.submit("worker", final_data)
    packet = await operator.expect("submit_unit")

    assert answer.status_code == 200
    assert answer.json() == {"status": "Submitted!"}
    assert packet.subject_id == "worker"
    assert packet.data == {"final_data": final_data}
    assert packet.client_timestamp == 1795290651.72
    assert packet.router_incoming_timestamp is not None


async def test_a_submission_without_data_is_null(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"empty-handed": "in task"})
    await operator.settled()

    answer = await harness.http.post("/submit_task", json={"USED_AGENT_ID": "empty-handed"})

    assert answer.status_code == 200
    assert (await operator.expect("submit_unit")).data == {"final_data": None}


async def test_each_submission_is_answered_the_same_and_passed_on(
    harness: RouterHarness, operator: OperatorLink
) -> None:
    await operator.agents({"eager": "in task"})
    await operator.settled()

    answers = [await harness.submit("eager", "first"), await harness.submit("eager", "double click")]
    await operator.status("eager", "completed")
    await operator.settled()
    answers.append(await harness.submit("eager", "other tab"))

    assert [answer.json() for answer in answers] == [{"status": "Submitted!"}] * 3
    arrived = [(await operator.expect("submit_unit")).data["final_data"] for _ in answers]
    assert arrived == ["first", "double click", "other tab"]


@pytest.mark.parametrize("size", [90_000, 1_000_000, 5_000_000])
async def test_large_submissions_pass(harness: RouterHarness, operator: OperatorLink, size: int) -> None:
    await operator.agents({"diligent": "in task"})
    await operator.settled()

    assert (await harness.submit("diligent", "x" * size)).status_code == 200

    assert len((await operator.expect("submit_unit")).data["final_data"]) == size


@pytest.mark.parametrize(
    ("text", "arrived"),
    [
        # Laid out over several lines.
        (b'{\r\n "USED_AGENT_ID": "author",\n "final_data": {"a":\n1.0}\n}', {"a": 1.0}),
        # A character that was cut in half by the page is replaced: the operator could not read it.
        (
            b'{"USED_AGENT_ID": "author", "final_data": "half \\ud83d, whole \\ud83e\\udd89, \\\\ud83d"}',
            "half \ufffd, whole 🦉, \\ud83d",
        ),
        (b'{"USED_AGENT_ID": "author", "final_data": 1, "unknown": [2]}', 1),
        (b'{"USED_AGENT_ID": "author", "final_data": 1e3, "client_timestamp": null}', 1000),
    ],
)
async def test_unusual_json_arrives(
    harness: RouterHarness, operator: OperatorLink, text: bytes, arrived: object
) -> None:
    await operator.agents({"author": "in task"})
    await operator.settled()

    answer = await harness.http.post("/submit_task", content=text, headers={"Content-Type": "application/json"})

    assert answer.status_code == 200, answer.text
    assert (await operator.expect("submit_unit")).data == {"final_data": arrived}


BROKEN = [
    b"",
    b"{",
    b"nonsense",
    b"[]",
    b"null",
    b'"text"',
    b'{"USED_AGENT_ID": "somebody", "final_data": NaN}',
    b'{"USED_AGENT_ID": "somebody", "provider_data": {"USED_AGENT_ID": "somebody"}, "metadata": {}, "x": "\xff\xfe"}',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"USED_AGENT_ID": "somebody", "metadata": {}, "final_data": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    # The router can read it, but the operator, further up its own stack, might not.
    b'{"USED_AGENT_ID": "somebody", "metadata": {}, "final_data": ' + b"[" * 700 + b"]" * 700 + b"}",
]


@pytest.mark.parametrize(
    "path", ["/request_agent", "/submit_onboarding", "/submit_task", "/return_task", "/submit_metadata", "/log_error"]
)
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
async def test_broken_json_is_400_in_json(
    harness: RouterHarness, operator: OperatorLink, path: str, body: bytes
) -> None:
    await operator.agents({"somebody": "in task"})
    await operator.settled()

    answer = await harness.http.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    error_of(answer)
    await operator.settled()
    assert {packet.packet_type for packet in operator.inbox.received} == {"return_statuses", "watched_pages"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/request_agent", {}),
        ("/request_agent", {"provider_data": "W"}),
        ("/request_agent", {"provider_data": None}),
        ("/submit_onboarding", {}),
        ("/submit_onboarding", {"provider_data": {}}),
        ("/submit_onboarding", {"provider_data": {"USED_AGENT_ID": None}}),
        ("/submit_task", {"final_data": {}}),
        ("/submit_task", {"USED_AGENT_ID": None, "final_data": {}}),
        ("/submit_task", {"USED_AGENT_ID": 1, "final_data": {}}),
        ("/submit_task", {"USED_AGENT_ID": {"$ne": ""}, "final_data": {}}),
        ("/return_task", {}),
        ("/return_task", {"USED_AGENT_ID": None}),
        ("/submit_metadata", {"metadata": {}}),
        ("/submit_metadata", {"USED_AGENT_ID": "somebody"}),
        ("/submit_metadata", {"USED_AGENT_ID": "somebody", "metadata": "tips"}),
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_in_json(
    harness: RouterHarness, operator: OperatorLink, path: str, body: dict[str, Any]
) -> None:
    await operator.agents({"somebody": "in task"})
    await operator.settled()

    answer = await harness.http.post(path, json=body)

    assert answer.status_code in (400, 403)
    error_of(answer)
    # The operator's link bears it.
    assert await operator.settled() == {"somebody": "in task"}


async def test_a_body_over_the_limit_is_413_in_json(tight: RouterHarness) -> None:
    await tight.operator({"w": "in task"})

    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    announced = await tight.submit("w", "x" * 100_000)
    unannounced = await tight.http.post("/submit_task", content=in_chunks())
    within = await tight.submit("w", "x" * 90_000)

    assert announced.status_code == unannounced.status_code == 413
    error_of(announced)
    error_of(unannounced)
    assert within.status_code == 200


# -- /return_task ----------------------------------------------------------------------------


async def test_a_unit_is_given_back(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"undecided": "in task"})
    await operator.settled()

    answer = await harness.http.post("/return_task", json={"USED_AGENT_ID": "undecided", "client_timestamp": 1.5})
    packet = await operator.expect("return_unit")

    assert answer.status_code == 200
    assert answer.json() == {"status": "Returned"}
    assert (packet.subject_id, packet.data, packet.client_timestamp) == ("undecided", {}, 1.5)
    assert packet.seq is not None


# -- /submit_metadata and /log_error ---------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        {"tips": {"type": "tips", "header": "holdout tip", "text": "be kind"}},
        {"feedback": {"type": "feedback", "data": [{"question": "How was it?", "text": "be kind"}]}},
    ],
)
async def test_metadata_is_passed_on(harness: RouterHarness, operator: OperatorLink, metadata: dict[str, Any]) -> None:
    await operator.agents({"helpful": "in task"})
    await operator.settled()
    body = {"USED_AGENT_ID": "helpful", "metadata": metadata, "client_timestamp": 1795291770.155}

    answer = await harness.http.post("/submit_metadata", json=body)
    packet = await operator.expect("submit_metadata")

    assert answer.status_code == 200
    assert answer.json() == {"status": "Submitted metadata"}
    assert (packet.subject_id, packet.data) == ("helpful", {"metadata": metadata})
    assert packet.seq is not None


@pytest.mark.parametrize("token", [None, "crashed"])
async def test_an_error_in_a_page_is_passed_on(
    harness: RouterHarness, operator: OperatorLink, token: str | None
) -> None:
    await operator.agents({"crashed": "in task"})
    error = {"error": "render crash", "errorInfo": {"componentStack": "\n    at Bomb (…)"}}

    answer = await harness.http.post("/log_error", json={"USED_AGENT_ID": token, "error_data": error})
    packet = await operator.expect("log_error")

    assert answer.status_code == 200
    assert answer.json() == {"status": "Error log sent!"}
    assert (packet.subject_id, packet.data) == (token, {"error_data": error})
    assert packet.seq is None


async def test_an_error_in_a_page_of_nobody_is_refused(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"crashed": "in task"})
    await operator.settled()

    answer = await harness.http.post("/log_error", json={"USED_AGENT_ID": "1", "error_data": "forged"})

    assert answer.status_code == 403
    error_of(answer)
    await operator.settled()
    assert not operator.inbox.of_type("log_error")


async def test_an_error_in_a_page_without_an_operator_is_answered(
    make_router: MakeRouter, make_harness: MakeHarness
) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)

    answer = await harness.http.post("/log_error", json={"error_data": "x"})

    assert answer.json() == {"status": "Error log sent!"}


async def test_numbers_keep_their_digits(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.agents({"exact": "in task"})
    await operator.settled()

    body = b'{"USED_AGENT_ID": "exact", "final_data": [0.1, 1e21, 9007199254740991, -0.0]}'
    await harness.http.post("/submit_task", content=body)

    packet = await operator.expect("submit_unit")
    assert packet.data["final_data"] == [0.1, 1e21, 9007199254740991, 0]
    assert isinstance(packet, Packet)
    assert msgspec.json.encode(packet.data["final_data"][2]) == b"9007199254740991"
