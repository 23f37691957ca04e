"""The example of remote procedures as a user has it: its script, a real router, and a page that calls."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
from trio_websocket import WebSocketConnection

from mephisto_es.adapters.channels.dial import dial
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.projections.registry import PROJECTIONS

from .scripts import launched


async def answer_to(socket: WebSocketConnection, token: str, number: int, text: str) -> dict[str, Any]:
    """Return the result of `check` for a text."""
    data = {"request_id": f"r{number}", "target": "check", "args": msgspec.json.encode({"text": text}).decode()}
    update = {
        "packet_type": "mephisto_bound_live_update",
        "subject_id": token,
        "data": {**data, "update_id": f"u{number}"},
    }
    await socket.send_message(msgspec.json.encode(update).decode())
    while True:
        packet = msgspec.json.decode(await socket.get_message())
        if packet["packet_type"] == "client_bound_live_update":
            assert packet["data"]["handles"] == f"r{number}"
            said: dict[str, Any] = msgspec.json.decode(packet["data"]["response"])
            return said


async def test_a_page_asks_python(tmp_path: Path) -> None:
    data_dir, csv = tmp_path / "data", tmp_path / "passages.csv"
    csv.write_text("passage\none two three four five six\n")
    async with (
        launched("remote_procedure", data_dir, f"mephisto.blueprint.data_csv={csv}") as url,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
    ):
        page = PageClient(client, Visit("ann", "1"), time.time)
        await page.load()
        for file in ("rewrite.js", "rewrite.css", "mephisto_client.js"):
            assert (await client.get(f"/{file}")).status_code == 200
        token = (await page.request_agent()).agent_id
        assert token is not None
        async with dial(url.replace("http", "ws", 1)) as socket:
            alive = {"packet_type": "alive", "subject_id": token, "data": {"update_id": "alive"}}
            await socket.send_message(msgspec.json.encode(alive).decode())
            too_long = await answer_to(socket, token, 1, "a b see d")
            assert too_long == {"words": 4, "most": 3, "longest": "see", "good": False}
            assert (await answer_to(socket, token, 2, "a b"))["good"] is True
        again = msgspec.json.decode((await page.request_agent()).init_task_data)
        assert [request["target"] for request in again["previous_requests"]] == ["check", "r1", "check", "r2"]
        await page.submit_task(token, {"text": "a b"})
    report = replay(data_dir / DATABASE_FILE, PROJECTIONS)
    assert report.legal, report.findings
    assert report.units == {"completed": 1}
