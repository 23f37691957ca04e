"""Approves all work that a filter selects, after showing how much that is."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .....core.commands.review import Verdict
from .....core.operations.configuration.money import amount
from .....core.operations.control.requests import VerdictRequest
from .....projections.queries.review_queue import ReviewQueue, fields_of, review_queue, usual_notes
from .....projections.queries.runs.progress import RunProgress, run_progress
from ....log.sqlite.as_of import LogAsOf
from ...forms import FormPage, FormRefusedError
from ...site import run_of
from .review import VERDICTS
from .selection import filter_of, number_in


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
        if len(queue.units) != number_in(fields, "count"):
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
