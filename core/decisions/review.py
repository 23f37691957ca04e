"""Decides on submitted work: verdicts, objections to them, bonuses, and what is owed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from ...events import streams
from ...events.agent import (
    AgentAppealDismissed,
    AgentAppealed,
    AgentApproved,
    AgentBonusGranted,
    AgentEvent,
    AgentLateAccepted,
    AgentRejected,
    AgentSoftRejected,
)
from ...events.ids import PaymentId, TaskRunId
from ...events.payment import PaymentOwed
from ...events.unit import (
    UnitAccepted,
    UnitEvent,
    UnitLateAccepted,
    UnitRejected,
    UnitSoftRejected,
)
from ..commands.review import (
    PERSON_PREFIX,
    AcceptLateWork,
    DismissAppeal,
    GrantBonus,
    ReviewWork,
    SubmitAppeal,
    Verdict,
)
from ..errors import CommandRefusedError
from ..lifecycles.agent import AGENT, AT_WORK_STATUSES, LATE_STATUSES, AgentRecord, AgentStatus, AppealStatus
from ..lifecycles.payment import BONUS, PAY
from ..lifecycles.unit import UNIT, UnitState
from ..ports import NewEvent
from ..state.budget import RESERVING_UNIT_STATUSES, Budget
from ..state.decision_state import DecisionState
from .second_looks.opinions import second_opinion
from .worker_rights.consent import check_consent

_UNIT_EVENTS: Mapping[Verdict, UnitEvent] = {
    Verdict.APPROVED: UnitAccepted(),
    Verdict.SOFT_REJECTED: UnitSoftRejected(),
    Verdict.REJECTED: UnitRejected(),
}
_AGENT_EVENTS: Mapping[Verdict, type[AgentEvent]] = {
    Verdict.APPROVED: AgentApproved,
    Verdict.SOFT_REJECTED: AgentSoftRejected,
    Verdict.REJECTED: AgentRejected,
}

#: Statuses of an agent that submitted in time and whose work may get another verdict.
_REVIEWABLE = frozenset({AgentStatus.COMPLETED, AgentStatus.SOFT_REJECTED, AgentStatus.REJECTED})
#: Statuses of an agent whose unit's pay is owed already.
PAY_IS_OWED = frozenset({AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED})


def decide_review_work(state: DecisionState, command: ReviewWork) -> list[NewEvent]:
    """Give a verdict on an agent's work: agent, unit and what is owed change together.

    If the work waits for a second reviewer who does not agree with the first, it is recorded that they differ, and
    there is no verdict yet.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: the agent no longer has the unit, the bonus does not go with the verdict, or the budget
            does not cover it; or the work was not submitted, is reviewed already, or waits for somebody else's opinion.
    """
    run, verdict = command.task_run, command.verdict
    agent = state.agents[streams.agent(run, command.agent)]
    check_verdict(run, agent, verdict)
    if verdict is not Verdict.SOFT_REJECTED:
        check_consent(state, run, agent.worker)
    unit_stream = streams.unit(run, agent.unit)
    unit = state.units[unit_stream]
    if unit.agent != agent.agent:
        raise CommandRefusedError(
            f"agent-{agent.agent} does not have unit-{agent.unit} any more: there is nothing to review"
        )
    if (opinion := second_opinion(agent, command)) is not None:
        return [NewEvent(streams.agent(run, agent.agent), opinion)]
    bonus_cents = command.bonus_cents
    if bonus_cents < 0 or (bonus_cents and verdict is not Verdict.APPROVED):
        raise CommandRefusedError(f"a bonus of {bonus_cents} cents does not go with work that is {verdict.value}")
    pay_cents = _pay_cents(agent, unit, verdict)
    budget = state.runs[run].budget
    reserved = budget.cost_of_unit(unit.pay_cents) if unit.status in RESERVING_UNIT_STATUSES else 0
    cost = budget.with_fee(pay_cents) + budget.with_fee(bonus_cents)
    check_budget(budget, f"the verdict on unit-{unit.unit}", cost, reserved)
    due = [
        (payment, cents, purpose)
        for payment, cents, purpose in (
            (command.pay_payment, pay_cents, PAY),
            (command.bonus_payment, bonus_cents, BONUS),
        )
        if cents
    ]
    payments = tuple(payment for payment, *_ in due)
    return [
        NewEvent(streams.agent(run, agent.agent), _agent_event(command, payments)),
        NewEvent(unit_stream, _UNIT_EVENTS[verdict]),
        *(_owed(run, agent, payment, cents, purpose) for payment, cents, purpose in due),
    ]


def check_verdict(run: TaskRunId, agent: AgentRecord, verdict: Verdict) -> None:
    """Check that an agent's work can get a verdict.

    Raises:
        CommandRefusedError: it cannot; the message says why, and what can be done instead.
    """
    if AGENT.allows(agent.status, _AGENT_EVENTS[verdict]):
        return
    name = f"agent-{agent.agent}"
    if agent.status in AT_WORK_STATUSES:
        raise CommandRefusedError(f"{name} is still at work ({agent.status.value}): review it once it has submitted")
    if agent.status in LATE_STATUSES:
        raise CommandRefusedError(
            f"{name} ended as {agent.status.value!r} without submitting; what it submitted later is accepted with "
            f"`mephisto-es review {run} --accept-late {name}`"
        )
    rest = (
        "approved work stays approved, because its worker is owed the pay; until that is paid, the verdict can be "
        f"taken back with `mephisto-es review {run} --undo {name}`"
        if agent.status is AgentStatus.APPROVED
        else "the only other verdict that is possible now is to approve it, unless this one is taken back first"
    )
    raise CommandRefusedError(f"{name} is already {agent.status.value.replace('_', '-')}: {rest}")


def _pay_cents(agent: AgentRecord, unit: UnitState, verdict: Verdict) -> int:
    """Return what a verdict adds to what is owed for the unit itself."""
    nothing = verdict is Verdict.REJECTED or agent.status in PAY_IS_OWED
    return 0 if nothing else unit.pay_cents


def decide_accept_late_work(state: DecisionState, command: AcceptLateWork) -> list[NewEvent]:
    """Accept late work. The unit is accepted with it, unless another agent has or did the unit: then it is only paid.

    Raises:
        UnknownEntityError: there is no such agent.
        IllegalStepError: the agent's work did not end without a submission, or was accepted already.
        CommandRefusedError: the work is not late, nothing was submitted, the same worker has the unit again, or the
            budget does not cover the pay.
    """
    run, stream = command.task_run, streams.agent(command.task_run, command.agent)
    agent = state.agents[stream]
    unit_stream = streams.unit(run, agent.unit)
    unit = state.units[unit_stream]
    if agent.status in _REVIEWABLE:
        raise CommandRefusedError(f"the work of agent-{agent.agent} is not late: review it as usual")
    AGENT.after(agent.status, AgentLateAccepted(), stream)
    if agent.submission is None:
        raise CommandRefusedError(f"agent-{agent.agent} submitted nothing: there is no late work to accept")
    counts = UNIT.allows(unit.status, UnitLateAccepted)
    if not counts and unit.worker == agent.worker:
        raise CommandRefusedError(
            f"worker-{agent.worker} has unit-{unit.unit} again as agent-{unit.agent}: review that work instead"
        )
    budget = state.runs[run].budget
    reserved = budget.cost_of_unit(unit.pay_cents) if counts and unit.status in RESERVING_UNIT_STATUSES else 0
    check_budget(budget, f"the late work on unit-{unit.unit}", budget.with_fee(unit.pay_cents), reserved)
    accepted = AgentLateAccepted(note=command.note, pay_only_cents=0 if counts else unit.pay_cents)
    events = [NewEvent(stream, accepted)]
    if counts:
        events.append(NewEvent(unit_stream, UnitLateAccepted(agent=agent.agent, worker=agent.worker)))
    if unit.pay_cents:
        events.append(_owed(run, agent, command.payment, unit.pay_cents, PAY))
    return events


def decide_submit_appeal(state: DecisionState, command: SubmitAppeal) -> list[NewEvent]:
    """Record a worker's objection to a rejection.

    Raises:
        UnknownEntityError: there is no such agent.
        IllegalStepError: the work is not rejected.
        CommandRefusedError: the worker has objected before.
    """
    stream = streams.agent(command.task_run, command.agent)
    agent, appealed = state.agents[stream], AgentAppealed(objection=command.objection)
    AGENT.after(agent.status, appealed, stream)
    if agent.appeal is not None:
        raise CommandRefusedError(f"worker-{agent.worker} has objected to the rejection of agent-{agent.agent} before")
    return [NewEvent(stream, appealed)]


def decide_dismiss_appeal(state: DecisionState, command: DismissAppeal) -> list[NewEvent]:
    """Let a rejection stand, with an answer to the worker's objection.

    Raises:
        UnknownEntityError: there is no such agent.
        IllegalStepError: the work is not rejected.
        CommandRefusedError: no objection is open, or another reviewer has to answer it.
    """
    run, stream = command.task_run, streams.agent(command.task_run, command.agent)
    agent = state.agents[stream]
    dismissed = AgentAppealDismissed(answer=command.answer, reviewer=command.reviewer)
    AGENT.after(agent.status, dismissed, stream)
    if agent.appeal is not AppealStatus.OPEN:
        raise CommandRefusedError(f"agent-{agent.agent} has no open objection")
    people = {one for one in state.runs[run].reviewers if one.startswith(PERSON_PREFIX)}
    others = sorted(people - {command.reviewer})
    if command.reviewer == agent.rejected_by and others:
        raise CommandRefusedError(
            f"agent-{agent.agent} was rejected by {command.reviewer}, so the objection has to be dismissed by "
            f"somebody else: {', '.join(others)}; the work can be approved by anybody"
        )
    return [NewEvent(stream, dismissed)]


def decide_grant_bonus(state: DecisionState, command: GrantBonus) -> list[NewEvent]:
    """Grant a bonus for an agent's work, whatever became of that; it is owed at once.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: it is no positive amount, or the run's budget has too little left.
    """
    if command.bonus_cents <= 0:
        raise CommandRefusedError(f"{command.bonus_cents} cents are no bonus")
    run, stream = command.task_run, streams.agent(command.task_run, command.agent)
    agent = state.agents[stream]
    budget = state.runs[run].budget
    check_budget(budget, f"the bonus for unit-{agent.unit}", budget.with_fee(command.bonus_cents), reserved_cents=0)
    return [
        NewEvent(stream, AgentBonusGranted(bonus_cents=command.bonus_cents, reason=command.reason)),
        _owed(run, agent, command.payment, command.bonus_cents, BONUS),
    ]


def check_budget(budget: Budget, purpose: str, cost_cents: int, reserved_cents: int) -> None:
    """Check that the cents reserved for a purpose, and what is left of the budget, cover its cost.

    Raises:
        CommandRefusedError: they do not; the message has the sums.
    """
    if budget.left_cents is not None and not budget.fits(cost_cents - reserved_cents):
        raise CommandRefusedError(
            f"{purpose} would cost {cost_cents} cents with fees, "
            f"and the run's budget of {budget.limit_cents} cents has {budget.left_cents + reserved_cents} left for it"
        )


def _owed(run: TaskRunId, agent: AgentRecord, payment: PaymentId, cents: int, purpose: str) -> NewEvent:
    owed = PaymentOwed(
        payment=payment, worker=agent.worker, agent=agent.agent, unit=agent.unit, amount_cents=cents, purpose=purpose
    )
    return NewEvent(streams.payment(run, payment), owed)


def _agent_event(command: ReviewWork, payments: tuple[PaymentId, ...]) -> AgentEvent:
    match command.verdict:
        case Verdict.APPROVED:
            return AgentApproved(
                note=command.note, bonus_cents=command.bonus_cents, reviewer=command.reviewer, payments=payments
            )
        case Verdict.SOFT_REJECTED:
            return AgentSoftRejected(note=command.note, reviewer=command.reviewer, payments=payments)
        case Verdict.REJECTED:
            return AgentRejected(note=command.note, reviewer=command.reviewer)
        case _:
            assert_never(command.verdict)
