"""The review desk: one piece of work at a time, with the keyboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ....core.commands.review import Verdict
from ....core.errors import ConfigError
from ....core.operations.configuration.money import amount, cents
from ....core.operations.control.requests import VerdictRequest
from ....events.ids import AgentId, UnitId, WorkerId
from ....projections.queries.review_queue import (
    OtherAnswer,
    ReviewFilter,
    ReviewOrder,
    ReviewQueue,
    UnitKind,
    fields_of,
    other_answers,
    read_filter,
    review_queue,
    usual_notes,
)
from ....projections.queries.runs.progress import RunProgress, run_progress
from ....projections.queries.unit_records import UnitRecord, unit_records
from ...log.sqlite.as_of import LogAsOf
from ..claims import Claims
from ..forms import FormPage, FormRefusedError, check_may_pay
from ..media import media_file
from ..site import Site, run_of
from .review import VERDICTS

#: Media of other origins may be shown on the desk: the requester put their addresses into the data.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; img-src 'self' https: http:; media-src 'self' https: http:"
)
#: Names of query parameters that are not part of the filter.
_NO_FILTER = frozenset({"unit", "recorded"})
#: Workers that are offered as filters.
_MAX_WORKERS = 30


class Desk(NamedTuple):
    """The contents of the desk."""

    run: RunProgress
    queue: ReviewQueue
    #: None: no work is left that nobody else has open.
    record: UnitRecord | None
    others: tuple[OtherAnswer, ...]
    notes: tuple[str, ...]
    #: Names of the workers at their providers.
    names: Mapping[WorkerId, str]
    #: Labels of the task's form and of what it shows, by name.
    labels: Mapping[str, str]

    @property
    def position(self) -> int | None:
        """Place of the unit in the queue, from 0; None: it is not in the queue."""
        if self.record is None or self.record.unit_id not in self.queue.units:
            return None
        return self.queue.units.index(UnitId(self.record.unit_id))

    def neighbour(self, step: int) -> UnitId | None:
        """Return the unit that is so many places further in the queue."""
        place = self.position
        if place is None or not 0 <= place + step < len(self.queue.units):
            return None
        return self.queue.units[place + step]


class DeskPages(FormPage):
    """Shows one piece of work, takes a verdict, and shows the next one."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._claims = Claims(lambda: site.clock.now_us() / 1_000_000)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/review/desk", self.show, methods=["GET"]),
            Route("/runs/{run:int}/review/desk", self.submit, methods=["POST"]),
            Route("/runs/{run:int}/media/{path:path}", self.media, methods=["GET"]),
        ]

    async def media(self, request: Request) -> Response:
        """Send a file of the run's media folder."""
        run, path = run_of(request), request.path_params["path"]
        file = await self._site.log.query(lambda moment: media_file(moment.db.get_task_run(run).init_params, path))
        if file is None:
            raise HTTPException(404, "The media folder of this run has no such file, or it is no longer there")
        return FileResponse(file)

    def _notice(self, request: Request) -> str:
        return "The verdict is recorded." if request.query_params.get("recorded") == "1" else ""

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        verdict = _verdict_of(fields)
        unit, following = _number(fields, "unit"), _number(fields, "next")
        session: str = request.state.visitor.session
        if unit and self._claims.is_held_by_other(session, UnitId(unit)):
            raise FormRefusedError(409, "Nothing was recorded: another reviewer has this work open.")
        if verdict.bonus_cents:
            check_may_pay(request)
        done = await self._site.log.record_verdicts([verdict], request.state.visitor.reviewer.author)
        if done.refusal is not None:
            raise FormRefusedError(409, f"Nothing was recorded: {done.refusal}.")
        self._claims.release(session)
        return {**fields_of(filter_of(request)), "unit": following or None, "recorded": 1}

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run, chosen = run_of(request), filter_of(request)
        session: str = request.state.visitor.session
        asked = _number(request.query_params, "unit")

        def answer(moment: LogAsOf) -> Desk:
            progress = run_progress(moment.db, run)
            queue = review_queue(moment, run, chosen)
            unit_id = self._choose(session, queue, UnitId(asked), is_following="recorded" in request.query_params)
            labels = _labels(moment.db.get_task_run(run).init_params)
            notes = usual_notes(moment, run)
            if unit_id is None:
                return Desk(progress, queue, None, (), notes, {}, labels)
            unit = moment.db.get_unit(unit_id)
            (record,) = unit_records(moment, run, units=[unit], names=False)
            others = other_answers(moment, unit)
            names = self._site.names_of(moment.db, (record.worker_id, *(other.worker_id for other in others)))
            return Desk(progress, queue, record, others, notes, names, labels)

        desk = await self._site.log.query(answer)
        is_claimed = desk.record is None or self._claims.claim(session, UnitId(desk.record.unit_id))
        page = self._site.templates.page(
            "desk.html",
            request,
            status_code,
            desk=desk,
            run=desk.run,
            chosen=chosen,
            filters=fields_of(chosen),
            workers=desk.queue.by_worker[:_MAX_WORKERS],
            kinds=tuple(UnitKind),
            orders=tuple(ReviewOrder),
            statuses=tuple(VERDICTS),
            verdicts=VERDICTS[chosen.status.value],
            is_claimed=is_claimed,
            notice=notice,
            refused=refused,
            fields=fields,
        )
        page.headers["content-security-policy"] = _CONTENT_SECURITY_POLICY
        return page

    def _choose(self, session: str, queue: ReviewQueue, asked: UnitId, *, is_following: bool) -> UnitId | None:
        """Return the unit to show: the one asked for; or after a verdict, the next one that nobody else has open."""
        if asked not in queue.units:
            return self._claims.first_free(session, queue.units)
        if not is_following:
            return asked
        place = queue.units.index(asked)
        return self._claims.first_free(session, (*queue.units[place:], *queue.units[:place]))


