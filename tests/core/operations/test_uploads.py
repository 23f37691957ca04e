"""Uploaded files come from the server into the folder of the run, whatever fails in between."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageFile
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Unit
from mephisto_es.core.abstractions.work_data import FileDetails
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.events.agent import AgentFileLost, AgentFileStored, AgentSubmitted, FileLoss
from mephisto_es.events.base import Event
from mephisto_es.events.ids import TaskRunId

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until

PHOTO = PageFile("photo", "me at home.png", b"\x89PNG" * 1000, "image/png")
VOICE = PageFile("voice", "hello.wav", b"RIFF" * 500, "audio/wav")


def recorded(log: MemoryLog, *kinds: type[Event]) -> list[Event]:
    return [envelope.event for _, envelope in log.read(after=0) if isinstance(envelope.event, kinds)]


def stored_files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.rglob("files/*/*"))}


def status(harness: OperatorHarness) -> TaskRunStatus:
    [run] = harness.operator.ledger.state.task_runs.values()
    return run.status


async def submit(router: MemoryRouter, *files: PageFile, worker: str = "W") -> None:
    details = await ask(router, worker)
    router.submit_task(details["agent_id"], {"answer": 1}, files)


async def test_files_are_stored_and_the_server_may_drop_them(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        await submit(router, PHOTO, VOICE)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert status(harness) is TaskRunStatus.COMPLETED
    [submitted] = recorded(harness.log, AgentSubmitted)
    assert isinstance(submitted, AgentSubmitted)
    assert stored_files(tmp_path) == {
        file.filename: content for file, content in zip(submitted.files, (PHOTO.content, VOICE.content), strict=True)
    }
    assert router.files == {}
    stored = [AgentFileStored(filename=file.filename) for file in submitted.files]
    assert sorted(recorded(harness.log, AgentFileStored), key=repr) == sorted(stored, key=repr)


@pytest.mark.parametrize("seconds", [5, math.inf])
async def test_a_run_ends_when_its_server_has_dropped_the_files_or_does_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    drop_file = MemoryArchitect.drop_file

    async def drop_slowly(architect: MemoryArchitect, filename: str) -> None:
        await trio.sleep(seconds)
        await drop_file(architect, filename)

    monkeypatch.setattr(MemoryArchitect, "drop_file", drop_slowly)
    async with open_harness(tmp_path) as harness:
        router = harness.router(await harness.launch(HarnessTaskState(data=items(1))))
        await submit(router, PHOTO)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert status(harness) is TaskRunStatus.COMPLETED
    assert len(stored_files(tmp_path)) == 1
    assert bool(router.files) == math.isinf(seconds)


async def test_what_the_browser_said_of_a_file_is_in_a_payload(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        await submit(harness.router(live_run), PHOTO)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        [submitted] = recorded(harness.log, AgentSubmitted)
        assert isinstance(submitted, AgentSubmitted)
        assert submitted.file_details is not None
        body = harness.log.payload(submitted.file_details)
    [details] = msgspec.json.decode(body or b"", type=list[FileDetails])
    assert (details.fieldname, details.originalname, details.mimetype) == ("photo", "me at home.png", "image/png")
    assert (details.filename, details.size) == (submitted.files[0].filename, len(PHOTO.content))
    assert b"me at home" not in b"".join(msgspec.json.encode(event) for event in recorded(harness.log, Event))


async def test_the_script_is_asked_once_the_files_are_here(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[dict[str, object]] = []

    async def on_unit_submitted(unit: Unit) -> None:
        agent = unit.get_assigned_agent()
        assert agent is not None
        outputs = agent.state.outputs
        content = stored_files(tmp_path)[outputs["files"][0]]
        assert agent.get_data_dir() == str(tmp_path / "1" / "files" / "1")
        seen.append({**outputs, "content": content})

    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1), on_unit_submitted=on_unit_submitted))
        await submit(harness.router(live_run), PHOTO)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    [outputs] = seen
    assert (outputs["answer"], outputs["content"]) == (1, PHOTO.content)
    [name] = stored_files(tmp_path)
    assert outputs["files"] == [name]
    assert outputs["filesByFields"] == {
        "photo": [
            {"filename": name, "originalname": "me at home.png", "mimetype": "image/png", "size": len(PHOTO.content)}
        ]
    }


async def test_a_server_that_does_not_answer_is_asked_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        router.serves_files = False
        await submit(router, PHOTO)
        await trio.sleep(100)
        assert stored_files(tmp_path) == {}
        router.serves_files = True
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert list(stored_files(tmp_path).values()) == [PHOTO.content]


async def test_a_run_whose_files_cannot_be_fetched_is_paused_and_keeps_its_server(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        router.serves_files = False
        await submit(router, PHOTO)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert status(harness) is TaskRunStatus.PAUSED
        assert MemoryArchitect.routers[live_run.task_run] is router
    router.serves_files = True
    async with open_harness(tmp_path, log) as harness:
        await harness.launch(HarnessTaskState(data=items(1)), resume_incomplete_run=True)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert status(harness) is TaskRunStatus.COMPLETED
    assert list(stored_files(tmp_path).values()) == [PHOTO.content]


@pytest.mark.parametrize("already_here", [False, True])
async def test_an_operator_killed_before_the_fetch_is_recorded_loses_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, already_here: bool
) -> None:
    log = MemoryLog()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        router.serves_files = False
        await submit(router, PHOTO)
        await until(harness, lambda: harness.operator.ledger.state.runs[TaskRunId(1)].awaiting_files != set())
        # The process dies here.
    [submitted] = recorded(log, AgentSubmitted)
    assert isinstance(submitted, AgentSubmitted)
    [name] = [file.filename for file in submitted.files]
    if already_here:
        folder = tmp_path / "1" / "files" / "1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PHOTO.content)
    else:
        router.serves_files = True
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)), resume_incomplete_run=True)
        await submit(router, VOICE, worker="V")
        router.serves_files = True
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert sorted(stored_files(tmp_path).values()) == sorted([PHOTO.content, VOICE.content])
    assert len(recorded(log, AgentFileStored)) == 2


@pytest.mark.parametrize(("content", "reason"), [(None, FileLoss.GONE), (b"something else", FileLoss.DIFFERENT)])
async def test_a_file_that_the_server_does_not_have_is_recorded_as_lost(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, content: bytes | None, reason: FileLoss
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        router.serves_files = False
        await submit(router, PHOTO)
        [name] = router.files
        if content is None:
            router.files.clear()
        else:
            router.files[name] = content
        router.serves_files = True
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert status(harness) is TaskRunStatus.COMPLETED
    assert recorded(harness.log, AgentFileLost) == [AgentFileLost(filename=name, reason=reason)]
    assert stored_files(tmp_path) == {}


async def test_files_of_metadata_and_of_later_submissions_are_stored_too(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        details = await ask(router, "W")
        router.submit_metadata(details["agent_id"], {"worker_opinion": {"questions": []}}, [VOICE])
        router.submit_task(details["agent_id"], {"answer": 1}, [PHOTO])
        router.submit_task(details["agent_id"], {"answer": 2}, [PHOTO])
        await submit(router, worker="V")
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    assert sorted(stored_files(tmp_path).values()) == sorted([VOICE.content, PHOTO.content, PHOTO.content])
