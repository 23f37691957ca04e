"""The page of objections: shows what workers say against rejections, and takes the answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .....core.commands.review import Verdict
from .....core.errors import ConfigError
from .....core.operations.control.requests import AnyRequest, DismissAppealRequest, VerdictRequest
from .....events.ids import AgentId, TaskRunId
from .....projections.queries.appeals import OpenAppeal, count_open_appeals, open_appeals
from .....projections.queries.runs.progress import RunProgress, run_progress
from ....log.sqlite.as_of import LogAsOf
from ...forms import FormPage, FormRefusedError
from ...site import run_of

#: Objections that are shown at a time, the oldest first.
SHOWN_APPEALS = 20
MAX_ANSWER_CHARACTERS = 2000

#: What the page says after an answer, by the button.
NOTICES: Mapping[str, str] = {
    "accept": "The work is approved, and to be paid.",
    "dismiss": "The worker reads the answer; the rejection stands.",
}


class AppealList(NamedTuple):
    """The oldest objections of a run."""

    run: RunProgress
    appeals: tuple[OpenAppeal, ...]
    total: int


class AppealPages(FormPage):
    """Shows the objections that wait for an answer, each with a form for one."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/appeals", self.show, methods=["GET"]),
            Route("/runs/{run:int}/appeals", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        return NOTICES.get(request.query_params.get("done", ""), "")

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        answer = _request_of(fields)
        refusal = await self._site.log.execute(answer, author=request.state.visitor.reviewer.author or None)
        if refusal is not None:
            raise FormRefusedError(409, f"Nothing was recorded: {refusal}.")
        return {"done": fields["action"]}

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run = run_of(request)
        found = await self._site.log.query(lambda moment: _appeals_of(moment, run))
        return self._site.templates.page(
            "appeals.html",
            request,
            status_code,
            run=found.run,
            appeals=found.appeals,
            total=found.total,
            max_answer=MAX_ANSWER_CHARACTERS,
            notice=notice,
            refused=refused,
            fields=fields,
        )


def _appeals_of(moment: LogAsOf, run: TaskRunId) -> AppealList:
    appeals = tuple(islice(open_appeals(moment, run), SHOWN_APPEALS))
    return AppealList(run_progress(moment.db, run), appeals, count_open_appeals(moment, run))


def _request_of(fields: Mapping[str, str]) -> AnyRequest:
    """Return what a form asks for.

    Raises:
        ConfigError: the answer is missing or too long.
        HTTPException: it is not a form of this page.
    """
    agent, answer = fields.get("agent", ""), fields.get("answer", "").strip()
    if not agent.isdecimal() or len(agent) >= len(str(2**63)):
        raise HTTPException(400, f"{agent!r} is not an agent")
    if len(answer) > MAX_ANSWER_CHARACTERS:
        raise ConfigError(f"the answer has {len(answer):,} characters; the limit is {MAX_ANSWER_CHARACTERS:,}")
    match fields.get("action"):
        case "accept":
            return VerdictRequest(agent=AgentId(int(agent)), verdict=Verdict.APPROVED, note=answer or None)
        case "dismiss" if answer:
            return DismissAppealRequest(agent=AgentId(int(agent)), answer=answer)
        case "dismiss":
            raise ConfigError("the answer for the worker is missing")
        case other:
            raise HTTPException(400, f"{other!r} is not an answer to an objection")
