"""A worker who came to a real router and left a file is forgotten: no byte of it stays below the data folder."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import trio
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.page_client import PageClient, Visit
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite import snapshots
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.engine import rebuild
from mephisto_es.projections.registry import PROJECTIONS

from .processes import launched, some_sentences

NAME = "Zoë Quine-7731"
COMMENT = "I live at 12 Privet Row"
FILE_NAME = "zoe-on-the-beach.png"
PICTURE = b"\x89PNG\r\n\x1a\n the face of Zoe \x00\xff" * 2000
#: As it may stand in a file: in UTF-8, escaped in JSON, percent-encoded in an address.
TRACES = (
    NAME.encode(),
    json.dumps(NAME).strip('"').encode(),
    b"Zo%C3%AB",
    b"Quine-7731",
    COMMENT.encode(),
    FILE_NAME.encode(),
    PICTURE[:40],
)
OTHER = "Bob"


async def do_a_unit(client: httpx.AsyncClient, worker: str) -> str:
    """Ask for a unit as a page does; gives what the router calls the agent."""
    page = PageClient(client, Visit(worker, f"assignment-of-{worker}"), time.time)
    await page.load()
    agent = await page.request_agent()
    assert agent.agent_id is not None, agent.failure_reason
    return agent.agent_id


async def a_run_with_an_upload(folder: Path) -> Path:
    """Two workers do a unit each; one sends a file with it. Gives the data folder."""
    data = folder / "data"
    async with launched(data, some_sentences(folder, 2)) as script, httpx.AsyncClient(base_url=script.url) as client:
        agent = await do_a_unit(client, NAME)
        final = json.dumps({"rating": 4, "comment": COMMENT, "by": NAME})
        form = {"USED_AGENT_ID": agent, "final_string_data": final}
        sent = await client.post("/submit_task", data=form, files={"picture": (FILE_NAME, PICTURE, "image/png")})
        assert sent.status_code == 200, sent.text
        page = PageClient(client, Visit(OTHER, f"assignment-of-{OTHER}"), time.time)
        await page.submit_task(await do_a_unit(client, OTHER), {"rating": 2, "comment": "fine"})
        assert await script.process.wait() == 0
    return data


def snapshot_of(database: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Have the view kept as it is at a position after both workers; gives its compressed bytes."""
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        monkeypatch.setattr(rebuild, "BATCH_EVENTS", log.head().seq)
        monkeypatch.setattr(snapshots, "SNAPSHOT_EVENTS", log.head().seq)
        log.rebuild(*PROJECTIONS)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        ((state,),) = db.execute("SELECT state FROM snapshots").fetchall()
    return bytes(state)


def holding(folder: Path, traces: tuple[bytes, ...]) -> set[str]:
    """The files with any of the traces anywhere in their bytes or in their name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix()
        for path in files
        if any(trace in path.read_bytes() or trace in str(path).encode() for trace in traces)
    }


def ask(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def test_no_byte_of_a_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    data = trio.run(a_run_with_an_upload, tmp_path)
    database = data / DATABASE_FILE
    traces = (*TRACES, snapshot_of(database, monkeypatch)[100:200])
    exported, copied = data / "run-1.csv", data / "monday.db"
    assert ask("export", data, "1", "--format", "csv", "-o", exported).exit_code == 0
    assert ask("backup", data, "-o", copied).exit_code == 0
    before = holding(data, traces)
    assert {DATABASE_FILE, exported.name, copied.name} < before
    assert any("/files/" in file for file in before), before
    for trace in (NAME.encode(), COMMENT.encode(), PICTURE[:40], traces[-1]):
        assert holding(data, (trace,)), trace

    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        ((worker,),) = db.execute("SELECT worker_id FROM workers WHERE worker_name = ?", (NAME,)).fetchall()
    asked = ask("erase", data, f"worker-{worker}", "--reason", "asked us to", "--json")

    # What somebody put there is named, and for them to delete.
    assert asked.stderr == ""
    assert asked.exit_code == 1
    assert {Path(file) for file in json.loads(asked.stdout)["left"]} == {exported, copied}
    assert holding(data, traces) == {exported.name, copied.name}
    for file in data.glob(f"{copied.name}*"):
        file.unlink()
    exported.unlink()
    assert holding(data, traces) == set()

    report = replay(database, PROJECTIONS)
    assert report.legal, report.findings
    assert report.erased_payloads > 0
    assert holding(data, (OTHER.encode(),)), "what is others' stays"
    assert ask("verify", data).exit_code == 0
