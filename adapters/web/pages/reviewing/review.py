"""The review page: shows submitted work and records verdicts on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .....core.commands.review import Verdict
from .....core.lifecycles.unit import UnitStatus
from .....core.operations.configuration.money import cents
from .....core.operations.control.requests import VerdictRequest
from .....events.ids import AgentId, WorkerId
from .....projections.queries.runs.progress import RunProgress, run_progress
from .....projections.queries.unit_list import UnitListPage, unit_page
from .....projections.queries.unit_records import UnitRecord, unit_records
from ....log.sqlite.as_of import LogAsOf
from ...forms import FormPage, FormRefusedError, check_may_pay
from ...site import after_of, run_of

#: Units on one page, and verdicts in one form.
PAGE_UNITS = 10

#: The verdicts that are still possible, by the status of the unit.
VERDICTS: Mapping[str, tuple[Verdict, ...]] = {
    UnitStatus.COMPLETED.value: (Verdict.APPROVED, Verdict.SOFT_REJECTED, Verdict.REJECTED),
    UnitStatus.SOFT_REJECTED.value: (Verdict.APPROVED,),
    UnitStatus.REJECTED.value: (Verdict.APPROVED,),
    UnitStatus.ACCEPTED.value: (),
}


class ReviewList(NamedTuple):
    """One page of submitted work."""

    run: RunProgress
    page: UnitListPage
    records: tuple[UnitRecord, ...]
    #: Names of workers at the provider.
    names: dict[WorkerId, str]


class ReviewPages(FormPage):
    """Shows work of one status, by default unreviewed work, and takes verdicts."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/review", self.show, methods=["GET"]),
            Route("/runs/{run:int}/review", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        recorded = request.query_params.get("recorded", "")
        if not recorded.isdecimal():
            return ""
        return "The verdict is recorded." if recorded == "1" else f"{int(recorded):,} verdicts are recorded."

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        decisions = list(_decisions(fields))
        if not decisions:
            raise FormRefusedError(400, "No verdict was chosen.")
        if any(one.bonus_cents for one in decisions if isinstance(one, VerdictRequest)):
            check_may_pay(request)
        done = await self._site.log.record_verdicts(decisions, request.state.visitor.reviewer.author)
        if done.refusal is not None:
            raise FormRefusedError(
                409,
                f"{done.recorded:,} of {len(decisions):,} verdicts are recorded; "
                f"agent-{done.refused.agent if done.refused else '?'} was refused: {done.refusal}.",
            )
        return {"status": _status_of(request), "after": after_of(request) or None, "recorded": done.recorded}

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        run, after, status = run_of(request), after_of(request), _status_of(request)

        def answer(moment: LogAsOf) -> ReviewList:
            page = unit_page(moment, run, size=PAGE_UNITS, status=status, after=after)
            records = tuple(unit_records(moment, run, units=page.units, names=False))
            names = self._site.names_of(moment.db, (one.worker_id for one in records))
            return ReviewList(run_progress(moment.db, run), page, records, names)

        found = await self._site.log.query(answer)
        return self._site.templates.page(
            "review.html",
            request,
            status_code,
            work=found,
            run=found.run,
            status=status,
            verdicts=VERDICTS[status],
            statuses=tuple(VERDICTS),
            after=after or None,
            notice=notice,
            refused=refused,
            fields=fields,
        )


def _status_of(request: Request) -> str:
    status = request.query_params.get("status") or UnitStatus.COMPLETED.value
    if status not in VERDICTS:
        raise HTTPException(400, f"Work that is {status!r} is not reviewed; choose one of {', '.join(VERDICTS)}")
    return status


def _decisions(fields: Mapping[str, str]) -> Iterator[VerdictRequest]:
    """Yield the verdicts of a form, in its order.

    Raises:
        ConfigError: a bonus is not an amount of money, or does not go with its verdict.
        HTTPException: it is not the form of this page.
    """
    for name, value in fields.items():
        kind, _, number = name.partition("-")
        if kind != "verdict" or not value:
            continue
        if not number.isdecimal() or value not in {verdict.value for verdict in Verdict}:
            raise HTTPException(400, f"{name} is {value!r}, which is not a verdict on an agent")
        bonus = cents(fields.get(f"bonus-{number}", "").strip() or "0", key=f"the bonus of agent-{number}")
        note = fields.get(f"note-{number}", "").strip() or None
        yield VerdictRequest(agent=AgentId(int(number)), verdict=Verdict(value), note=note, bonus_cents=bonus)
