"""Whole runs whose workers upload files, on each kind of server: afterwards the bytes are here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
import trio
from click.testing import CliRunner

from mephisto_es.adapters.architects.contract import answers
from mephisto_es.adapters.architects.memory.router import PageFile
from mephisto_es.adapters.architects.mock import MockArchitect
from mephisto_es.adapters.cli.export import export_command
from mephisto_es.adapters.cli.files import files_command
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.crowd.sentence_rating import configuration, sentences
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from ...processes import SCRIPT, operator_process, resumed, some_sentences
from .fake_heroku import FakeHeroku, needs_npm_and_git

PHOTO = bytes(range(256)) * 4000
#: Architects with a server of their own, and the type of server.
SERVERS = [
    ("python", "local"),
    pytest.param("node", "local", marks=needs_npm_and_git),
    pytest.param("node", "heroku", marks=needs_npm_and_git),
]
#: Set by `make uploads`: the size of a recording that nobody would hold in memory, on every server.
MEGABYTES = os.environ.get("UPLOAD_MEGABYTES")
LARGE_BYTES = int(MEGABYTES or "20") * 2**20
#: In the suite one will do: that files are streamed is shown for both routers.
FAST_SERVERS = SERVERS if MEGABYTES else SERVERS[:1]


def files_of(data_dir: Path) -> list[Path]:
    return list((data_dir / "runs" / "1" / "files" / "1").iterdir())


async def do_the_unit(live_run: LiveTaskRun, files: list[tuple[str, tuple[str, object, str]]]) -> None:
    """Take a unit as a page does, and submit it with files."""
    await submit_files(live_run.url, await take_the_unit(live_run.url), files)


async def take_the_unit(url: str) -> str:
    """Take a unit as a page does; returns the agent."""
    provider_data = {"worker_name": "ann", "agent_registration_id": "1-ann", "provider_type": "mock"}
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as page:
        answer = await page.post("/request_agent", json={"provider_data": provider_data})
        token: str = answer.json()["data"]["agent_id"]
        return token


async def submit_files(url: str, token: str, files: list[tuple[str, tuple[str, object, str]]]) -> None:
    """Submit a unit with files, as a page does."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as page:
        fields = {"USED_AGENT_ID": token, "final_string_data": '{"rating": 4}'}
        submitted = await page.post("/submit_task", data=fields, files=files)  # type: ignore[arg-type]  # httpx takes files
        assert submitted.json() == {"status": "Submitted!"}


@pytest.mark.parametrize(("server_type", "architect"), SERVERS)
async def test_the_bytes_are_here_when_the_server_is_gone(
    tmp_path: Path, fake_heroku: FakeHeroku, server_type: str, architect: str
) -> None:
    with trio.fail_after(120):
        async with open_operator(tmp_path) as operator:
            task = configuration(server_type, architect)
            run = await operator.launch_task_run_or_die(task.mephisto, sentences(1))
            live_run = operator.get_running_task_runs()[run]
            photo = ("photo", ("Grüße/me.png", PHOTO, "image/png"))
            voice = ("voice", ("hello.wav", b"RIFF", "audio/wav"))
            await do_the_unit(live_run, [photo, voice])
            await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
        assert not await answers(live_run.url)
    assert fake_heroku.apps() == []
    with MephistoDB(tmp_path / "mephisto.db") as db:
        [agent] = db.find_agents()
        outputs = agent.state.get_data()["outputs"]
        stored = {path.name: path.read_bytes() for path in files_of(tmp_path)}
        assert agent.get_data_dir() == str(tmp_path / "runs" / "1" / "files" / "1")
        assert (outputs["rating"], len(outputs["files"])) == (4, 2)
        [details] = outputs["filesByFields"]["photo"]
        assert (details["originalname"], details["mimetype"], details["size"]) == ("me.png", "image/png", len(PHOTO))
        assert stored[details["filename"]] == PHOTO
        assert stored.keys() == set(outputs["files"])
    copied = CliRunner().invoke(files_command, [str(tmp_path), "1", "-o", str(tmp_path / "out")])
    assert (copied.exit_code, copied.stderr.split(" in ")[0]) == (0, "2 files")
    assert (tmp_path / "out" / "unit-1" / "agent-1-1-me.png").read_bytes() == PHOTO
    lines = [json.loads(line) for line in (tmp_path / "out" / "files.jsonl").read_text().splitlines()]
    assert [(line["fieldname"], line["path"]) for line in lines] == [
        ("photo", "unit-1/agent-1-1-me.png"),
        ("voice", "unit-1/agent-1-2-hello.wav"),
    ]
    table = tmp_path / "run.jsonl"
    options = ["-o", str(table), "--files", str(tmp_path / "copies")]
    assert CliRunner().invoke(export_command, [str(tmp_path), "1", *options]).exit_code == 0
    row = json.loads(table.read_text())
    assert row["files"] == ["unit-1/agent-1-1-me.png", "unit-1/agent-1-2-hello.wav"]
    assert (tmp_path / "copies" / row["files"][0]).read_bytes() == PHOTO


