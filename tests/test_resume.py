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
    OperatorProcess,
    is_running,
    launched,
    report_of,
    resumed,
    routers_of,
    some_sentences,
)

UNITS = 12


class Job:
    """A run whose operator was killed in the middle of it, with its crowd still there."""

    def __init__(self, data_dir: Path, sentences: str) -> None:
        self.data_dir = data_dir
        self.sentences = sentences
        self.crowd: Crowd | None = None
        self._half = trio.Event()
        self._submitted = 0

    def count(self) -> None:
        self._submitted += 1
        if self._submitted == UNITS // 2:
            self._half.set()

    async def begin(self, nursery: trio.Nursery, *overrides: str) -> str:
        """Launch it, and kill the operator when half is done; returns the address."""
        async with launched(self.data_dir, self.sentences, *overrides) as script:
            self.crowd = script.crowd(self.count)
            nursery.start_soon(self.crowd.run)
            await self._half.wait()
            await script.kill()
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
    for pid in routers_of(data_dir):
        if is_running(pid):
            os.kill(pid, signal.SIGTERM)


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


async def test_a_script_without_a_terminal_says_how_to_go_on(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    async with trio.open_nursery() as nursery:
        url = await job.begin(nursery)
        nursery.cancel_scope.cancel()
    async with launched(job.data_dir, job.sentences) as operator:
        assert operator.url != url
        operator.process.send_signal(signal.SIGINT)
        assert await operator.process.wait() == 0
    assert "mephisto.task.resume_incomplete_run=true resumes it" in capfd.readouterr().err


def refused(*words: str | Path) -> tuple[int, str]:
    """How the verb ends that cannot do what it should, and what it says."""
    done = subprocess.run([COMMAND, "resume", *words], capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


async def test_what_cannot_be_resumed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with launched(data_dir, some_sentences(tmp_path, 1)) as script:
        code, said = refused(data_dir, "1")
        assert (code, f"is being written by process {script.process.pid}; end that process" in said) == (2, True)
        script.process.send_signal(signal.SIGINT)
        assert await script.process.wait() == 0
    assert refused(data_dir, "run-2") == (1, "mephisto-es resume: there is no run-2; the nearest is run-1")
    code, said = refused(data_dir, "1")
    assert (code, "run 1 is 'completed': it cannot be resumed" in said) == (1, True)
    assert refused(tmp_path, "1") == (
        2,
        f"mephisto-es resume: there is no database at {tmp_path}/mephisto.db; check the path",
    )
    assert not (tmp_path / "mephisto.db").exists()
