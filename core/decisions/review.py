"""Decisions of reviewers: on work that was handed in, and on the workers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from ...events import streams
from ...events.agent import AgentApproved, AgentBonusGranted, AgentEvent, AgentRejected, AgentSoftRejected
from ...events.base import PayloadRef
from ...events.directory import QualificationCreated
from ...events.ids import AgentId, PaymentId, QualificationId, TaskRunId, UnitId, WorkerId
from ...events.pay import PaymentOwed
from ...events.unit import UnitAccepted, UnitEvent, UnitRejected, UnitSoftRejected
from ...events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerBlocked,
    WorkerUnblocked,
)
from ..errors import CommandRefusedError
from ..lifecycles.agent import AgentState, AgentStatus
from ..lifecycles.payment import BONUS, PAY
from ..lifecycles.unit import UnitState
from ..ports import NewEvent
from ..state.budget import RESERVING_UNIT_STATUSES, Budget
from ..state.decision_state import DecisionState


class Verdict(Enum):
    """What a reviewer says of work; the values are the agent's status after it."""

    APPROVED = AgentStatus.APPROVED.value
    SOFT_REJECTED = AgentStatus.SOFT_REJECTED.value
    REJECTED = AgentStatus.REJECTED.value


_UNIT_AFTER: Mapping[Verdict, UnitEvent] = {
    Verdict.APPROVED: UnitAccepted(),
    Verdict.SOFT_REJECTED: UnitSoftRejected(),
    Verdict.REJECTED: UnitRejected(),
}


#: Statuses of an agent whose unit's pay is owed already.
_PAY_IS_OWED = frozenset({AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED})


class PaymentIds(NamedTuple):
    """The ids of the payments that a verdict may bring about."""

    pay: PaymentId
    bonus: PaymentId


def decide_review(
    state: DecisionState,
    run: TaskRunId,
    agent_id: AgentId,
    verdict: Verdict,
    note: PayloadRef | None,
    bonus_cents: int,
    payment_ids: PaymentIds,
) -> list[NewEvent]:
    """Give a verdict on an agent's work: agent, unit and what is owed change together.

    Args:
        state: the present state.
        run: the run.
        agent_id: whose work it is.
        verdict: what is said of it.
        note: the reviewer's note, if there is one.
        bonus_cents: what is paid beside the unit's pay; only for approved work.
        payment_ids: used for what is owed by the verdict.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: the unit is not the agent's any more, the bonus makes no sense, or the budget does not
            pay for the verdict. The ledger refuses what the lifecycles have no step for: work that was not handed in,
            or that was approved already.
    """
    agent = state.agents[streams.agent(run, agent_id)]
    unit_stream = streams.unit(run, agent.unit)
    unit = state.units[unit_stream]
    if unit.agent != agent_id:
        raise CommandRefusedError(
            f"agent-{agent_id} does not have unit-{agent.unit} any more: there is nothing to review"
        )
    if bonus_cents < 0 or (bonus_cents and verdict is not Verdict.APPROVED):
        raise CommandRefusedError(f"a bonus of {bonus_cents} cents does not go with work that is {verdict.value}")
    pay_cents = _pay_cents(agent, unit, verdict)
    budget = state.runs[run].budget
    kept_back = budget.cost_of_unit(unit.pay_cents) if unit.status in RESERVING_UNIT_STATUSES else 0
    cost = budget.with_fee(pay_cents) + budget.with_fee(bonus_cents)
    _check_budget(budget, f"the verdict on unit-{unit.unit}", cost, kept_back)
    return [
        NewEvent(streams.agent(run, agent_id), _agent_event(verdict, note, bonus_cents)),
        NewEvent(unit_stream, _UNIT_AFTER[verdict]),
        *(
            _owed(run, agent, payment, cents, purpose)
            for payment, cents, purpose in (
                (payment_ids.pay, pay_cents, PAY),
                (payment_ids.bonus, bonus_cents, BONUS),
            )
            if cents
        ),
    ]


def _pay_cents(agent: AgentState, unit: UnitState, verdict: Verdict) -> int:
    """What a verdict adds to what is owed for the unit itself."""
    nothing = verdict is Verdict.REJECTED or agent.status in _PAY_IS_OWED
    return 0 if nothing else unit.pay_cents


