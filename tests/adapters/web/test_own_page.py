"""The workers' own pages, served from the log once no router does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.adapters.sealing.keys import read_key
from mephisto_es.adapters.sealing.seal_files import PublicKeys
from mephisto_es.adapters.sealing.seals import seal_log, verify_proof
from mephisto_es.core.operations.services.worker_page import page_address, page_token
from mephisto_es.events import streams
from mephisto_es.events.engagement import ConsentGiven, ConsentWithdrawn
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.projections.registry import PROJECTIONS
from mephisto_es.projections.sealing.receipt import ProvedReceipt

from ..log.support import request
from .visitor import Visitor


@pytest.fixture
def token(database: Path) -> str:
    with LogReader(database) as log:
        return page_token(log.pseudonym_key, WorkerId(3))


async def contents(visitor: Visitor, token: object, *, status: int = 200) -> Any:
    response = await visitor.client.post("/worker_page", json={"worker_page": token})
    assert response.status_code == status, response.text
    return response.json()["data"]["page"] if status == 200 else response.text


async def test_a_worker_needs_no_login(stranger: Visitor, token: str) -> None:
    page = await contents(stranger, token)
    assert [(work["unit"], work["status"]) for work in page["work"]][-1] == (3, "completed")
    assert all(work["pay_cents"] == 25 for work in page["work"])
    scripts = ("worker_page.js", "worker_page_receipt.js", "mephisto_texts.js")
    for file in ("worker_page.html", "worker_page.css", *scripts):
        answer = await stranger.client.get(f"/{file}")
        assert answer.status_code == 200
        assert answer.headers["x-frame-options"] == "DENY"


async def test_the_verdict_and_its_note_are_shown(visitor: Visitor, token: str) -> None:
    assert {work["note"] for work in (await contents(visitor, token))["work"]} == {None}
    await visitor.send("/runs/1/review", {"verdict-3": "rejected", "note-3": "not what was asked"})
    first = (await contents(visitor, token))["work"][-1]
    assert (first["status"], first["note"], first["payments"]) == ("rejected", "not what was asked", [])


async def test_a_guess_is_answered_with_nothing(stranger: Visitor, token: str) -> None:
    for wrong in ("", "3", "3-", token[:-1], f"4-{token[2:]}", f"99-{token[2:]}"):
        assert await contents(stranger, wrong) is None
    for broken in (None, 3, ["x"]):
        assert "cannot be read" in await contents(stranger, broken, status=400)
    response = await stranger.client.post("/worker_page", content=b"x" * (64 * 1024 + 1))
    assert response.status_code == 413


async def test_a_worker_gets_a_receipt_without_a_login(database: Path, stranger: Visitor, token: str) -> None:
    page = await contents(stranger, token)
    assert page["offers_receipts"] is True
    [agent] = [work["agent"] for work in page["work"] if work["unit"] == 3]

    async def receipt(of: object, *, status: int = 200) -> Any:
        response = await stranger.client.post("/worker_page", json={"worker_page": token, "receipt": of})
        assert response.status_code == status, response.text
        return response.json()["data"]["receipt"] if status == 200 else response.text

    promised = await receipt(agent)
    assert (promised["file"], promised["proved"]) == ("agent-3.receipt", 0)
    key = read_key(database.with_name("seal.key"))
    database.with_name("run-1.seal").write_text(seal_log(database, key).note)
    proved = await receipt(agent)
    assert proved["proved"] == proved["events"] == promised["events"]
    found = verify_proof(proved["text"], PublicKeys(key.verifier.text))
    assert isinstance(found, ProvedReceipt)
    assert "unit 3 of run 1" in found.sentence
    assert await receipt("token 1") is None
    assert "cannot be read" in await receipt(7, status=400)


async def test_the_address_is_found_with_the_worker(visitor: Visitor, token: str) -> None:
    assert f'href="{page_address(token)}"' in (await visitor.get("/workers/3")).text


async def test_a_worker_objects_once_without_a_login(visitor: Visitor, stranger: Visitor, token: str) -> None:
    [agent] = [work["agent"] for work in (await contents(stranger, token))["work"] if work["unit"] == 3]

    async def object_to(text: object, *, status: int, agent: str = agent, token: str = token) -> str:
        body = {"worker_page": token, "USED_AGENT_ID": agent, "text": text}
        response = await stranger.client.post("/submit_appeal", json=body)
        assert response.status_code == status, response.text
        return response.text

    assert "appealed" in await object_to("too early", status=409)
    await visitor.send("/runs/1/review", {"verdict-3": "rejected", "note-3": "not what was asked"})
    await object_to("not mine", status=403, agent="token 1")
    await object_to("forged", status=403, token=f"4-{token[2:]}")
    await object_to(" ", status=400)
    await object_to("x" * 4001, status=400)
    await object_to("I did it as asked.", status=200)
    assert "has objected to the rejection of agent-3 before" in await object_to("again", status=409)
    shown = (await contents(stranger, token))["work"][-1]
    assert shown["appeal"] == {"status": "open", "objection": "I did it as asked.", "answer": None}
    appealed = (await visitor.log.query(lambda moment: moment.stream("agent/1/3")))[-1].envelope
    assert appealed.actor == "worker/3"


async def test_a_worker_withdraws_their_consent_without_a_login(database: Path, stranger: Visitor, token: str) -> None:
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        given = ConsentGiven(version="1")
        stream = streams.engagement(TaskRunId(1), WorkerId(3))
        log.commit([request("consent", (stream, given), at=log.head().at)])
    [before] = (await contents(stranger, token))["consents"]
    assert (before["task_run"], before["is_withdrawn"]) == (1, False)

    async def withdraw(token: str, run: object, *, status: int = 200) -> Any:
        response = await stranger.client.post("/worker_page", json={"worker_page": token, "withdraw_consent": run})
        assert response.status_code == status, response.text
        return response.json()["data"]["page"] if status == 200 else response.text

    assert await withdraw(f"4-{token[2:]}", 1) is None
    assert [one["is_withdrawn"] for one in (await withdraw(token, 99))["consents"]] == [False]
    assert "cannot be read" in await withdraw(token, "1", status=400)
    for _ in range(2):
        assert [one["is_withdrawn"] for one in (await withdraw(token, 1))["consents"]] == [True]
    with LogReader(database) as reader:
        [event] = [one for one in reader.history(stream) if isinstance(one.envelope.event, ConsentWithdrawn)]
    assert event.envelope.actor == "worker/3"
