"""The money of a run: budget, what is owed and paid, payments in doubt; and paying, after looking at the amounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....core.errors import ConfigError, MephistoError
from ....core.lifecycles.payment import DOUBTFUL_STATUSES, UNPAID_STATUSES, PaymentStatus
from ....core.operations.configuration.money import amount
from ....core.operations.control.requests import AnyRequest, PayRequest, SettleRequest
from ....core.state.budget import Budget
from ....events import streams
from ....events.ids import PaymentId, TaskRunId, WorkerId
from ....events.task_run import TaskRunCreated
from ....projections.queries.money.pay_ledger import PayLedger, Payment, pay_ledger
from ....projections.queries.money.spending import budget_of
from ....projections.queries.runs.progress import RunProgress, run_progress
from ...composition.provider import paying_provider
from ...log.sqlite.as_of import LogAsOf
from ..access import Role
from ..forms import FormPage, FormRefusedError
from ..site import run_of
from .reviewing.selection import number_in

#: Payments that the page lists, the latest first.
SHOWN_PAYMENTS = 100
_UNPAID = frozenset(status.value for status in UNPAID_STATUSES)
_DOUBTFUL = frozenset(status.value for status in DOUBTFUL_STATUSES)
#: Statuses of payments in the order of the columns, with what the page calls them.
STATUSES = {
    PaymentStatus.OWED.value: "owed",
    PaymentStatus.APPROVED.value: "to be ordered",
    PaymentStatus.REQUESTED.value: "being ordered",
    PaymentStatus.IN_DOUBT.value: "in doubt",
    PaymentStatus.FAILED.value: "failed",
    PaymentStatus.SENT.value: "sent",
    PaymentStatus.CONFIRMED.value: "confirmed",
    PaymentStatus.WITHDRAWN.value: "taken back",
}


class Money(NamedTuple):
    """The contents of the page."""

    run: RunProgress
    ledger: PayLedger
    budget: Budget
    provider: str
    #: Why the run's provider cannot be asked to pay; None: it can.
    cannot_pay: str | None
    names: Mapping[WorkerId, str]

    @property
    def due(self) -> list[Payment]:
        """Payments that are not known to be on their way."""
        return [payment for payment in self.ledger.payments if payment.status in _UNPAID]

    @property
    def due_cents(self) -> int:
        """The sum of them."""
        return sum(payment.amount_cents for payment in self.due)

    @property
    def due_workers(self) -> int:
        """The number of workers who get them."""
        return len({payment.worker for payment in self.due})

    @property
    def fees_cents(self) -> int:
        """The provider's fees for them."""
        return sum(self.budget.with_fee(one.amount_cents) - one.amount_cents for one in self.due)

    @property
    def doubtful(self) -> list[Payment]:
        """Payments that may have been paid, although nobody knows."""
        return [payment for payment in self.ledger.payments if payment.status in _DOUBTFUL]

    @property
    def failed(self) -> list[Payment]:
        """Payments that the provider did not make, the latest of them, with the reasons."""
        failed = [one for one in self.ledger.payments if one.status == PaymentStatus.FAILED.value and one.failure]
        return failed[-SHOWN_PAYMENTS:]

    @property
    def statuses(self) -> list[str]:
        """The statuses of the run's payments, in the order of the columns."""
        return [status for status in STATUSES if status in self.ledger.cents]


class MoneyPages(FormPage):
    """Shows a run's money, pays what is owed, and records what became of payments in doubt."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/runs/{run:int}/money", self.show, methods=["GET"]),
            Route("/runs/{run:int}/money", self.submit, methods=["POST"]),
        ]

    def _notice(self, request: Request) -> str:
        if request.query_params.get("settled") == "1":
            return "Your decision is recorded."
        return (
            "The payments were ordered; the table shows what became of them." if "paid" in request.query_params else ""
        )

    async def _apply(self, request: Request, fields: Mapping[str, str]) -> Mapping[str, object]:
        if request.state.visitor.reviewer.role is not Role.PAY:
            raise FormRefusedError(403, "Nothing was recorded: you may review, but not pay.")
        run = run_of(request)
        if fields.get("settle"):
            await self._execute(request, _settlement(run, fields))
            return {"settled": 1}
        money = await self._read(run)
        if fields.get("checked") != "1":
            raise FormRefusedError(400, "Nothing was paid: say first that you have checked the amounts.")
        if (len(money.due), money.due_cents) != (number_in(fields, "count"), number_in(fields, "cents")):
            raise FormRefusedError(
                409,
                f"Nothing was paid: meanwhile {len(money.due):,} payments are due, {amount(money.due_cents)} in all. "
                "Look again.",
            )
        await self._execute(
            request, PayRequest(task_run=run, payments=tuple(PaymentId(one.payment) for one in money.due))
        )
        return {"paid": 1}

    async def _execute(self, request: Request, wish: AnyRequest) -> None:
        """Execute a request about money.

        Raises:
            FormRefusedError: it was refused, or the provider's site could not be asked.
        """
        author = request.state.visitor.reviewer.author or None
        try:
            refusal: MephistoError | None = await self._site.log.execute(wish, author=author)
        except ConfigError as error:
            refusal = error
        if refusal is not None:
            raise FormRefusedError(409, f"This was refused: {refusal}. What was paid before is in the table.")

    async def _read(self, run: TaskRunId) -> Money:
        return await self._site.log.query(lambda moment: self._money(moment, run))

    def _money(self, moment: LogAsOf, run: TaskRunId) -> Money:
        ledger = pay_ledger(moment, run)
        created = moment.stream(streams.task_run(run))[0].envelope.event
        provider, cannot_pay = "", None
        if isinstance(created, TaskRunCreated):
            provider = created.provider_type
            try:
                paying_provider(created)
            except ConfigError as error:
                cannot_pay = str(error)
        return Money(
            run=run_progress(moment.db, run),
            ledger=ledger,
            budget=budget_of(moment, run),
            provider=provider,
            cannot_pay=cannot_pay,
            names=self._site.names_of(moment.db, (account.worker for account in ledger.accounts)),
        )

    async def _render(
        self, request: Request, status_code: int, notice: str, *, refused: str, fields: Mapping[str, str]
    ) -> Response:
        money = await self._read(run_of(request))
        return self._site.templates.page(
            "money.html",
            request,
            status_code,
            money=money,
            run=money.run,
            statuses=STATUSES,
            payments=money.ledger.payments[: -SHOWN_PAYMENTS - 1 : -1],
            may_pay=request.state.visitor.reviewer.role is Role.PAY,
            notice=notice,
            refused=refused,
            fields=fields,
        )


def _settlement(run: TaskRunId, fields: Mapping[str, str]) -> SettleRequest:
    """Return the decision of a form on one payment.

    Raises:
        ConfigError: the reason is missing.
        HTTPException: it is not a form of this page.
    """
    decided = fields.get("decided", "")
    if decided not in {"paid", "unpaid"}:
        raise HTTPException(400, f"{decided!r} is not a decision on a payment")
    reason = fields.get("reason", "").strip()
    if not reason:
        raise ConfigError("the reason is missing: say how you know")
    payment = PaymentId(number_in(fields, "settle"))
    return SettleRequest(task_run=run, payment=payment, is_paid=decided == "paid", reason=reason)
