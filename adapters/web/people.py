"""Looking through a run: its units and workers, and the history of any one of them."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...core.lifecycles.unit import UnitStatus
from ...events.ids import AgentId, WorkerId
from ...projections.queries.entity_ref import KINDS, EntityRef, parse_entity_ref
from ...projections.queries.history.entity_events import events_about
from ...projections.queries.history.explain import Explanation, explain_agent, explain_worker
from ...projections.queries.history.timeline import TimelineEntry, timeline
from ...projections.queries.runs.progress import RunProgress, run_progress
from ...projections.queries.unit_list import UnitListPage, WorkerListPage, unit_page, worker_page
from ..log.sqlite.as_of import LogAsOf
from .rendering import query
from .site import Site, after_of, run_of, seq_of

#: Rows of a list on one page.
PAGE_ROWS = 50
#: Lines of a history that are shown, the latest ones; the command prints them all.
MOST_LINES = 1000
#: Kinds that are explained, beside being told.
EXPLAINED = ("agent", "worker")

_STATUSES = tuple(status.value for status in UnitStatus)


class PeoplePages:
    """Pages about units and those who do them."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/runs/{run:int}/units", self.units),
            Route("/runs/{run:int}/workers", self.workers),
            Route("/timeline/{subject}", self.timeline),
            Route("/explain/{subject}", self.explain),
            Route("/find", self.find),
        ]

    async def units(self, request: Request) -> Response:
        """A run's units."""
        run, seq, after = run_of(request), seq_of(request), after_of(request)
        status = request.query_params.get("status") or None
        if status is not None and status not in _STATUSES:
            raise HTTPException(400, f"No unit is ever {status!r}; it is one of {', '.join(_STATUSES)}")

        def answer(moment: LogAsOf) -> tuple[RunProgress, UnitListPage]:
            page = unit_page(moment, run, size=PAGE_ROWS, status=status, after=after)
            return run_progress(moment.db, run), page

        progress, page = await self._site.desk.ask(answer, seq)
        return self._site.pages.page("units.html", request, run=progress, page=page, status=status, seq=seq)

    async def workers(self, request: Request) -> Response:
        """A run's workers."""
        run, seq, after = run_of(request), seq_of(request), after_of(request)

        def answer(moment: LogAsOf) -> tuple[RunProgress, WorkerListPage]:
            return run_progress(moment.db, run), worker_page(moment, run, size=PAGE_ROWS, after=after)

        progress, page = await self._site.desk.ask(answer, seq)
        return self._site.pages.page("workers.html", request, run=progress, page=page, seq=seq)

    async def timeline(self, request: Request) -> Response:
        """What happened to an entity."""
        subject, seq = _subject_of(request), seq_of(request)

        def answer(moment: LogAsOf) -> list[TimelineEntry]:
            return list(timeline(events_about(moment, subject), subject))

        lines = await self._site.desk.ask(answer, seq)
        shown = lines[-MOST_LINES:]
        return self._site.pages.page(
            "timeline.html",
            request,
            subject=subject,
            lines=shown,
            left_out=len(lines) - len(shown),
            seq=seq,
        )

    async def explain(self, request: Request) -> Response:
        """Why an agent or a worker is where it is."""
        subject, seq = _subject_of(request), seq_of(request)
        if subject.kind not in EXPLAINED:
            raise HTTPException(404, f"Only agents and workers are explained, not {subject}")

        def answer(moment: LogAsOf) -> Explanation:
            if subject.kind == "agent":
                return explain_agent(moment, AgentId(subject.number))
            return explain_worker(moment, WorkerId(subject.number))

        explanation = await self._site.desk.ask(answer, seq)
        return self._site.pages.page("explain.html", request, subject=subject, explanation=explanation, seq=seq)

    async def find(self, request: Request) -> Response:
        """Go to what was typed."""
        subject = _parsed(request.query_params.get("id", "").strip().lower())
        if subject.kind == "run":
            return RedirectResponse(f"/runs/{subject.number}", 303)
        return RedirectResponse(f"/timeline/{subject}{query(seq=seq_of(request))}", 303)


def _subject_of(request: Request) -> EntityRef:
    return _parsed(request.path_params["subject"])


def _parsed(text: str) -> EntityRef:
    subject = parse_entity_ref(text)
    if subject is None:
        wanted = ", ".join(f"{kind}-1" for kind in KINDS)
        raise HTTPException(404, f"{text!r} is not an id; write for instance {wanted}")
    return subject
