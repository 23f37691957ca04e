"""Lists what is owed and paid in a run, and traces every cent to the decision behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import msgspec

from ....core.lifecycles.payment import BONUS, PAY, PaymentState, PaymentStatus, evolve
from ....events import streams
from ....events.agent import AgentAccepted, AgentApproved, AgentBonusGranted, AgentLateAccepted, AgentSoftRejected
from ....events.base import Event
from ....events.engagement import PAID_THERE_STATUSES, ProviderObserved
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.payment import (
    PaymentEvent,
    PaymentFailed,
    PaymentInDoubt,
    PaymentLooked,
    PaymentOwed,
    PaymentRequested,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
    PaymentWithdrawn,
)
from ....events.unit import UnitCreated
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from .spending import Spending, spending

#: Actor of events that were imported from a Mephisto database.
IMPORTER = "import"
#: Events by which somebody pays, or decides that it is paid or not.
_PAYING = (PaymentRequested, PaymentSettledPaid, PaymentSettledUnpaid)
#: Agent, purpose, and for a bonus the command that granted it.
_Claim = tuple[int, str, str]
_BONUSES = """
    SELECT agent_bonus_id, agent_id, bonus_cents FROM agent_bonuses JOIN agents USING (agent_id) WHERE task_run_id = ?
"""
_PAID_WORK = """
    SELECT unit_id, agent_id, pay_cents FROM units
    WHERE task_run_id = ? AND status IN ('accepted', 'soft_rejected') AND pay_cents > 0
"""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One amount owed to one worker."""

    payment: int
    worker: int
    agent: int
    unit: int
    purpose: str
    amount_cents: int
    status: str
    #: UTC times at which it became owed, and at which its status last changed.
    owed_at: str
    since: str
    #: Position of the event that made it owed.
    seq: int
    #: The reason why it is not paid or in doubt, if that is the latest about it.
    failure: str | None = None
    #: Author of the decision that made it owed, and of the last request for it or decision about it; None: none yet.
    owed_by: str
    paid_by: str | None = None
    #: The reason that a person gave for calling it paid or not, if that is the latest about it; a personal value.
    note: str | None = None
    #: True if a person has paid it by other means than the provider's.
    is_paid_elsewhere: bool = False
    #: True if it is confirmed because a person has decided so.
    is_settled: bool = False
    #: True if the provider's site has paid it too, as it was last observed.
    is_paid_twice: bool = False


class WorkerAccount(msgspec.Struct, frozen=True):
    """A worker's share: cents by payment status."""

    worker: int
    cents: dict[str, int]


class PayLedger(msgspec.Struct, frozen=True):
    """All payments of a run."""

    run: str
    #: None if the run has no budget.
    spending: Spending | None
    #: Cents by status, over all workers.
    cents: dict[str, int]
    accounts: tuple[WorkerAccount, ...]
    payments: tuple[Payment, ...]


def pay_ledger(as_of: AsOf, run: TaskRunId, *, with_notes: bool = True) -> PayLedger:
    """Return what is owed and paid in a run.

    Args:
        as_of: the log.
        run: the run.
        with_notes: False to leave out the reasons that people gave, which may hold personal values.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    payments = tuple(_payment(as_of, run, history, with_note=with_notes) for history in _histories(as_of, run).values())
    by_worker: defaultdict[int, list[Payment]] = defaultdict(list)
    for payment in payments:
        by_worker[payment.worker].append(payment)
    accounts = tuple(WorkerAccount(worker, _cents(of_worker)) for worker, of_worker in sorted(by_worker.items()))
    return PayLedger(f"run-{run}", spending(as_of, run), _cents(payments), accounts, payments)


def find_untraced(as_of: AsOf, run: TaskRunId) -> list[str]:
    """Return a sentence for each payment without a decision, each duplicate debt, and each decision without a debt.

    Imported work is not checked, because it was paid where it came from.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    found: list[str] = []
    seen: dict[_Claim, str] = {}
    tokens: dict[str, str] = {}
    for stream, history in _histories(as_of, run).items():
        found += _faults_of(as_of, run, history)
        if isinstance(history[-1].envelope.event, PaymentWithdrawn):
            continue
        owed = _first(history)
        other = seen.setdefault(_claim(owed.agent, owed.purpose, history[0].envelope.command), stream)
        if other != stream:
            found.append(f"{stream}: {owed.purpose} of agent-{owed.agent} is already owed by {other}")
        for requested in (one.envelope.event for one in history):
            if isinstance(requested, PaymentRequested) and tokens.setdefault(requested.token, stream) != stream:
                found.append(f"{stream}: its token is also used by {tokens[requested.token]}")
    return [*found, *_not_owed(as_of, run, seen.keys())]


def _claim(agent: int, purpose: str, command: str = "") -> _Claim:
    """Return the key of a debt that may exist only once: an agent's pay, or the bonus that one command granted."""
    return agent, purpose, command if purpose == BONUS else ""


def _not_owed(as_of: AsOf, run: TaskRunId, owed: Collection[_Claim]) -> Iterator[str]:
    """Yield sentences about approved work and granted bonuses without a payment."""
    for unit, agent, cents in as_of.db.execute(_PAID_WORK, (run,)).fetchall():
        verdict = as_of.stream(streams.unit(run, unit))[-1].envelope
        if _claim(agent, PAY) not in owed and verdict.actor != IMPORTER:
            yield f"unit-{unit}: {cents} cents are due to agent-{agent}, but no payment owes them"
    for seq, agent, cents in as_of.db.execute(_BONUSES, (run,)).fetchall():
        granted = next(one for one in as_of.stream(streams.agent(run, agent)) if one.seq == seq).envelope
        if _claim(agent, BONUS, granted.command) not in owed and granted.actor != IMPORTER:
            yield f"agent-{agent}: a bonus of {cents} cents was granted, but no payment owes it"


