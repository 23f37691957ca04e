"""The review desk: one piece of work at a time, with the keyboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from .....core.lifecycles.agent import AgentStatus
from .....core.operations.control.requests import VerdictRequest, WithdrawVerdictRequest
from .....events.ids import AgentId, TaskRunId, UnitId, WorkerId
from .....projections.mephisto_db.rows import AgentOpinionRow
from .....projections.queries.quality.process_signals import PROCESS_SIGNALS, signals_in
from .....projections.queries.review_queue import (
    OpinionCount,
    OtherAnswer,
    ReviewOrder,
    ReviewQueue,
    UnitKind,
    fields_of,
    other_answers,
    review_queue,
    usual_notes,
)
from .....projections.queries.runs.progress import RunProgress, run_progress
from .....projections.queries.unit_records import UnitRecord, own_ids, unit_records
from .....projections.queries.uploads import UploadRecord, uploads_of_agent
from ....composition.rejections import rejection_warnings
from ....log.sqlite.as_of import LogAsOf
from ....quality.wording import signal_text
from ...claims import Claimant, Claims
from ...forms import FormPage, FormRefusedError, check_may_pay
from ...guard import TASK_PAGE
from ...media import media_file
from ...rendering import escaped_json
from ...site import Site, run_of
from ...task_page import TaskPage
from .review import VERDICTS
from .selection import filter_of, number_in, verdict_in
from .task_page import page_of_run

#: Media of other origins may be shown on the desk: the requester put their addresses into the data.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; frame-src 'self'; img-src 'self' https: http:; "
    "media-src 'self' https: http:"
)
#: Workers that are offered as filters.
_MAX_WORKERS = 30


_CLAIM_ENDS = (
    "Opened work is free again five minutes after it was last loaded. It may be your own, in another window or browser."
)


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
    #: The task's own page; None if the task has none that shows work.
    page: TaskPage | None
    #: Opinions on the work, if reviewers differ about it; a second reviewer is not shown the first one.
    opinions: tuple[AgentOpinionRow, ...] = ()
    #: Files that came with the work.
    uploads: tuple[UploadRecord, ...] = ()
    #: Names of outputs that the page filled in with ids of the agent or its worker: they are not compared.
    own_fields: frozenset[str] = frozenset()
    #: What a rejection would not take back at the crowd site; None: nothing is known to be.
    warning: str | None = None

    @property
    def signals(self) -> str:
        """Words for how the form was filled in; empty if the task does not count that."""
        found = None if self.record is None else signals_in(self.record.outputs)
        return "" if found is None else signal_text(found)

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
        if "undone" in request.query_params:
            return "The verdict is taken back. Qualifications and blocks that you granted beside it stay."
        if "opinion" in request.query_params:
            return (
                "Your opinion is recorded; nothing is decided yet. Such work is listed under opinions: it wants a "
                "second one, or reviewers differ."
            )
        return "The verdict is recorded." if "recorded" in request.query_params else ""

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        if fields.get("undo"):
            return await self._undo(request, fields)
        verdict = verdict_in(fields, filter_of(request))
        unit, following = number_in(fields, "unit"), number_in(fields, "next")
        claimant = _claimant(request)
        if unit and self._claims.is_held_by_other(claimant, UnitId(unit)):
            raise FormRefusedError(409, f"Nothing was recorded: another reviewer has this work open. {_CLAIM_ENDS}")
        if isinstance(verdict, VerdictRequest) and verdict.bonus_cents:
            check_may_pay(request)
        done = await self._site.log.record_verdicts([verdict], request.state.visitor.reviewer.author)
        if done.refusal is not None:
            raise FormRefusedError(409, f"Nothing was recorded: {done.refusal}.")
        self._claims.release(claimant)
        status = await self._site.log.query(lambda moment: moment.db.get_agent(verdict.agent).status)
        opinion = 1 if status == AgentStatus.COMPLETED.value else None
        recorded = f"{verdict.agent}-{unit}"
        shown = {"unit": following or None, "recorded": recorded, "opinion": opinion}
        return {**fields_of(filter_of(request)), **shown}

    async def _undo(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        """Take back a verdict, and show its work again."""
        agent, unit = number_in(fields, "undo"), number_in(fields, "unit")
        withdrawal = WithdrawVerdictRequest(agent=AgentId(agent), reason=fields.get("note", "").strip() or None)
        refusal = await self._site.log.execute(withdrawal, author=request.state.visitor.reviewer.author or None)
        if refusal is not None:
            raise FormRefusedError(409, f"Nothing was changed: {refusal}.")
        return {**fields_of(filter_of(request)), "unit": unit or None, "undone": agent}

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run, chosen = run_of(request), filter_of(request)
        claimant = _claimant(request)
        asked = number_in(request.query_params, "unit")
        author = self._site.log.author_for(request.state.visitor.reviewer.author)

        def answer(moment: LogAsOf) -> Desk:
            progress = run_progress(moment.db, run)
            queue = review_queue(moment, run, chosen, author)
            unit_id = self._choose(claimant, queue, UnitId(asked), is_following="recorded" in request.query_params)
            labels = _labels(moment.db.get_task_run(run).init_params)
            page = page_of_run(moment, run, self._site.log.database)
            notes = usual_notes(moment, run)
            if unit_id is None:
                return Desk(progress, queue, None, (), notes, {}, labels, page)
            unit = moment.db.get_unit(unit_id)
            (record,) = unit_records(moment, run, units=[unit], names=False)
            others = other_answers(moment, unit)
            names = self._site.names_of(moment.db, (record.worker_id, *(other.worker_id for other in others)))
            given = moment.db.find(AgentOpinionRow, agent_id=record.agent_id)
            opinions = tuple(given) if len(given) > 1 else ()
            uploads, own_fields = _beside(moment, record, self._site.log.database)
            agents = [] if record.agent_id is None else [AgentId(record.agent_id)]
            warning = next(iter(rejection_warnings(moment, agents).values()), None)
            return Desk(
                progress, queue, record, others, notes, names, labels, page, opinions, uploads, own_fields, warning
            )

        desk = await self._site.log.query(answer)
        is_claimed = desk.record is None or self._claims.claim(
            claimant, UnitId(desk.record.unit_id), takes_over=desk.record.unit_id != asked
        )
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
            opinion_counts=tuple(OpinionCount),
            statuses=tuple(VERDICTS),
            verdicts=VERDICTS[chosen.status.value],
            is_claimed=is_claimed,
            claim_ends=_CLAIM_ENDS,
            last=_last_verdict(request),
            frame=self._frame_of(desk),
            work=_work_of(desk),
            notice=notice,
            refused=refused,
            fields=fields,
        )
        page.headers["content-security-policy"] = _CONTENT_SECURITY_POLICY
        return page

    def _frame_of(self, desk: Desk) -> str | None:
        """Return the address of the task's own page for the work that is shown; None if there is none."""
        if desk.record is None or desk.page is None:
            return None
        run = TaskRunId(desk.record.task_run_id)
        return f"{TASK_PAGE}{self._site.sessions.page_token(run)}/{run}/review-{desk.record.unit_id}.html"

    def _choose(self, claimant: Claimant, queue: ReviewQueue, asked: UnitId, *, is_following: bool) -> UnitId | None:
        """Return the unit to show: the one asked for; or after a verdict, the next one that nobody else has open."""
        if asked not in queue.units:
            return self._claims.first_free(claimant, queue.units)
        if not is_following:
            return asked
        place = queue.units.index(asked)
        return self._claims.first_free(claimant, (*queue.units[place:], *queue.units[:place]))


