"""Items whose answers differ: shows the answers to one item side by side, and records what a reviewer decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .....core.errors import ConfigError, UnknownEntityError
from .....core.operations.control.requests import LabelRequest
from .....events.ids import AssignmentId, TaskRunId, WorkerId
from .....projections.mephisto_db.queries import JsonValue
from .....projections.queries.quality.answers import shown_label
from .....projections.queries.quality.disagreements import Disagreement, ItemQuestion, RunAnswers
from .....projections.queries.runs.progress import RunProgress, run_progress
from ....control.reviews import content_key
from ....log.sqlite.as_of import LogAsOf
from ...forms import FormPage, FormRefusedError
from ...site import Site, run_of
from .selection import number_in

#: Pieces of work whose answers are kept in memory at most.
MAX_KEPT_PIECES = 100_000
#: Items that are named beside the one that is shown.
SHOWN_ITEMS = 50


class _Adjudication(NamedTuple):
    """The contents of the page."""

    run: RunProgress
    #: Disagreements that nobody has decided, and those that somebody has.
    open: tuple[Disagreement, ...]
    decided: tuple[Disagreement, ...]
    #: None: no item is left, and none was asked for.
    item: AssignmentId | None
    inputs: JsonValue
    questions: tuple[ItemQuestion, ...]
    names: Mapping[WorkerId, str]


class AdjudicatePages(FormPage):
    """Shows an item whose answers differ, and takes decisions about it.

    The answers of the run that was looked at last are kept, so that each further decision reads only what has changed.
    """

    def __init__(self, site: Site) -> None:
        """Keep the shared parts; nothing is read yet."""
        super().__init__(site)
        self._kept: RunAnswers | None = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/adjudicate", self.show, methods=["GET"]),
            Route("/runs/{run:int}/adjudicate", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        done = request.query_params.get("recorded", "")
        if not done.isdecimal():
            return ""
        if "taken_back" in request.query_params:
            return f"The decision about assignment-{done} is taken back."
        return f"Your decision about assignment-{done} is recorded."

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        run, item = run_of(request), AssignmentId(number_in(fields, "assignment"))
        question, takes_back = fields.get("question", ""), fields.get("take_back") == "1"
        text = None if takes_back else (fields.get("other", "").strip() or fields.get("label", ""))
        note = fields.get("note", "").strip() or None

        def wanted(moment: LogAsOf) -> LabelRequest | None:
            return self._answers(moment, run).request(item, question, text, note)

        wish = await self._site.log.compute(wanted)
        if wish is not None and wish.after != number_in(fields, "after"):
            raise FormRefusedError(409, "Nothing was recorded: somebody has decided about this meanwhile. Look again.")
        if wish is not None:
            author = request.state.visitor.reviewer.author or None
            key = content_key(wish, self._site.log.author_for(author or ""))
            refusal = await self._site.log.execute(wish, key=key, author=author)
            if refusal is not None:
                raise FormRefusedError(409, f"Nothing was recorded: {refusal}.")
        shown = item if takes_back or fields.get("stay") else None
        return {
            "by": request.query_params.get("by"),
            "assignment": shown,
            "recorded": item,
            "taken_back": 1 if takes_back else None,
        }

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run, by = run_of(request), request.query_params.get("by") or None
        asked = number_in(fields, "assignment") or number_in(request.query_params, "assignment")
        try:
            page = await self._site.log.compute(lambda moment: self._read(moment, run, by, AssignmentId(asked)))
        except ConfigError as error:
            raise HTTPException(400, str(error)) from error
        return self._site.templates.page(
            "adjudicate.html",
            request,
            status_code,
            page=page,
            run=page.run,
            by=by,
            shown_items=SHOWN_ITEMS,
            as_text=shown_label,
            notice=notice,
            refused=refused,
            fields=fields,
        )

    def _answers(self, moment: LogAsOf, run: TaskRunId) -> RunAnswers:
        """Return the answers in a run. `LogAccess.compute` calls one function at a time, and this only within one."""
        kept = self._kept
        found = kept.at(moment) if kept is not None and kept.run == run else RunAnswers(moment, run)
        self._kept = found if found.count <= MAX_KEPT_PIECES else None
        return found

    def _read(self, moment: LogAsOf, run: TaskRunId, by: str | None, asked: AssignmentId) -> _Adjudication:
        progress = run_progress(moment.db, run)
        answers = self._answers(moment, run)
        found = answers.disagreements(by)
        open_ = tuple(one for one in found if one.decision is None)
        item = asked or (open_[0].item if open_ else None)
        questions = () if item is None else answers.about(item)
        if item is not None and not questions:
            raise UnknownEntityError(f"answer to assignment-{item} yet")
        workers = [worker for one in questions for answer in one.answers for worker in answer.workers]
        return _Adjudication(
            run=progress,
            open=open_,
            decided=tuple(one for one in found if one.decision is not None),
            item=item,
            inputs=None
            if not questions
            else moment.db.get_inputs(moment.db.get_unit(questions[0].answers[0].units[0])),
            questions=questions,
            names=self._site.names_of(moment.db, workers),
        )
