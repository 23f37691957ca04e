"""Resources that a killed operator leaves outside are listed, and released later."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import trio

from mephisto_es.adapters.architects.router.process import wait_for_end
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.resource import ResourceIntended
from mephisto_es.projections.registry import PROJECTIONS

from .processes import COMMAND, end_routers, is_running, launched, report_of, resumed, routers_of, some_sentences


def said(*words: str | Path, code: int = 0) -> str:
    """Return what a verb prints."""
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def held_by(data_dir: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said("resources", "list", data_dir, "--json"))["resources"]
    return found


def release(data_dir: Path, *run: str, code: int = 0) -> str:
    return said("resources", "release", data_dir, *run, code=code)


async def left_behind(tmp_path: Path) -> tuple[Path, int]:
    """The data folder of a run whose operator was killed, and its router."""
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 3)) as script:
        await script.kill()
    [router] = routers_of(data_dir)
    return data_dir, router


async def test_a_run_that_can_be_resumed_keeps_its_server_until_it_is_named(tmp_path: Path) -> None:
    data_dir, router = await left_behind(tmp_path)
    [resource] = held_by(data_dir)
    assert (resource["run"], resource["run_status"], resource["is_resumable"]) == ("run-1", "live", True)
    assert resource["held"]["details"]["pid"] == router
    assert "resource-1 run-1 live local_router" in " ".join(said("resources", "list", data_dir).split())
    assert release(data_dir).splitlines() == [
        "run-1 is live and keeps its local_router.",
        "There is nothing to release.",
    ]
    assert is_running(router)
    assert release(data_dir, "1") == "released local_router 1 of run-1\n"
    with trio.fail_after(120):
        await wait_for_end(router)
    assert release(data_dir, "1") == "There is nothing to release.\n"
    assert said("resources", "list", data_dir) == "Nothing is held outside.\n"
    async with resumed(data_dir) as operator:
        assert len(routers_of(data_dir)) == 2
        operator.process.send_signal(signal.SIGINT)
        assert await operator.process.wait() == 0
    assert report_of(data_dir).legal
    [resource] = held_by(data_dir)
    assert (resource["run_status"], resource["is_resumable"]) == ("paused", True)
    end_routers(data_dir)


async def test_what_is_in_use_is_not_released(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 3)) as script:
        assert f"is being written by process {script.process.pid}" in said(
            "resources", "release", data_dir, "1", code=2
        )
        assert is_running(routers_of(data_dir)[0])
        script.process.send_signal(signal.SIGINT)
        assert await script.process.wait() == 0
    end_routers(data_dir)


async def test_what_nobody_knows_how_to_release_stays_on_the_list(tmp_path: Path) -> None:
    data_dir, router = await left_behind(tmp_path)
    os.kill(router, signal.SIGKILL)
    with SqliteLog.create_or_open(data_dir / DATABASE_FILE, PROJECTIONS) as log:
        intended = NewEvent(
            streams.resource(TaskRunId(1), 2), ResourceIntended(resource_type="airship", details={"name": "Z"})
        )
        log.commit([AppendRequest(command="intend", actor="operator", at=1, events=(intended,))])
    complaint = (
        "mephisto-es resources release: airship 2 of run-1: nothing that is installed knows how to release a 'airship'"
    )
    assert complaint in release(data_dir, "1", code=1)
    [resource] = held_by(data_dir)
    assert (resource["held"]["resource_type"], resource["held"]["status"]) == ("airship", "intended")
    assert "perhaps airship" in said("resources", "list", data_dir)
