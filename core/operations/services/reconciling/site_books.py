"""Compares what the log says a run has paid with what its crowd site shows, piece of work by piece of work."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from .....events import streams
from .....events.engagement import PAID_THERE_STATUSES, SiteWorkStatus
from .....events.ids import AgentId, PaymentId, TaskRunId
from ....abstractions.crowd.differences import SiteDifference
from ....abstractions.crowd.site_work import SiteWork
from ....abstractions.crowd_provider import CrowdProvider
from ....decisions.worker_rights.pay_for_time import compensation_registration
from ....errors import CommandRefusedError
from ....ledger import Ledger
from ....lifecycles.agent import AgentRecord
from ....lifecycles.onboarding import OnboardingRecord
from ....lifecycles.payment import BONUS, PAY, UNPAID_STATUSES, PaymentState, PaymentStatus
from ...configuration.money import amount
from ...control.round_report import BooksReport, RoundReport
from ..provider_places import PlaceDirectory

_PAID = frozenset({PaymentStatus.SENT, PaymentStatus.CONFIRMED})
_PAYABLE_THERE = PAID_THERE_STATUSES | {SiteWorkStatus.SUBMITTED, SiteWorkStatus.SCREENED_OUT}
#: Statuses of payments that the provider was not asked for.
_NOT_ASKED_FOR = frozenset({PaymentStatus.OWED, PaymentStatus.APPROVED})


class _Paid(NamedTuple):
    """Cents that an agent was paid according to the log."""

    #: Through the provider.
    pay: int = 0
    bonus: int = 0
    #: By other means.
    pay_elsewhere: int = 0
    bonus_elsewhere: int = 0
    #: Payments that a person has settled as paid through the provider.
    settled: tuple[PaymentId, ...] = ()

    @property
    def elsewhere(self) -> int:
        """All that was paid by other means."""
        return self.pay_elsewhere + self.bonus_elsewhere


async def compare_books(ledger: Ledger, run: TaskRunId, provider: CrowdProvider) -> BooksReport:
    """Return how the log's payments of a run and its provider's site differ.

    Args:
        ledger: reads the log.
        run: the run.
        provider: its provider, open.

    Raises:
        CommandRefusedError: the provider has no site that can be asked.
        Exception: the provider could not ask it.
    """
    if provider.POLL_SECONDS is None or not provider.SHOWS_WORK:
        raise CommandRefusedError(f"the provider {provider.PROVIDER_TYPE!r} has no books that programs can read")
    return compare_works(ledger, run, await provider.observe())


def compare_works(
    ledger: Ledger, run: TaskRunId, shown: Sequence[SiteWork], *, without: Collection[AgentId | None] = ()
) -> BooksReport:
    """Return how the log's payments of a run and the work that its site has shown differ.

    Args:
        ledger: reads the log.
        run: the run.
        shown: all work of the run at the site.
        without: agents to leave out; None among them stands for work that the log does not know.
    """
    works = {work.handle.casefold(): work for work in shown}
    by_person = {work.participant.casefold(): work.handle.casefold() for work in works.values() if work.participant}
    paid = _paid_by_agent(ledger, run)
    unpaid = _unpaid_by_agent(ledger, run)
    faults: list[str] = []
    settled: list[str] = []
    next_steps: list[str] = []
    compared = 0
    for place in PlaceDirectory(ledger, run).all():
        agent = ledger.state.agent_by_registration(run, place.registration)
        if isinstance(agent, OnboardingRecord):
            agent = ledger.state.agent_by_registration(run, compensation_registration(place.registration))
        key = place.handle.casefold()
        work = works.pop(key if key in works else by_person.get(key, key), None)
        if not isinstance(agent, AgentRecord):
            continue
        compared += 1
        has = paid.pop(agent.agent, _Paid())
        if agent.agent in without:
            unpaid.pop(agent.agent, None)
            continue
        if has.settled and any(_missing_there(agent.agent, has, work)):
            next_steps.append(_correction(agent.agent, run, has.settled))
        faults += _faults_of(agent.agent, has, work)
        settled += _settled_by_person(agent.agent, has, work)
        faults += [text for one in unpaid.pop(agent.agent, ()) if (text := _unpaid_fault(one, has, work)) is not None]
    faults += [
        f"agent-{agent}: paid, and the provider's id of the work is not known here"
        for agent, has in sorted(paid.items())
        if has.pay or has.bonus
    ]
    faults += [
        f"{_described(one)}, and the provider's id of the work is not known here"
        for agent in sorted(unpaid)
        for one in unpaid[agent]
    ]
    strangers = sum(work.status in PAID_THERE_STATUSES or work.bonus_cents > 0 for work in works.values())
    if strangers and None not in without:
        pieces, them = ("1 piece of work is", "it") if strangers == 1 else (f"{strangers:,} pieces of work are", "them")
        faults.append(f"{pieces} paid at the site, and the log does not know {them}")
    return BooksReport(compared=compared, faults=tuple(faults), settled=tuple(settled), next_steps=tuple(next_steps))


def with_money(
    found: RoundReport, ledger: Ledger, run: TaskRunId, provider: CrowdProvider, shown: Sequence[SiteWork]
) -> RoundReport:
    """Return the report of a round with what differs between the payments of the log and of the site.

    Work about which the round has said something is left out: its status at the site may have changed since.

    Args:
        found: the report.
        ledger: reads the log.
        run: the run.
        provider: its provider.
        shown: all work of the run at the site, as the round saw it.
    """
    if not provider.SHOWS_WORK:
        return found
    streams_named = [one.stream for one in found.differences if one.stream is not None]
    named = {AgentId(streams.number_of(one)) for one in streams_named if streams.parse(one)[0] == "agent"}
    has_strangers = any(one.difference is SiteDifference.UNKNOWN_HERE for one in found.differences)
    books = compare_works(ledger, run, shown, without={*named, *([None] if has_strangers else [])})
    return replace(found, money=books.faults, next_steps=books.next_steps)


def _paid_by_agent(ledger: Ledger, run: TaskRunId) -> dict[AgentId, _Paid]:
    sums: defaultdict[AgentId, Counter[tuple[str, bool]]] = defaultdict(Counter)
    settled: defaultdict[AgentId, tuple[PaymentId, ...]] = defaultdict(tuple)
    for stream, payment in ledger.state.payments.items():
        if streams.run_of(stream) == run and payment.status in _PAID:
            sums[payment.agent][payment.purpose, payment.is_paid_elsewhere] += payment.amount_cents
            if payment.is_settled and not payment.is_paid_elsewhere:
                settled[payment.agent] += (payment.payment,)
    return {
        agent: _Paid(cents[PAY, False], cents[BONUS, False], cents[PAY, True], cents[BONUS, True], settled[agent])
        for agent, cents in sums.items()
    }


def _unpaid_by_agent(ledger: Ledger, run: TaskRunId) -> dict[AgentId, list[PaymentState]]:
    found: dict[AgentId, list[PaymentState]] = {}
    for stream, payment in ledger.state.payments.items():
        if streams.run_of(stream) == run and payment.status in UNPAID_STATUSES:
            found.setdefault(payment.agent, []).append(payment)
    return found


def _described(payment: PaymentState) -> str:
    what = f"{payment.purpose} of {amount(payment.amount_cents)} (payment-{payment.payment})"
    owed = "owed" if payment.status in _NOT_ASKED_FOR else payment.status.value
    return f"agent-{payment.agent}: a {what} is {owed} here"


def _unpaid_fault(payment: PaymentState, paid: _Paid, work: SiteWork | None) -> str | None:
    """Return a sentence about a payment that is owed here and not found there; None: `pay` can still make it."""
    if work is None:
        return f"{_described(payment)}, and the site does not show the work"
    if work.status not in _PAYABLE_THERE:
        return f"{_described(payment)}, and the work is {work.status.value!r} at the site"
    # What is paid there and not here is named as that.
    is_paid_there = work.status in PAID_THERE_STATUSES if payment.purpose == PAY else work.bonus_cents > paid.bonus
    if payment.status in _NOT_ASKED_FOR or is_paid_there:
        return None
    return f"{_described(payment)}, and the site does not show it"


def _correction(agent: AgentId, run: TaskRunId, payments: Sequence[PaymentId]) -> str:
    names = " and ".join(f"payment-{one}" for one in payments)
    was = "was" if len(payments) == 1 else "were"
    settle = f"mephisto-es pay {run} --settle payment-{payments[0]}"
    return (
        f"agent-{agent}: {names} {was} settled as paid at the site. Look at its pages, which may show a bonus half an "
        f"hour late. If the money came by other means: `{settle} paid --elsewhere --reason WHY`; if it did not come: "
        f"`{settle} unpaid --reason WHY`, and `mephisto-es pay {run}` pays it"
    )


def _missing_there(agent: AgentId, paid: _Paid, work: SiteWork | None) -> Iterator[str]:
    """Yield a sentence for each amount that was paid through the provider, and that the site does not show."""
    if work is None:
        if paid.pay or paid.bonus:
            yield f"agent-{agent}: {amount(paid.pay + paid.bonus)} paid, and the site does not show the work"
        return
    if paid.pay and work.status not in PAID_THERE_STATUSES:
        yield f"agent-{agent}: {amount(paid.pay)} paid, and the work is {work.status.value!r} at the site"
    if paid.bonus > work.bonus_cents:
        yield f"agent-{agent}: a bonus of {amount(paid.bonus)} paid, and the site shows {amount(work.bonus_cents)}"


def _faults_of(agent: AgentId, paid: _Paid, work: SiteWork | None) -> Iterator[str]:
    yield from _missing_there(agent, paid, work)
    if work is None:
        return
    is_paid_there = work.status in PAID_THERE_STATUSES
    if paid.pay_elsewhere:
        yield from _faults_of_pay_elsewhere(agent, paid.pay_elsewhere, work)
    elif is_paid_there and not paid.pay:
        yield f"agent-{agent}: {work.status.value} at the site, and not paid according to the log"
    if paid.bonus_elsewhere and work.bonus_cents > paid.bonus:
        more = amount(work.bonus_cents - paid.bonus)
        elsewhere = f"a bonus of {amount(paid.bonus_elsewhere)} was paid by other means"
        yield f"agent-{agent}: paid twice: {elsewhere}, and the site shows {more} as well"
    elif paid.bonus < work.bonus_cents:
        yield f"agent-{agent}: a bonus of {amount(paid.bonus)} paid, and the site shows {amount(work.bonus_cents)}"


def _faults_of_pay_elsewhere(agent: AgentId, cents: int, work: SiteWork) -> Iterator[str]:
    elsewhere = f"{amount(cents)} was paid by other means"
    if work.status in PAID_THERE_STATUSES:
        yield f"agent-{agent}: paid twice: {elsewhere}, and the work is {work.status.value} at the site"
    elif work.status is SiteWorkStatus.SUBMITTED:
        yield f"agent-{agent}: {elsewhere}, and the work waits at the site, which will pay it too"


def _settled_by_person(agent: AgentId, paid: _Paid, work: SiteWork | None) -> Iterator[str]:
    """Yield a sentence about work that was paid by other means, if the site does not pay it as well."""
    if paid.elsewhere and not any(_faults_of(agent, paid, work)):
        there = "does not show the work" if work is None else f"shows the work as {work.status.value!r}"
        yield f"agent-{agent}: {amount(paid.elsewhere)} was paid by other means; the site {there}"
