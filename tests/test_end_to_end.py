"""The whole thing as a user has it: a launch script in a process of its own, a real router, and people who come."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio
from trio_websocket import ConnectionClosed

from mephisto_es.adapters.channels.dial import dial
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator

from .json_schema import assert_fits
from .processes import (
    COMMAND,
    GIVE_UP_SECONDS,
    SCRIPT,
    Gate,
    is_running,
    launched,
    no_router_is_left,
    report_of,
    routers_of,
    some_sentences,
)

__all__ = ["no_router_is_left"]

pytestmark = pytest.mark.usefixtures("no_router_is_left")


async def test_a_script_runs_until_the_work_is_done(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 10)) as script:
        crowd = await script.work_to_the_end()
    report = report_of(data_dir)
    assert report.legal, report.findings
    assert report.units == {"completed": 10}
    assert crowd.summary().submissions == 10
    assert crowd.summary().returned == 2
    assert [pid for pid in routers_of(data_dir) if is_running(pid)] == []


async def pester(url: str) -> None:
    """Send a router what no page sends."""
    async with httpx.AsyncClient(base_url=url) as client:
        provider_data = {"worker_name": 7, "agent_registration_id": ["x"]}
        assert (await client.post("/request_agent", content=b"{")).status_code == 400
        assert (await client.post("/request_agent", json={"provider_data": "me"})).status_code == 400
        assert (await client.post("/submit_task", json={"USED_AGENT_ID": "1", "final_data": 1})).status_code == 403
        assert (await client.post("/return_task", json={})).status_code == 400
        assert (await client.post("/request_agent", json={"provider_data": provider_data})).status_code == 400
    async with dial(url.replace("http", "ws", 1)) as socket:
        await socket.send_message("not JSON")
        await socket.send_message('{"packet_type": "alive", "subject_id": "nobody"}')
        await socket.send_message('{"packet_type": "alive", "subject_id": "mephisto", "data": {"token": "guessed"}}')
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_a_run_goes_on_whatever_workers_send(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 5)) as script:
        await pester(script.url)
        await script.work_to_the_end()
    report = report_of(data_dir)
    assert report.legal, report.findings
    assert report.units == {"completed": 5}


async def test_a_killed_operator_leaves_a_legal_log(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir) as script:
        gate = Gate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(script.crowd(gate).run)
            await gate.submit(15)
            script.process.kill()
            await script.process.wait()
            nursery.cancel_scope.cancel()
    for pid in routers_of(data_dir):
        os.kill(pid, signal.SIGTERM)  # it waits for its operator to come back
    report = report_of(data_dir)
    assert report.legal, report.findings
    assert 0 < report.units["completed"] < 100
    assert report.seq == report.events > 0
    async with open_operator(data_dir) as operator:
        assert operator.ledger.log.head().seq == report.seq


def test_the_demo_shows_what_it_should(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    command = [COMMAND, "demo", "--json", "--seed=3", "--workers=5", "--units=12", "--think=0.1"]
    done = subprocess.run([*command, f"--data-dir={data_dir}"], capture_output=True, timeout=GIVE_UP_SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    said = assert_fits("demo", done.stdout.decode())
    assert said["units"] == {"completed": 12}
    assert said["database"] == str(data_dir / DATABASE_FILE)
    assert said["url"].startswith("http://")
    assert said["seconds"] > 0
    assert said["events"] == report_of(data_dir).events
    assert said["replay"]["legal"] is True
    assert (said["crowd"]["returned"], said["crowd"]["disconnected"]) == (2, 1)
    assert said["crowd"]["failures"] == {}
    replayed = subprocess.run([COMMAND, "replay", said["database"]], capture_output=True, text=True)
    assert (replayed.returncode, replayed.stdout.split()[0]) == (0, "legal")


# Bad input --------------------------------------------------------------------------------------------------------


def refused(data_dir: Path, *overrides: str) -> str:
    """The sentence with which the script ends."""
    command = [*SCRIPT, "mephisto.architect.port=0"]
    command += [f"mephisto.database.data_dir={data_dir}", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_SECONDS)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("run_task.py: ")
    return sentence


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_an_unknown_blueprint_is_named_with_those_there_are(tmp_path: Path) -> None:
    sentence = refused(tmp_path / "data", "mephisto/blueprint=static_tusk")
    assert "static_tusk" in sentence
    assert "static_task" in sentence
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_named(tmp_path: Path, port_in_use: int) -> None:
    sentence = refused(
        tmp_path / "data", f"mephisto.architect.port={port_in_use}", "mephisto.architect.hostname=127.0.0.1"
    )
    assert str(port_in_use) in sentence
    assert report_of(tmp_path / "data").events == 0, "nothing was recorded of a run that could not be"


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    sentence = refused(tmp_path / "data", f"mephisto.blueprint.data_csv={tmp_path}/nowhere.csv")
    assert f"{tmp_path}/nowhere.csv" in sentence
    assert report_of(tmp_path / "data").events == 0


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert str(tmp_path / "file" / "data") in refused(tmp_path / "file" / "data")
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Path:
    if os.geteuid() == 0:
        return Path("/sys")  # read-only to root too
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    return folder


def test_a_read_only_data_folder_is_named(read_only_folder: Path) -> None:
    assert str(read_only_folder / "data") in refused(read_only_folder / "data")
    assert not (read_only_folder / "data").exists()


def test_a_database_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_FILE
    database.write_text("Dear diary, " * 1000)
    assert str(database) in refused(tmp_path)
    assert database.read_text() == "Dear diary, " * 1000


def test_a_second_operator_is_kept_out(tmp_path: Path) -> None:
    async def with_the_first_one_at_work() -> str:
        async with open_operator(tmp_path):
            return await trio.to_thread.run_sync(refused, tmp_path)

    sentence = trio.run(with_the_first_one_at_work)
    assert f"{tmp_path / DATABASE_FILE} is being written by process {os.getpid()}: `mephisto-es status`" in sentence
