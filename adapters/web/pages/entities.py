"""The units and workers of a run, and the timeline and decisions of one entity."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ....core.entity_ref import HISTORY_KINDS, MAX_CHARACTERS, WORKER, EntityRef, find_entity, parse_entity_ref
from ....core.errors import AmbiguousReferenceError
from ....core.lifecycles.unit import UnitStatus
from ....events.ids import AgentId, AssignmentId, WorkerId
from ....projections.queries.entity_ref import ViewLookup
from ....projections.queries.history.entity_events import events_about
from ....projections.queries.history.explain import Explanation, explain_agent, explain_assignment, explain_worker
from ....projections.queries.history.timeline import TimelineEntry, timeline
from ....projections.queries.runs.progress import RunProgress, run_progress
from ....projections.queries.unit_list import (
    UNIT_COLUMNS,
    WORKER_COLUMNS,
    RowFilter,
    UnitList,
    WorkerList,
    list_units,
    list_workers,
)
from ...log.sqlite.as_of import LogAsOf
from ..rendering import query
from ..site import Site, run_of, seq_of

#: Rows of a list on one page.
PAGE_ROWS = 50
#: The most pages that a list is asked for.
MAX_PAGES = 1_000_000
#: The latest lines of a timeline that are shown; the command line prints all of them.
MAX_LINES = 1000
#: Kinds of entities whose decisions are explained.
EXPLAINED = ("agent", "worker", "assignment")

Names = dict[WorkerId, str]

_STATUSES = tuple(status.value for status in UnitStatus)


class EntityPages:
    """Shows units, workers and agents."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/units", self.units),
            Route("/runs/{run:int}/workers", self.workers),
            Route("/timeline/{subject}", self.timeline),
            Route("/explain/{subject}", self.explain),
            Route("/find", self.find),
        ]

    async def units(self, request: Request) -> Response:
        """List a run's units."""
        run, seq = run_of(request), seq_of(request)
        choice = self._choice_of(request, UNIT_COLUMNS)
        status = request.query_params.get("status") or None
        if status is not None and status not in _STATUSES:
            raise HTTPException(400, f"No unit is {status!r}; choose one of {', '.join(_STATUSES)}")

        def answer(moment: LogAsOf) -> tuple[RunProgress, UnitList, Names]:
            page = list_units(moment, run, choice, status)
            names = self._site.names_of(moment.db, (unit.worker_id for unit in page.units))
            return run_progress(moment.db, run), page, names

        progress, page, names = await self._site.log.query(answer, seq)
        return self._site.templates.page(
            "units.html", request, run=progress, page=page, names=names, choice=choice, status=status, seq=seq
        )

    async def workers(self, request: Request) -> Response:
        """List a run's workers."""
        run, seq = run_of(request), seq_of(request)
        choice = self._choice_of(request, WORKER_COLUMNS)

        def answer(moment: LogAsOf) -> tuple[RunProgress, WorkerList, Names]:
            page = list_workers(moment, run, choice)
            names = self._site.names_of(moment.db, (worker.worker_id for worker in page.workers))
            return run_progress(moment.db, run), page, names

        progress, page, names = await self._site.log.query(answer, seq)
        return self._site.templates.page(
            "workers.html", request, run=progress, page=page, names=names, choice=choice, seq=seq
        )

    async def timeline(self, request: Request) -> Response:
        """Show the timeline of an entity."""
        subject, seq = _subject_of(request), seq_of(request)

        def answer(moment: LogAsOf) -> tuple[list[TimelineEntry], str | None]:
            return list(timeline(events_about(moment, subject), subject)), self._name_of(moment, subject)

        lines, name = await self._site.log.query(answer, seq)
        shown = lines[-MAX_LINES:]
        return self._site.templates.page(
            "timeline.html",
            request,
            subject=subject,
            name=name,
            lines=shown,
            left_out=len(lines) - len(shown),
            seq=seq,
        )

    async def explain(self, request: Request) -> Response:
        """Show the decisions about an agent, a worker or an assignment."""
        subject, seq = _subject_of(request), seq_of(request)
        if subject.kind not in EXPLAINED:
            raise HTTPException(404, f"Decisions are shown for agents, workers and assignments only, not for {subject}")

        def answer(moment: LogAsOf) -> tuple[Explanation, str | None]:
            if subject.kind == "agent":
                return explain_agent(moment, AgentId(subject.number)), None
            if subject.kind == "assignment":
                return explain_assignment(moment, AssignmentId(subject.number)), None
            return explain_worker(moment, WorkerId(subject.number)), self._name_of(moment, subject)

        explanation, name = await self._site.log.query(answer, seq)
        return self._site.templates.page(
            "explain.html", request, subject=subject, name=name, explanation=explanation, seq=seq
        )

    async def find(self, request: Request) -> Response:
        """Redirect to the entity whose id or name at the provider was typed; let visitors choose if it is several."""
        text = request.query_params.get("id", "")
        try:
            subject = await self._site.log.query(lambda moment: find_entity(ViewLookup(moment.db), text, HISTORY_KINDS))
        except AmbiguousReferenceError as error:
            return await self._choice(request, error)
        return RedirectResponse(f"{address_of(subject)}{query(seq=seq_of(request))}", 303)

    async def _choice(self, request: Request, ambiguous: AmbiguousReferenceError) -> Response:
        """Return a page with everything that a text may mean."""
        found = [one for one in map(parse_entity_ref, ambiguous.entities) if one is not None]
        names = await self._site.log.query(lambda moment: [self._name_of(moment, one) for one in found])
        meant = [(one, address_of(one), name) for one, name in zip(found, names, strict=True)]
        return self._site.templates.page("find.html", request, written=ambiguous.written, meant=meant)

    def _choice_of(self, request: Request, columns: Mapping[str, str]) -> RowFilter:
        """Return the choice of rows that an address names.

        Raises:
            HTTPException: there is no such column, or the page is not a number.
        """
        given = request.query_params
        column, page = given.get("sort", ""), given.get("page", "1")
        if column and column not in columns:
            raise HTTPException(400, f"Rows are not sorted by {column!r}; choose one of {', '.join(columns)}")
        if not page.isdecimal() or not 1 <= int(page) <= MAX_PAGES:
            raise HTTPException(400, f"page is {page!r}; it must be a number from 1 to {MAX_PAGES:,}")
        return RowFilter(
            column=column,
            is_descending="down" in given,
            words=tuple(given.get("q", "")[:MAX_CHARACTERS].split()),
            searches_names=self._site.shows_names,
            page=int(page),
            size=PAGE_ROWS,
        )

    def _name_of(self, moment: LogAsOf, subject: EntityRef) -> str | None:
        """Return the name at the provider of a worker, if names are shown."""
        worker = WorkerId(subject.number)
        return self._site.names_of(moment.db, [worker]).get(worker) if subject.kind == WORKER else None


def address_of(entity: EntityRef) -> str:
    """Return the page of an entity."""
    return f"/runs/{entity.number}" if entity.kind == "run" else f"/timeline/{entity}"


def _subject_of(request: Request) -> EntityRef:
    text = request.path_params["subject"]
    subject = parse_entity_ref(text)
    if subject is None:
        examples = ", ".join(f"{kind}-1" for kind in HISTORY_KINDS)
        raise HTTPException(404, f"{text!r} is not an id; write for instance {examples}")
    return subject
