"""The list of runs, and the page of one run: now, at any earlier position, and live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import NamedTuple

import anyio
import msgspec
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ....core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ....events.ids import TaskRunId
from ....projections.queries.history.timeline import TimelineEntry
from ....projections.queries.runs.blockers import OpenReport, find_blockers
from ....projections.queries.runs.progress import RunProgress
from ....projections.queries.runs.run_status import Runs, RunStatus, all_runs, run_status, without_operator
from ...log.sqlite.as_of import LogAsOf
from ..moments import Mark, find_marks
from ..plots import RunPlots, run_plots
from ..site import Site, run_of, seq_of

#: Seconds without news after which a page is sent a sign of life.
KEEP_ALIVE_SECONDS = 15.0
#: Pages that are kept up to date at the same time.
MAX_LIVE_PAGES = 64
#: The latest events shown on the page of a run.
LAST_EVENTS = 15
#: Events that are read for each of them, because those that say the same are shown as one.
MOST_ALIKE = 8


class RunView(NamedTuple):
    """The content of the page of a run."""

    status: RunStatus
    report: OpenReport
    #: None if nothing happened yet, or if a live page gets them later.
    plots: RunPlots | None
    #: True if a live page gets them later.
    plots_follow: bool
    #: The latest events, the latest first, each with the number of those that say the same one after the other.
    last_events: tuple[tuple[TimelineEntry, int], ...]
    #: Moments worth a look, later ones too, in the order of the log.
    marks: tuple[Mark, ...]


class PageUpdate(msgspec.Struct):
    """The message by which an open page is updated."""

    seq: int
    html: str


class RunPages:
    """Pages about runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._live_pages = 0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.runs),
            Route("/runs/{run:int}", self.run),
            Route("/runs/{run:int}/live", self.live),
        ]

    async def runs(self, request: Request) -> Response:
        """Show all runs."""
        seq = seq_of(request)

        def answer(moment: LogAsOf) -> Runs:
            found = all_runs(moment)
            return found if seq is not None else replace(found, runs=tuple(map(self._with_operator, found.runs)))

        found = await self._site.log.query(answer, seq)
        return self._site.templates.page("runs.html", request, found=found, seq=seq)

    async def run(self, request: Request) -> Response:
        """Show one run, as of the position in the address or now."""
        run, seq = run_of(request), seq_of(request)
        head = await self._site.log.query(lambda moment: moment.seq)
        view = await self._view(run, seq, at_once=seq is None)
        return self._site.templates.page("run.html", request, view=view, seq=seq, head=max(head, view.status.seq))

    async def live(self, request: Request) -> Response:
        """Send the state of a run as server-sent events: at once, and then after each change."""
        run = run_of(request)
        await self._view(run, None, at_once=True)
        if self._live_pages >= MAX_LIVE_PAGES:
            raise HTTPException(503, f"{MAX_LIVE_PAGES} pages are already kept up to date; close some")
        return StreamingResponse(self._updates(run), media_type="text/event-stream")

    async def _updates(self, run: TaskRunId) -> AsyncIterator[str]:
        changes, shown = self._site.changes, ""
        self._live_pages += 1
        try:
            while not changes.closed:
                number = changes.number
                view = await self._view(run, None)
                html = self._site.templates.fragment("_run.html", view=view, seq=None)
                if html != shown:
                    shown = html
                    yield f"data: {msgspec.json.encode(PageUpdate(view.status.seq, html)).decode()}\n\n"
                else:
                    yield ": nothing new\n\n"
                with anyio.move_on_after(KEEP_ALIVE_SECONDS):
                    await changes.wait_beyond(number)
        finally:
            self._live_pages -= 1

    def _with_operator(self, progress: RunProgress) -> RunProgress:
        return replace(progress, operator_problem=self._site.log.operator_problem(progress))

    async def _view(self, run: TaskRunId, seq: int | None, *, at_once: bool = False) -> RunView:
        """Return the content of the page of a run.

        Args:
            run: the run.
            seq: the position; None for the end.
            at_once: leave out the plots if much of the log has to be read for them.
        """
        now, log = self._site.clock.now_us(), self._site.log

        def answer(moment: LogAsOf) -> tuple[RunStatus, OpenReport, int, tuple[Mark, ...]]:
            run_status_now = TaskRunStatus(moment.db.get_task_run(run).status)
            is_live = seq is None and run_status_now not in ENDED_RUN_STATUSES
            status = run_status(moment, run, now=now if is_live else moment.at, last=LAST_EVENTS * MOST_ALIKE)
            problem = log.operator_problem(status.progress) if seq is None else None
            status = status if problem is None else without_operator(status, problem)
            return status, find_blockers(moment, run), moment.at, find_marks(moment, run)

        status, report, at, marks = await log.query(answer, seq)
        if seq is not None:
            marks = await log.query(lambda moment: find_marks(moment, run))
        series = await (log.series_at_once(run, status.seq) if at_once else log.series(run))
        plots = None if series is None else run_plots(series, status, marks, None if seq is None else at)
        return RunView(status, report, plots, series is None, folded(status.last_events), marks)


def folded(lines: Sequence[TimelineEntry]) -> tuple[tuple[TimelineEntry, int], ...]:
    """Return lines, the latest first, with one line for several that say the same one after the other."""
    folded = []
    for _, alike in groupby(reversed(lines), key=lambda line: (line.text, line.kind)):
        same = list(alike)
        folded.append((same[0], len(same)))
    return tuple(folded[:LAST_EVENTS])
