"""The runs, and one run: as it is now, as it was at any moment, and as it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import anyio
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ...core.lifecycles.task_run import ENDED_RUN_STATUSES
from ...events import streams
from ...events.ids import TaskRunId
from ...projections.queries.runs.blockers import OpenReport, find_blockers
from ...projections.queries.runs.run_status import RunStatus, all_runs, run_status
from ..log.sqlite.as_of import LogAsOf
from .charts import Chart, run_charts
from .site import Site, run_of, seq_of

#: Seconds without news after which a page is told that the server is still there.
KEEP_ALIVE_SECONDS = 15.0
#: Pages that are kept up to date at a time.
MOST_LIVE_PAGES = 64
#: Events that are told of a run.
LAST_EVENTS = 15

_ENDED = frozenset(status.value for status in ENDED_RUN_STATUSES)


class Look(NamedTuple):
    """What the page of a run shows."""

    status: RunStatus
    openness: OpenReport
    charts: tuple[Chart, ...]
    #: Position of the run's first event.
    first_seq: int


class News(msgspec.Struct):
    """What an open page is sent."""

    seq: int
    html: str


class RunPages:
    """Pages about runs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._live_pages = 0

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/", self.runs),
            Route("/runs/{run:int}", self.run),
            Route("/runs/{run:int}/live", self.live),
        ]

    async def runs(self, request: Request) -> Response:
        """All runs."""
        seq = seq_of(request)
        found = await self._site.desk.ask(all_runs, seq)
        return self._site.pages.page("runs.html", request, found=found, seq=seq)

    async def run(self, request: Request) -> Response:
        """One run, at its end or at the moment that is asked for."""
        run, seq = run_of(request), seq_of(request)
        head = await self._site.desk.ask(lambda moment: moment.seq)
        look = await self._look(run, seq)
        return self._site.pages.page("run.html", request, look=look, seq=seq, head=max(head, look.status.seq))

    async def live(self, request: Request) -> Response:
        """What goes on in one run, as server-sent events: at once, and then after each change."""
        run = run_of(request)
        await self._look(run, None)
        if self._live_pages >= MOST_LIVE_PAGES:
            raise HTTPException(503, f"{MOST_LIVE_PAGES} pages are kept up to date already; close some")
        return StreamingResponse(self._news(run), media_type="text/event-stream")

    async def _news(self, run: TaskRunId) -> AsyncIterator[str]:
        changes, shown = self._site.changes, ""
        self._live_pages += 1
        try:
            while not changes.closed:
                number = changes.number
                look = await self._look(run, None)
                html = self._site.pages.part("_moment.html", look=look, seq=None)
                if html != shown:
                    shown = html
                    yield f"data: {msgspec.json.encode(News(look.status.seq, html)).decode()}\n\n"
                else:
                    yield ": nothing new\n\n"
                with anyio.move_on_after(KEEP_ALIVE_SECONDS):
                    await changes.wait_beyond(number)
        finally:
            self._live_pages -= 1

    async def _look(self, run: TaskRunId, seq: int | None) -> Look:
        now = self._site.clock.now_us()

        def answer(moment: LogAsOf) -> tuple[RunStatus, OpenReport, int, int]:
            goes_on = seq is None and moment.db.get_task_run(run).status not in _ENDED
            status = run_status(moment, run, now=now if goes_on else moment.at, last=LAST_EVENTS)
            return status, find_blockers(moment, run), moment.stream(streams.task_run(run))[0].seq, moment.at

        status, openness, first_seq, at = await self._site.desk.ask(answer, seq)
        series = await self._site.desk.series(run)
        return Look(status, openness, run_charts(series, status, None if seq is None else at), first_seq)