def decide_bonus(
    state: DecisionState,
    worker: WorkerId,
    unit: UnitId | None,
    bonus_cents: int,
    reason: PayloadRef,
    payment: PaymentId,
) -> list[NewEvent]:
    """Give a worker a bonus for work of its own, whatever became of that: it is owed at once.

    Args:
        state: the present state.
        worker: the worker.
        unit: for which work; None: the worker's latest.
        bonus_cents: how much.
        reason: why.
        payment: the id of what is owed by it.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker has not had that unit, or none at all; it is no amount; or the run's budget does
            not pay for it from what is not spoken for.
    """
    worker = state.workers[streams.worker(worker)].worker
    if bonus_cents <= 0:
        raise CommandRefusedError(f"{bonus_cents} cents are no bonus")
    stream, agent = _work_of(state, worker, unit)
    run = streams.run_of(stream)
    budget = state.runs[run].budget
    _check_budget(budget, f"the bonus for unit-{agent.unit}", budget.with_fee(bonus_cents), kept_back_cents=0)
    return [
        NewEvent(stream, AgentBonusGranted(bonus_cents=bonus_cents, reason=reason)),
        _owed(run, agent, payment, bonus_cents, BONUS),
    ]


def _work_of(state: DecisionState, worker: WorkerId, unit: UnitId | None) -> tuple[str, AgentState]:
    """The latest work of a worker, on a unit or at all, with its stream."""
    for stream, agent in reversed([*state.agents.items()]):
        if agent.worker == worker and unit in (None, agent.unit):
            return stream, agent
    raise CommandRefusedError(f"worker-{worker} has not worked on " + ("anything" if unit is None else f"unit-{unit}"))


def _check_budget(budget: Budget, what: str, cost_cents: int, kept_back_cents: int) -> None:
    """See that something can be paid from what is kept back for it and what is not spoken for.

    Raises:
        CommandRefusedError: it cannot; the sentence has the sums.
    """
    if budget.left_cents is not None and not budget.fits(cost_cents - kept_back_cents):
        raise CommandRefusedError(
            f"{what} would cost {cost_cents} cents with fees, and the run's budget of {budget.limit_cents} cents has "
            f"{budget.left_cents + kept_back_cents} left for it"
        )


def _owed(run: TaskRunId, agent: AgentState, payment: PaymentId, cents: int, purpose: str) -> NewEvent:
    owed = PaymentOwed(
        payment=payment, worker=agent.worker, agent=agent.agent, unit=agent.unit, amount_cents=cents, purpose=purpose
    )
    return NewEvent(streams.payment(run, payment), owed)


def _agent_event(verdict: Verdict, note: PayloadRef | None, bonus_cents: int) -> AgentEvent:
    match verdict:
        case Verdict.APPROVED:
            return AgentApproved(note=note, bonus_cents=bonus_cents)
        case Verdict.SOFT_REJECTED:
            return AgentSoftRejected(note=note)
        case Verdict.REJECTED:
            return AgentRejected(note=note)


def decide_grant(
    state: DecisionState, worker: WorkerId, name: str, value: int, new_id: QualificationId
) -> list[NewEvent]:
    """Give a worker a qualification, or another value of it; a name that is new is registered.

    Args:
        state: the present state.
        worker: the worker.
        name: the qualification's name.
        value: its value.
        new_id: the id of the qualification if the name is new.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(worker)
    number = state.qualifications_by_name.get(name, new_id)
    held = state.workers[stream].qualifications.get(number)
    if held == value:
        return []
    changed = QualificationGranted if held is None else QualificationChanged
    created = QualificationCreated(qualification=number, name=name)
    return [
        *([NewEvent(streams.qualification(number), created)] if number == new_id else []),
        NewEvent(stream, changed(qualification=number, value=value)),
    ]


def decide_revoke(state: DecisionState, worker: WorkerId, name: str, reason: str) -> list[NewEvent]:
    """Take a qualification from a worker.

    Raises:
        UnknownEntityError: there is no such worker.
        CommandRefusedError: the worker does not have it.
    """
    stream = streams.worker(worker)
    number = state.qualifications_by_name.get(name)
    if number is None or number not in state.workers[stream].qualifications:
        raise CommandRefusedError(f"worker-{worker} does not have the qualification {name!r}")
    return [NewEvent(stream, QualificationRevoked(qualification=number, reason=reason))]


def decide_block(state: DecisionState, worker: WorkerId, reason: str) -> list[NewEvent]:
    """Give a worker no more work; what it is at it may finish.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(state.workers[streams.worker(worker)].worker)
    return [NewEvent(stream, WorkerBlocked(reason=reason))]


def decide_unblock(state: DecisionState, worker: WorkerId, reason: str) -> list[NewEvent]:
    """Let a blocked worker work again.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(state.workers[streams.worker(worker)].worker)
    return [NewEvent(stream, WorkerUnblocked(reason=reason))]
