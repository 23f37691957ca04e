"""Going on with a run whose operator was killed: by the verb, and by the same script again."""

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.architects.router.process import wait_for_end
from mephisto_es.adapters.crowd.crowd import Crowd

from .processes import (
    COMMAND,
    Gate,
    OperatorProcess,
    end_routers,
    launched,
    report_of,
    resumed,
    routers_of,
    script_command,
    some_sentences,
)

UNITS = 12


class Job:
    """A run whose operator was killed in the middle of it, with its crowd still there."""

    def __init__(self, data_dir: Path, sentences: str) -> None:
        self.data_dir = data_dir
        self.sentences = sentences
        self.crowd: Crowd | None = None
        self._gate = Gate()

    async def begin(self, nursery: trio.Nursery) -> str:
        """Launch it, and kill the operator when half is done; returns the URL."""
        async with launched(self.data_dir, self.sentences) as script:
            self.crowd = script.crowd(self._gate)
            nursery.start_soon(self.crowd.run)
            await self._gate.submit(UNITS // 2)
            await script.kill()
            self._gate.open()
            return script.url

    async def end(self, operator: OperatorProcess, nursery: trio.Nursery) -> None:
        """See it to its end, and look at what it came to."""
        assert await operator.process.wait() == 0
        nursery.cancel_scope.cancel()
        report = report_of(self.data_dir)
        assert report.legal, report.findings
        assert report.units == {"completed": UNITS}
        assert self.crowd is not None
        assert self.crowd.summary().submissions == UNITS
        for router in routers_of(self.data_dir):
            await wait_for_end(router)  # whoever inherited it from the killed operator may take a moment to notice


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    data_dir = tmp_path / "data"
    yield Job(data_dir, some_sentences(tmp_path, UNITS))
    end_routers(data_dir)


async def test_a_killed_run_is_resumed_at_the_same_address(job: Job) -> None:
    async with trio.open_nursery() as nursery:
        url = await job.begin(nursery)
        async with resumed(job.data_dir) as operator:
            assert operator.url == url
            await job.end(operator, nursery)


async def test_resume_brings_back_a_router_that_died_too(job: Job) -> None:
    async with trio.open_nursery() as nursery:
        url = await job.begin(nursery)
        [router] = routers_of(job.data_dir)
        os.kill(router, signal.SIGKILL)
        async with resumed(job.data_dir) as operator:
            assert operator.url == url
            await job.end(operator, nursery)


async def test_the_script_goes_on_when_it_is_told_to(job: Job) -> None:
    async with trio.open_nursery() as nursery:
        url = await job.begin(nursery)
        again = launched(job.data_dir, job.sentences, "mephisto.task.resume_incomplete_run=true")
        async with again as operator:
            assert operator.url == url
            await job.end(operator, nursery)


async def test_the_script_asks_whether_to_go_on(job: Job) -> None:
    ours, theirs = pty.openpty()
    try:
        async with trio.open_nursery() as nursery:
            url = await job.begin(nursery)
            os.write(ours, b"\n")
            async with launched(job.data_dir, job.sentences, stdin=theirs) as operator:
                assert operator.url == url
                await job.end(operator, nursery)
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_script_without_a_terminal_says_how_to_go_on(job: Job) -> None:
    async with trio.open_nursery() as nursery:
        await job.begin(nursery)
        nursery.cancel_scope.cancel()
    command = script_command(job.data_dir, job.sentences)
    done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
    assert done.returncode == 1
    assert b"is incomplete: " in done.stderr
    assert b"Set mephisto.task.resume_incomplete_run to true to resume it, or to false to launch" in done.stderr


def refused(*words: str | Path) -> tuple[int, str]:
    """Return the exit code and the message of a verb that fails."""
    done = subprocess.run([COMMAND, "resume", *words], capture_output=True, text=True, timeout=120)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


async def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 1)) as script:
        code, said = refused(data_dir, "1")
        assert (
            code,
            f"is being written by process {script.process.pid}: `mephisto-es status {data_dir}` shows its runs" in said,
        ) == (2, True)
        script.process.send_signal(signal.SIGINT)
        assert await script.process.wait() == 0
    end_routers(data_dir)
    assert refused(data_dir, "run-2") == (1, "mephisto-es resume: there is no run-2; the nearest is run-1")
    assert refused(tmp_path, "1") == (
        2,
        f"mephisto-es resume: there is no log at {tmp_path}/mephisto.db; check the path",
    )
    assert not (tmp_path / "mephisto.db").exists()