def _beside(moment: LogAsOf, record: UnitRecord, database: Path) -> tuple[tuple[UploadRecord, ...], frozenset[str]]:
    """Return the files that came with work, and the names of outputs that are no answers but ids."""
    if record.agent_id is None:
        return (), frozenset({PROCESS_SIGNALS})
    agent = moment.db.get_agent(record.agent_id)
    own, outputs = own_ids(moment, agent), record.outputs
    named = outputs.items() if isinstance(outputs, dict) else ()
    uploads = uploads_of_agent(moment.db, agent.agent_id, database)
    return tuple(uploads), frozenset(
        {PROCESS_SIGNALS, *(name for name, value in named if isinstance(value, str) and value in own)}
    )


def _claimant(request: Request) -> Claimant:
    visitor = request.state.visitor
    return Claimant(visitor.session, visitor.reviewer.author)


def _work_of(desk: Desk) -> Markup:
    """Return the message that the task's own page gets, in the form of Mephisto's review app."""
    if desk.record is None or desk.page is None:
        return Markup("")
    work = {"REVIEW_DATA": {"inputs": desk.record.inputs, "outputs": desk.record.outputs}}
    return escaped_json(msgspec.json.encode(work).decode())


def _last_verdict(request: Request) -> tuple[int, int] | None:
    """Return the agent and the unit of the verdict that was just recorded."""
    agent, _, unit = request.query_params.get("recorded", "").partition("-")
    fields = {"agent": agent, "unit": unit}
    return (number_in(fields, "agent"), number_in(fields, "unit")) if agent and unit else None


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