class BulkReviewPages(FormPage):
    """Approves all work that a filter selects, after showing how much that is."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/review/all", self.show, methods=["GET"]),
            Route("/runs/{run:int}/review/all", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        recorded = request.query_params.get("recorded", "")
        return f"{int(recorded):,} verdicts are recorded." if recorded.isdecimal() else ""

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        run, chosen = run_of(request), filter_of(request)
        queue = await self._site.log.query(lambda moment: review_queue(moment, run, chosen))
        if len(queue.units) != _number(fields, "count"):
            raise FormRefusedError(
                409,
                f"Nothing was recorded: meanwhile {len(queue.units):,} pieces of work match, "
                f"worth {amount(queue.pay_cents)}. Look again.",
            )
        note = fields.get("note", "").strip() or None
        verdicts = [VerdictRequest(agent=agent, verdict=Verdict.APPROVED, note=note) for agent in queue.agents]
        done = await self._site.log.record_verdicts(verdicts, request.state.visitor.reviewer.author)
        if done.refusal is not None:
            raise FormRefusedError(
                409, f"{done.recorded:,} of {len(verdicts):,} verdicts are recorded; one was refused: {done.refusal}."
            )
        return {**fields_of(chosen), "recorded": done.recorded}

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run, chosen = run_of(request), filter_of(request)

        def answer(moment: LogAsOf) -> tuple[RunProgress, ReviewQueue, tuple[str, ...]]:
            return run_progress(moment.db, run), review_queue(moment, run, chosen), usual_notes(moment, run)

        progress, queue, notes = await self._site.log.query(answer)
        return self._site.templates.page(
            "review_all.html",
            request,
            status_code,
            run=progress,
            queue=queue,
            notes=notes,
            filters=fields_of(chosen),
            may_approve=Verdict.APPROVED in VERDICTS[chosen.status.value],
            notice=notice,
            refused=refused,
            fields=fields,
        )


def filter_of(request: Request) -> ReviewFilter:
    """Return the filter in an address.

    Raises:
        HTTPException: it makes no sense, or its work is not reviewed.
    """
    try:
        chosen = read_filter({name: text for name, text in request.query_params.items() if name not in _NO_FILTER})
    except ConfigError as error:
        raise HTTPException(400, str(error)) from error
    if chosen.status.value not in VERDICTS:
        raise HTTPException(400, f"Work that is {chosen.status.value!r} is not reviewed; choose {', '.join(VERDICTS)}")
    return chosen


def _verdict_of(fields: Mapping[str, str]) -> VerdictRequest:
    """Return the verdict of a form.

    Raises:
        FormRefusedError: none was chosen.
        ConfigError: the bonus is not an amount of money.
        HTTPException: it is not the form of this page.
    """
    verdict, agent = fields.get("verdict", ""), _number(fields, "agent")
    if not verdict:
        raise FormRefusedError(400, "No verdict was chosen.")
    if not agent or verdict not in {one.value for one in Verdict}:
        raise HTTPException(400, f"{verdict!r} is not a verdict on an agent")
    return VerdictRequest(
        agent=AgentId(agent),
        verdict=Verdict(verdict),
        note=fields.get("note", "").strip() or None,
        bonus_cents=cents(fields.get("bonus", "").strip() or "0", key="the bonus"),
    )


def _number(fields: Mapping[str, str], name: str) -> int:
    """Return the id in a field; 0 if there is none."""
    text = fields.get(name) or "0"
    if not text.isdecimal() or len(text) > 18:
        raise HTTPException(400, f"{name} is not the number of an entity")
    return int(text)


def _labels(init_params: str) -> dict[str, str]:
    """Return the labels that a run's stock page shows, by the names of the values."""
    settings = msgspec.json.decode(init_params)
    blueprint = settings.get("blueprint") if isinstance(settings, dict) else None
    entries = [*(blueprint.get("form") or ()), *(blueprint.get("show") or ())] if isinstance(blueprint, dict) else []
    return {
        str(entry["name"]): str(entry["label"])
        for entry in entries
        if isinstance(entry, dict) and entry.get("name") and entry.get("label")
    }
