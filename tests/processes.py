"""A run as a user has it: a script or a verb in a process of its own, a real router, and people who come."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from subprocess import PIPE
from typing import IO
from urllib.parse import urlsplit

import pytest
import trio

from mephisto_es.adapters.architects.router.process import RouterProcess
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.payloads import RUNS_FOLDER
from mephisto_es.core.signal import Signal
from mephisto_es.events.resource import ResourceAcquired
from mephisto_es.projections.audit.report import ReplayReport
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.registry import PROJECTIONS

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "sentence_rating"
SCRIPT = [sys.executable, str(EXAMPLE / "run_task.py")]
COMMAND = str(Path(sys.executable).parent / "mephisto-es")
GIVE_UP_SECONDS = 300


def rating(data: object, rng: Random) -> object:
    assert isinstance(data, dict)
    assert data["sentence"]
    return {"rating": rng.randint(1, 5)}


def some_sentences(folder: Path, count: int) -> str:
    """The override for a file with the first sentences of the example's own."""
    lines = (EXAMPLE / "data" / "sentences.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = folder / "sentences.csv"
    path.write_text("".join(lines[: count + 1]), encoding="utf-8")
    return f"mephisto.blueprint.data_csv={path}"


class Gate:
    """Holds the submissions of a crowd back, so that the test decides how far the work has got, and not the machine."""

    def __init__(self) -> None:
        self._waiting = self._allowed = self._submitted = 0
        self._is_open = False
        self._changed = Signal()

    async def pass_one(self) -> None:
        """Wait until one more submission may be sent."""
        self._waiting += 1
        self._changed.notify()
        try:
            await self._until(lambda: self._is_open or self._allowed > 0)
        finally:
            self._waiting -= 1
        self._allowed -= 1

    def count(self) -> None:
        """Count an acknowledged submission."""
        self._submitted += 1
        self._changed.notify()

    async def queue(self, people: int) -> None:
        """Wait until so many people want to submit something."""
        await self._until(lambda: self._waiting >= people)

    async def submit(self, so_many: int) -> None:
        """Let so many more be submitted, and wait until they are acknowledged."""
        goal = self._submitted + so_many
        self._allowed += so_many
        self._changed.notify()
        await self._until(lambda: self._submitted >= goal)

    def open(self) -> None:
        """Let everything be submitted from now on."""
        self._is_open = True
        self._changed.notify()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()


@dataclass
class OperatorProcess:
    """A process with an operator in it, whose workers can come."""

    process: trio.Process
    url: str

    def crowd(self, gate: Gate | None = None) -> Crowd:
        """Five people, two of whom give a sentence back. They do not leave: whoever lets them run cancels them."""
        bots = draw_bots(Random(1), 5, rating, returning=2, disconnecting=0, think_seconds=0.05)
        if gate is None:
            return Crowd(self.url, bots, patience_seconds=GIVE_UP_SECONDS)
        return Crowd(
            self.url,
            bots,
            patience_seconds=GIVE_UP_SECONDS,
            before_submission=gate.pass_one,
            on_submitted=gate.count,
        )

    async def work_to_the_end(self) -> Crowd:
        """Let a crowd work until the process has ended well; return the crowd."""
        crowd = self.crowd()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.run)
            assert await self.process.wait() == 0
            nursery.cancel_scope.cancel()
        return crowd

    async def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        await self.process.wait()


async def kill(process: trio.Process) -> None:
    """End a process of a test that is over, or has failed: asked to end, it might wait for who is at work."""
    process.kill()


@asynccontextmanager
async def operator_process(
    command: list[str],
    stdin: int | None = None,
    limit_seconds: float = GIVE_UP_SECONDS,
    stderr: IO[bytes] | None = None,
) -> AsyncIterator[OperatorProcess]:
    """A process from the line with the address on until it has ended."""
    with trio.fail_after(limit_seconds):
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    stdin=stdin,
                    stdout=PIPE,
                    stderr=stderr,
                    check=False,
                    deliver_cancel=kill,
                )
            )
            assert process.stdout is not None
            line = b""
            while not line.endswith(b"\n"):
                chunk = await process.stdout.receive_some()
                assert chunk, "the process ended before it said where to go"
                line += chunk
            said, address = line.decode().split()
            assert said == "Open"
            yield OperatorProcess(process, "http://" + urlsplit(address).netloc)


def launched(data_dir: Path, *overrides: str, stdin: int | None = None) -> AbstractAsyncContextManager[OperatorProcess]:
    """The example's script."""
    return operator_process(script_command(data_dir, *overrides), stdin)


def script_command(data_dir: Path, *overrides: str) -> list[str]:
    """The command that launches the example's script."""
    return [*SCRIPT, "mephisto.architect.port=0", f"mephisto.database.data_dir={data_dir}", *overrides]


def resumed(data_dir: Path) -> AbstractAsyncContextManager[OperatorProcess]:
    """The first run of a data folder, taken up again."""
    return operator_process([COMMAND, "resume", str(data_dir), "1"])


def report_of(data_dir: Path) -> ReplayReport:
    return replay(data_dir / DATABASE_FILE, PROJECTIONS)


def routers_of(data_dir: Path) -> list[int]:
    """The processes of the routers that the log knows of."""
    with LogReader(data_dir / DATABASE_FILE) as log:
        events = [recorded.envelope.event for recorded in log.read()]
    return [int(event.details["pid"]) for event in events if isinstance(event, ResourceAcquired)]


def end_routers(data_dir: Path) -> None:
    """End the routers that the runs of a data folder have left."""
    if (data_dir / DATABASE_FILE).exists():
        for pid in routers_of(data_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


@pytest.fixture
def no_router_is_left(tmp_path: Path) -> Iterator[None]:
    """End the routers of runs that a test leaves paused, also if it fails: they would stay for an hour."""
    yield
    # Not by the log, which a test may have damaged.
    for folder in tmp_path.rglob(f"{RUNS_FOLDER}/*"):
        process = RouterProcess.left_by_another(folder)
        if process is not None and process.works_in(folder):
            os.kill(process.pid, signal.SIGTERM)


def status_of_run(data_dir: Path) -> str:
    """The status of the only run in a data folder."""
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        [run] = db.find_task_runs()
    return run.status


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