@pytest.mark.parametrize(("server_type", "architect"), FAST_SERVERS)
async def test_files_that_come_after_the_operator_was_killed_are_fetched_by_the_next_one(
    tmp_path: Path, fake_heroku: FakeHeroku, server_type: str, architect: str
) -> None:
    chosen = [f"mephisto/architect={architect}", f"mephisto.architect.server_type={server_type}"]
    free_port = ["mephisto.architect.port=0"] if architect == "local" else []
    data = [some_sentences(tmp_path, 1), f"mephisto.database.data_dir={tmp_path}"]
    async with operator_process([*SCRIPT, *chosen, *free_port, *data]) as operator:
        token = await take_the_unit(operator.url)
        await operator.kill()
        await submit_files(operator.url, token, [("photo", ("me.png", PHOTO, "image/png"))])
    async with resumed(tmp_path) as again:
        assert await again.process.wait() == 0
    assert fake_heroku.apps() == []
    [stored] = files_of(tmp_path)
    assert stored.read_bytes() == PHOTO
    with MephistoDB(tmp_path / "mephisto.db") as db:
        [agent] = db.find_agents()
        [details] = agent.state.get_data()["outputs"]["filesByFields"]["photo"]
    assert (details["originalname"], details["mimetype"], details["size"]) == ("me.png", "image/png", len(PHOTO))


async def test_what_is_submitted_to_a_mock_server_is_here_too(tmp_path: Path) -> None:
    task = configuration(None, "mock", ["mephisto.architect.should_run_server=true"])
    with trio.fail_after(90):
        async with open_operator(tmp_path) as operator:
            run = await operator.launch_task_run_or_die(task.mephisto, sentences(1))
            architect = operator.get_running_task_runs()[run].architect
            assert isinstance(architect, MockArchitect)
            server = architect.server
            details = await server.register_mock_agent("ann", "1-ann")
            token = str(details["agent_id"])
            server.submit_mock_unit(token, {"rating": 4}, [PageFile("photo", "me.png", PHOTO, "image/png")])
            await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
    [stored] = files_of(tmp_path)
    assert stored.read_bytes() == PHOTO
    with MephistoDB(tmp_path / "mephisto.db") as db:
        outputs = db.find_agents()[0].state.get_data()["outputs"]
    [kept] = outputs["filesByFields"]["photo"]
    assert (kept["originalname"], kept["mimetype"], kept["size"]) == ("me.png", "image/png", len(PHOTO))
    assert (outputs["rating"], outputs["files"]) == (4, [stored.name])


@pytest.mark.parametrize(("server_type", "architect"), FAST_SERVERS)
async def test_a_large_file_is_streamed(
    tmp_path: Path, fake_heroku: FakeHeroku, server_type: str, architect: str
) -> None:
    recording = tmp_path / "recording.webm"
    with recording.open("wb") as content:
        content.truncate(LARGE_BYTES)
    with trio.fail_after(120):
        async with open_operator(tmp_path / "data") as operator:
            run = await operator.launch_task_run_or_die(configuration(server_type, architect).mephisto, sentences(1))
            live_run = operator.get_running_task_runs()[run]
            with recording.open("rb") as content:
                await do_the_unit(live_run, [("recording", ("recording.webm", content, "video/webm"))])
            await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)
    [stored] = files_of(tmp_path / "data")
    assert stored.stat().st_size == LARGE_BYTES
    left = [path for path in (tmp_path / "data" / "runs" / "1").rglob("uploads/*") if path.is_file()]
    assert left == []
    assert fake_heroku.apps() == []
