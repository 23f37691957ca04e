"""Requests of pages about what became of work: a worker's own page, an agent's status, submissions that come late."""

import httpx
import pytest
import trio

from .conftest import MakeHarness, MakeRouter
from .harness import OperatorLink, RouterHarness, error_of
from .test_http import BUSY, Asking

TOKEN = "7-0123456789abcdef"


async def own_page(harness: RouterHarness) -> httpx.Response:
    return await harness.http.post("/worker_page", json={"worker_page": TOKEN, "client_timestamp": 1.5})


async def test_a_worker_asks_for_their_own_page(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    asking = Asking(nursery, lambda: own_page(harness))
    question = await operator.expect("request_worker_page")
    assert question.data == {"worker_page": TOKEN, "request_id": question.subject_id}
    assert (question.client_timestamp, question.seq) == (1.5, None)
    contents = {"work": [{"unit": 1, "note": "Grüße 👋"}], "owed_cents": 10}
    await operator.send("worker_page", question.subject_id, {"request_id": question.subject_id, "page": contents})
    answer = await asking.answer()
    assert answer.status_code == 200
    assert (answer.json()["packet_type"], answer.json()["data"]["page"]) == ("worker_page", contents)


async def test_a_worker_withdraws_their_consent(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    body = {"worker_page": TOKEN, "withdraw_consent": 7}
    asking = Asking(nursery, lambda: harness.http.post("/worker_page", json=body))
    question = await operator.expect("request_worker_page")
    assert question.data == {**body, "request_id": question.subject_id}
    contents = {"work": [], "consents": [{"task_run": 7, "is_withdrawn": True}]}
    await operator.send("worker_page", question.subject_id, {"request_id": question.subject_id, "page": contents})
    assert (await asking.answer()).json()["data"]["page"] == contents


async def test_a_worker_asks_for_a_receipt(
    harness: RouterHarness, operator: OperatorLink, nursery: trio.Nursery
) -> None:
    body = {"worker_page": TOKEN, "receipt": "f3Jv0q"}
    asking = Asking(nursery, lambda: harness.http.post("/worker_page", json=body))
    question = await operator.expect("request_worker_page")
    assert question.data == {**body, "request_id": question.subject_id}
    receipt = {"file": "agent-1.receipt", "text": '{"sentence":"…"}', "events": 4, "proved": 0}
    answer: dict[str, object] = {"request_id": question.subject_id, "page": {"work": []}, "receipt": receipt}
    await operator.send("worker_page", question.subject_id, answer)
    assert (await asking.answer()).json()["data"]["receipt"] == receipt


@pytest.mark.parametrize("agent", ["", 7, ["x"], "x" * 256, "a\nb"])
async def test_a_receipt_is_of_an_agent(harness: RouterHarness, agent: object) -> None:
    answer = await harness.http.post("/worker_page", json={"worker_page": TOKEN, "receipt": agent})
    assert answer.status_code == 400
    assert error_of(answer)


@pytest.mark.parametrize("run", [0, -1, 2**53, 1.5, "1", [1]])
async def test_consent_is_withdrawn_to_a_run(harness: RouterHarness, run: object) -> None:
    answer = await harness.http.post("/worker_page", json={"worker_page": TOKEN, "withdraw_consent": run})
    assert answer.status_code == 400
    assert error_of(answer)


async def test_without_an_operator_the_page_is_asked_to_try_again(tight: RouterHarness) -> None:
    assert (await own_page(tight)).json()["data"]["failure_reason"] == BUSY


async def test_a_new_operator_is_asked_again(
    make_router: MakeRouter, make_harness: MakeHarness, nursery: trio.Nursery
) -> None:
    router = make_router()
    router.start()
    harness = make_harness(router)
    asking = Asking(nursery, lambda: own_page(harness))
    operator = await harness.operator()
    question = await operator.expect("request_worker_page")
    await operator.send("worker_page", question.subject_id, {"request_id": question.subject_id, "page": None})
    assert (await asking.answer()).json()["data"]["page"] is None


@pytest.mark.parametrize("body", [{}, {"worker_page": ""}, {"worker_page": 7}, {"worker_page": "x" * 256}, []])
async def test_a_request_without_a_token_is_refused(harness: RouterHarness, body: object) -> None:
    answer = await harness.http.post("/worker_page", json=body)
    assert answer.status_code == 400
    assert error_of(answer)


async def test_a_page_without_a_socket_learns_its_status(harness: RouterHarness, operator: OperatorLink) -> None:
    async def status() -> httpx.Response:
        return await harness.http.post("/agent_status", json={"USED_AGENT_ID": "asks"})

    refused = await status()
    assert refused.status_code == 403
    assert error_of(refused)
    for known in ("in task", "timeout"):
        await operator.status("asks", known)
        await operator.settled()
        assert (await status()).json() == {"status": known}


@pytest.mark.parametrize("ended", ["timeout", "returned", "disconnect", "expired"])
async def test_a_late_submission_is_answered_with_the_truth(
    harness: RouterHarness, operator: OperatorLink, ended: str
) -> None:
    await operator.agents({"late": ended, "in-time": "in task", "again": "completed"})
    await operator.settled()
    assert (await harness.submit("late", 1)).json() == {"status": "late"}
    form = {"USED_AGENT_ID": "late", "final_string_data": "2"}
    answer = await harness.http.post("/submit_task", data=form, files={"photo": b"some bytes"})
    assert answer.json() == {"status": "late"}
    for token in ("in-time", "again"):
        assert (await harness.submit(token, 3)).json() == {"status": "Submitted!"}
    for _ in range(4):
        await operator.expect("submit_unit")


async def test_an_objection_is_kept_until_the_operator_has_it(harness: RouterHarness, operator: OperatorLink) -> None:
    await operator.status("rejected-one", "rejected")
    await operator.settled()
    body = {"USED_AGENT_ID": "rejected-one", "text": "Das war doch richtig 👋", "client_timestamp": 2.5}
    answer = await harness.http.post("/submit_appeal", json=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "Submitted appeal"})
    packet = await operator.expect("submit_appeal")
    assert (packet.subject_id, packet.data) == ("rejected-one", {"text": "Das war doch richtig 👋"})
    assert packet.seq is not None


@pytest.mark.parametrize("text", ["", " \n", "x" * 4001, 7, None])
async def test_an_objection_is_a_text_of_some_length(
    harness: RouterHarness, operator: OperatorLink, text: object
) -> None:
    await operator.status("rejected-one", "rejected")
    await operator.settled()
    answer = await harness.http.post("/submit_appeal", json={"USED_AGENT_ID": "rejected-one", "text": text})
    assert answer.status_code == 400
    assert error_of(answer)
    unknown = await harness.http.post("/submit_appeal", json={"USED_AGENT_ID": "nobody", "text": "hello"})
    assert unknown.status_code == 403
