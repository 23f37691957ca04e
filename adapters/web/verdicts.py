"""Review: work that was handed in, and verdicts on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ...core.decisions.review import Verdict
from ...core.errors import ConfigError, UnusableLogError
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import cents
from ...events.ids import AgentId
from ...projections.queries.runs.progress import RunProgress, run_progress
from ...projections.queries.unit_list import UnitListPage, unit_page
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..log.sqlite.as_of import LogAsOf
from .log_access import Decided
from .rendering import query
from .site import BUSY, Site, after_of, form_of, run_of

#: Work that is shown, and may be decided on, at a time.
PAGE_UNITS = 10

#: What may still be said of work, by the status of its unit.
VERDICTS: Mapping[str, tuple[Verdict, ...]] = {
    UnitStatus.COMPLETED.value: (Verdict.APPROVED, Verdict.SOFT_REJECTED, Verdict.REJECTED),
    UnitStatus.SOFT_REJECTED.value: (Verdict.APPROVED,),
    UnitStatus.REJECTED.value: (Verdict.APPROVED,),
    UnitStatus.ACCEPTED.value: (),
}


class Waiting(NamedTuple):
    """A page of work."""

    run: RunProgress
    page: UnitListPage
    records: tuple[UnitRecord, ...]


class VerdictPages:
    """The page on which verdicts are given."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/runs/{run:int}/review", self.show, methods=["GET"]),
            Route("/runs/{run:int}/review", self.record, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Work of one status; that which waits for a verdict, unless another is asked for."""
        recorded = request.query_params.get("recorded", "")
        said = f"{int(recorded):,} verdicts are recorded." if recorded.isdecimal() and recorded != "1" else ""
        said = "The verdict is recorded." if recorded == "1" else said
        return await self._page(request, 200, said=said)

    async def record(self, request: Request) -> Response:
        """Record the verdicts of a form."""
        fields = await form_of(request, self._site.sessions)
        try:
            decided = list(_decided(fields))
            if not decided:
                return await self._page(request, 400, refused="No verdict was chosen.", fields=fields)
            done = await self._site.desk.record(decided)
        except ConfigError as error:
            return await self._page(request, 400, refused=f"Nothing was recorded: {error}.", fields=fields)
        except UnusableLogError as error:
            return await self._page(request, 409, refused=BUSY.format(error=error), fields=fields)
        if done.refused is not None:
            said = f"{done.number:,} of {len(decided):,} verdicts are recorded; the next was refused: {done.refused}."
            return await self._page(request, 409, refused=said, fields=fields)
        status = _status_of(request)
        answer = query(status=status, after=after_of(request) or None, recorded=done.number)
        return RedirectResponse(f"{request.url.path}{answer}", 303)

    async def _page(
        self,
        request: Request,
        status_code: int,
        *,
        said: str = "",
        refused: str = "",
        fields: Mapping[str, str] | None = None,
    ) -> Response:
        run, after, status = run_of(request), after_of(request), _status_of(request)

        def answer(moment: LogAsOf) -> Waiting:
            page = unit_page(moment, run, size=PAGE_UNITS, status=status, after=after)
            records = tuple(unit_records(moment, run, units=page.units))
            return Waiting(run_progress(moment.db, run), page, records)

        waiting = await self._site.desk.ask(answer)
        return self._site.pages.page(
            "review.html",
            request,
            status_code,
            waiting=waiting,
            run=waiting.run,
            status=status,
            verdicts=VERDICTS[status],
            statuses=tuple(VERDICTS),
            after=after or None,
            said=said,
            refused=refused,
            fields=fields or {},
        )


def _status_of(request: Request) -> str:
    status = request.query_params.get("status") or UnitStatus.COMPLETED.value
    if status not in VERDICTS:
        raise HTTPException(400, f"Nothing that is {status!r} is reviewed; it is one of {', '.join(VERDICTS)}")
    return status


def _decided(fields: Mapping[str, str]) -> Iterator[Decided]:
    """The verdicts of a form, in its order.

    Raises:
        ConfigError: a bonus is no money, or does not go with its verdict.
        HTTPException: it is not the form of this page.
    """
    for name, value in fields.items():
        kind, _, number = name.partition("-")
        if kind != "verdict" or not value:
            continue
        if not number.isdecimal() or value not in {verdict.value for verdict in Verdict}:
            raise HTTPException(400, f"{name} is {value!r}, which is no verdict on an agent")
        bonus = cents(fields.get(f"bonus-{number}", "").strip() or "0", key=f"the bonus of agent-{number}")
        yield Decided(AgentId(int(number)), Verdict(value), fields.get(f"note-{number}", "").strip() or None, bonus)
