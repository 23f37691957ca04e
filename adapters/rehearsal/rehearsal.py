"""Rehearses a launch script: runs it in a process of its own, and sends simulated workers to each run it launches."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from subprocess import DEVNULL, STDOUT
from typing import Any

import httpx
import msgspec
import trio

from ...core.errors import MephistoError
from ...core.operations.control.requests import EndRequest
from ...events.ids import TaskRunId
from ..blueprints.html.html_page import TASK_FILE
from ..composition.data_dir import DATABASE_FILE
from ..control.client import open_control
from ..crowd.crowd import Crowd
from ..log.sqlite.as_of import open_as_of
from .answers_file import AnswersFile
from .bots import TaskForms, draw_crowd
from .browser_visits import BrowserNotes, visit_in_browser
from .operator import UNIT_SECONDS
from .page_look import PageLook, fields_of, look_at_page
from .report import RehearsalReport, RunReport
from .run_report import PageFindings, report_run
from .script_process import ScriptJob, encode_job
from .settings import LaunchedRun, RehearsalSettings

#: What the script printed, in the rehearsal's folder.
OUTPUT_FILE = "script_output.log"
#: A simulated worker leaves after this long without work: later than somebody's time for a unit runs out.
PATIENCE_SECONDS = UNIT_SECONDS + 10.0
#: Seconds that simulated workers wait for those with a browser, who show what the page submits.
SAMPLE_SECONDS = 40.0
#: Seconds in which a script must end after its runs have ended, and the longest time of a rehearsal.
EXIT_SECONDS = 30.0
REHEARSAL_SECONDS = 600.0
#: In whose name a rehearsal ends its runs.
AUTHOR = "rehearsal"
#: Lines of the script's output that a finding repeats.
QUOTED_LINES = 3


class _Part:
    """One run of the rehearsal, with everything known about it."""

    def __init__(self, run: LaunchedRun) -> None:
        self.run = run
        self.notes = BrowserNotes()
        self.look = PageLook()
        self.config: dict[str, Any] = {}
        self.forms = TaskForms(run, {}, ())
        self.crowd = Crowd(run.url, ())
        self.started_at = trio.current_time()
        self.seconds = 0.0


async def rehearse(settings: RehearsalSettings) -> RehearsalReport:
    """Rehearse a launch script.

    Args:
        settings: the choices of the rehearsal.

    Raises:
        ConfigError: the answers file cannot be used.
        LogError: the rehearsal's log cannot be read.
    """
    answers = None if settings.answers is None else AnswersFile(settings.answers)
    rehearsal = Rehearsal(settings, answers)
    started_at = trio.current_time()
    await rehearsal.run()
    database = settings.data_dir / DATABASE_FILE
    return RehearsalReport(
        runs=rehearsal.reports(database),
        script_findings=tuple(rehearsal.script_findings),
        seconds=round(trio.current_time() - started_at, 1),
        database=str(database),
        script_output=str(settings.data_dir / OUTPUT_FILE),
        used_browser=settings.chromium is not None,
    )


class Rehearsal:
    """One rehearsal.

    Attributes:
        script_findings: findings about the script as a whole.
    """

    def __init__(self, settings: RehearsalSettings, answers: AnswersFile | None) -> None:
        self._settings = settings
        self._answers = answers
        self._output = settings.data_dir / OUTPUT_FILE
        self._parts: list[_Part] = []
        self.script_findings: list[str] = []

    async def run(self) -> None:
        """Run the script until it ends. If cancelled, it is killed."""
        self._settings.data_dir.mkdir(parents=True, exist_ok=True)
        reads_from, writes_to = os.pipe()
        job = ScriptJob(settings=self._settings, reports_to=writes_to)
        command = [sys.executable, "-m", f"{__package__}.script_process", encode_job(job).decode()]
        with trio.move_on_after(REHEARSAL_SECONDS) as limit, self._output.open("wb") as output:
            async with trio.open_nursery() as nursery:
                start = partial(trio.run_process, command, stdin=DEVNULL, stdout=output, stderr=STDOUT, check=False)
                try:
                    process: trio.Process = await nursery.start(partial(start, pass_fds=(writes_to,)))
                finally:
                    os.close(writes_to)
                nursery.start_soon(self._take_reports, trio.lowlevel.FdStream(reads_from), process)
                status = await process.wait()
                nursery.cancel_scope.cancel()
        self._judge_script(None if limit.cancelled_caught else status)

    async def _take_reports(self, reports: trio.lowlevel.FdStream, process: trio.Process) -> None:
        """Send workers to each run that the script launches; end the script when they have left all of them."""
        async with trio.open_nursery() as nursery:
            async for line in _lines(reports):
                part = _Part(msgspec.json.decode(line, type=LaunchedRun))
                self._parts.append(part)
                nursery.start_soon(self._rehearse_run, part)
        await trio.sleep(EXIT_SECONDS)
        self.script_findings.append(f"the script did not end within {EXIT_SECONDS:g} s after its runs had ended")
        process.terminate()

    async def _rehearse_run(self, part: _Part) -> None:
        settings, run = self._settings, part.run
        try:
            async with httpx.AsyncClient(base_url=run.url, trust_env=False, timeout=UNIT_SECONDS) as client:
                part.config = (await client.get("/task_config.json")).json()
                part.look = await look_at_page(client, "/")
                is_html = "html_fields" in part.config
                fields = await fields_of(client, f"/{TASK_FILE}") if is_html else part.look.fields
            part.forms = TaskForms(run, part.config, fields)
            async with trio.open_nursery() as nursery:
                has_sample = trio.Event()
                if settings.chromium is not None:
                    nursery.start_soon(visit_in_browser, settings.chromium, run.url, part.notes, has_sample)
                    if not run.chat_messages:
                        with trio.move_on_after(SAMPLE_SECONDS):
                            await has_sample.wait()
                chance = Random(f"{settings.seed}/{len(self._parts)}")
                bots = draw_crowd(run, settings.workers, chance, part.forms, self._answers, part.notes.submitted)
                part.crowd = Crowd(run.url, bots, patience_seconds=PATIENCE_SECONDS)
                await part.crowd.run()
        finally:
            part.seconds = trio.current_time() - part.started_at
        await self._end(run)

    async def _end(self, run: LaunchedRun) -> None:
        """End a run that all workers have left."""
        with suppress(MephistoError):  # it may have ended meanwhile
            async with open_control(self._settings.data_dir / DATABASE_FILE, AUTHOR) as control:
                request = EndRequest(task_run=TaskRunId(run.task_run), reason="all simulated workers have left")
                await control.execute(request)

    def _judge_script(self, status: int | None) -> None:
        if status is None:
            self.script_findings.append(f"the rehearsal did not end within {REHEARSAL_SECONDS:g} s")
        elif status != 0:
            lines = self._output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            self.script_findings.append(f"the script ended with status {status}: {' '.join(lines[-QUOTED_LINES:])}")
        elif not self._parts:
            self.script_findings.append("the script launched no run")

    def reports(self, database: Path) -> tuple[RunReport, ...]:
        """Return how each run went.

        Raises:
            LogError: the log cannot be read.
        """
        if not self._parts:
            return ()
        failures = Counter[str]() if self._answers is None else self._answers.failures
        with open_as_of(database) as moment:
            return tuple(
                report_run(
                    moment,
                    part.run,
                    part.crowd.summary(),
                    PageFindings(part.look, part.notes, part.forms.task, part.config, failures),
                    part.seconds,
                )
                for part in self._parts
            )


async def _lines(stream: trio.lowlevel.FdStream) -> AsyncIterator[bytes]:
    buffered = b""
    async with stream:
        async for chunk in stream:
            *whole, buffered = (buffered + chunk).split(b"\n")
            for line in whole:
                yield line