def _faults_of(as_of: AsOf, run: TaskRunId, history: Sequence[RecordedEvent]) -> Iterator[str]:
    """Yield sentences about a payment that was not decided for this agent or amount, or requested while in doubt."""
    state: PaymentState | None = None
    for event in _payment_events(history):
        if state and isinstance(event, PaymentRequested) and not state.may_be_requested(event):
            yield f"{history[0].envelope.stream}: it was requested again while it may have been paid"
        state = evolve(state, event)
    first, owed = history[0].envelope, _first(history)
    events = {one.envelope.stream: one.envelope.event for one in as_of.command(first.command)}
    match events.get(streams.agent(run, owed.agent)):
        case AgentApproved(bonus_cents=decided) | AgentBonusGranted(bonus_cents=decided) if owed.purpose == BONUS:
            yield from _unequal(first.stream, owed, decided)
        case AgentApproved() | AgentSoftRejected() | AgentLateAccepted() if owed.purpose == PAY:
            created = as_of.stream(streams.unit(run, owed.unit))[0].envelope.event
            worth = created.pay_cents if isinstance(created, UnitCreated) else 0
            yield from _unequal(first.stream, owed, worth)
        case _:
            yield f"{first.stream}: no verdict on agent-{owed.agent} grants this {owed.purpose}"


def _unequal(stream: str, owed: PaymentOwed, decided: int) -> Iterator[str]:
    if owed.amount_cents != decided:
        yield f"{stream}: {owed.amount_cents} cents are owed as {owed.purpose}, but {decided} were decided"


def _histories(as_of: AsOf, run: TaskRunId) -> dict[str, list[RecordedEvent]]:
    histories: defaultdict[str, list[RecordedEvent]] = defaultdict(list)
    for recorded in as_of.under(f"payment/{run}/"):
        histories[recorded.envelope.stream].append(recorded)
    return histories


def _first(history: Sequence[RecordedEvent]) -> PaymentOwed:
    event = history[0].envelope.event
    if not isinstance(event, PaymentOwed):
        raise LookupError("a payment must begin with payment_owed; the lifecycle table is wrong")
    return event


def _payment(as_of: AsOf, run: TaskRunId, history: Sequence[RecordedEvent], *, with_note: bool) -> Payment:
    state: PaymentState | None = None
    for event in _payment_events(history):
        state = evolve(state, event)
    owed, last = _first(history), history[-1].envelope
    note = last.event.reason if isinstance(last.event, PaymentSettledPaid | PaymentSettledUnpaid) else None
    body = None if note is None or not with_note else as_of.payload(note)
    is_paid_elsewhere = state is not None and state.is_paid_elsewhere
    return Payment(
        payment=owed.payment,
        worker=owed.worker,
        agent=owed.agent,
        unit=owed.unit,
        purpose=owed.purpose,
        amount_cents=owed.amount_cents,
        status=state.status.value if state else PaymentStatus.OWED.value,
        owed_at=date_of(history[0].envelope.at),
        since=date_of(last.at),
        seq=history[0].seq,
        failure=_failure([one.envelope.event for one in history]),
        owed_by=history[0].envelope.actor,
        paid_by=next(
            (one.envelope.actor for one in reversed(history) if isinstance(one.envelope.event, _PAYING)), None
        ),
        note=None if body is None else body.decode(),
        is_paid_elsewhere=is_paid_elsewhere,
        is_settled=state is not None and state.is_settled,
        is_paid_twice=is_paid_elsewhere and owed.purpose == PAY and _is_paid_at_site(as_of, run, owed),
    )


def _is_paid_at_site(as_of: AsOf, run: TaskRunId, owed: PaymentOwed) -> bool:
    """Return True if the provider's site pays the work, as it was last observed."""
    accepted = as_of.stream(streams.agent(run, owed.agent))[0].envelope.event
    registration = accepted.registration if isinstance(accepted, AgentAccepted) else ""
    for recorded in reversed(as_of.stream(streams.engagement(run, owed.worker))):
        event = recorded.envelope.event
        if isinstance(event, ProviderObserved) and event.registration == registration:
            return event.status in PAID_THERE_STATUSES
    return False


def _payment_events(history: Sequence[RecordedEvent]) -> Iterator[PaymentEvent]:
    for recorded in history:
        yield recorded.envelope.event  # type: ignore[misc]  # the stream holds no other events


def _failure(events: Sequence[Event]) -> str | None:
    match events[-1]:
        case PaymentFailed(reason=reason):
            return reason
        case PaymentInDoubt(answer=answer, reason=reason):
            return reason or f"the provider's answer is {answer.value}"
        case PaymentLooked(sighting=sighting):
            answered = next(one for one in reversed(events) if isinstance(one, PaymentInDoubt))
            books = f"the provider's books were read: {sighting.value}"
            return f"{answered.reason}; {books}" if answered.reason else books
        case _:
            return None


def _cents(payments: Sequence[Payment]) -> dict[str, int]:
    sums = {status.value: 0 for status in PaymentStatus}
    for payment in payments:
        sums[payment.status] += payment.amount_cents
    return {status: cents for status, cents in sums.items() if cents}
