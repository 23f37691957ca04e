"""Decides on taking back a verdict, or opinions, before anything is paid for it."""

from __future__ import annotations

from ....events import streams
from ....events.agent import AgentVerdictWithdrawn
from ....events.engagement import SiteWorkStatus
from ....events.ids import TaskRunId
from ....events.payment import PaymentWithdrawn
from ....events.unit import UnitVerdictWithdrawn
from ...commands.review import WithdrawVerdict
from ...errors import CommandRefusedError
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...lifecycles.payment import BONUS, PAYMENT, PaymentState
from ...lifecycles.unit import UnitState
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ..review import PAY_IS_OWED, check_budget
from ..worker_rights.consent import check_consent

_WITH_VERDICT = frozenset({*PAY_IS_OWED, AgentStatus.REJECTED})
#: Statuses at a crowd site of work that the site has paid.
_PAID_THERE = frozenset({SiteWorkStatus.APPROVED, SiteWorkStatus.PARTIALLY_APPROVED})


def decide_withdraw_verdict(state: DecisionState, command: WithdrawVerdict) -> list[NewEvent]:
    """Take a verdict back: agent and unit are completed again, and what it made payable is no longer owed.

    Opinions on which there is no verdict yet are taken back in the same way. Qualifications, blocks and bonuses that
    were granted apart from the verdict are decisions of their own, and stay.

    Raises:
        UnknownEntityError: there is no such agent.
        CommandRefusedError: there is no verdict, it is about late or imported work, somebody else has the unit, the
            worker has withdrawn the consent, the pay is on its way, or the budget has no room for another verdict.
    """
    run, stream = command.task_run, streams.agent(command.task_run, command.agent)
    agent = state.agents[stream]
    unit_stream = streams.unit(run, agent.unit)
    unit = state.units[unit_stream]
    if agent.status is AgentStatus.COMPLETED and agent.opinions:
        return [NewEvent(stream, AgentVerdictWithdrawn(reviewer=command.reviewer, reason=command.reason))]
    _check_withdrawal(state, run, agent, unit)
    payments = [state.payments[streams.payment(run, payment)] for payment in agent.verdict_payments]
    for payment in payments:
        if not PAYMENT.allows(payment.status, PaymentWithdrawn):
            raise CommandRefusedError(
                f"the verdict on agent-{agent.agent} stays: payment-{payment.payment} for it is already "
                f"{payment.status.value}"
            )
    budget = state.runs[run].budget
    freed = sum(budget.with_fee(payment.amount_cents) for payment in payments)
    check_budget(budget, f"another verdict on unit-{unit.unit}", budget.cost_of_unit(unit.pay_cents), freed)
    bonus_cents = sum(payment.amount_cents for payment in payments if payment.purpose == BONUS)
    withdrawn = AgentVerdictWithdrawn(reviewer=command.reviewer, reason=command.reason, bonus_cents=bonus_cents)
    return [
        NewEvent(stream, withdrawn),
        NewEvent(unit_stream, UnitVerdictWithdrawn()),
        *(_withdrawn(run, payment) for payment in payments),
    ]


def _check_withdrawal(state: DecisionState, run: TaskRunId, agent: AgentRecord, unit: UnitState) -> None:
    """Check that a verdict can be taken back, whatever became of the money.

    Raises:
        CommandRefusedError: it cannot; the message says why.
    """
    name = f"agent-{agent.agent}"
    if agent.status not in _WITH_VERDICT:
        raise CommandRefusedError(f"{name} is {agent.status.value!r}: there is no verdict to take back")
    if unit.agent != agent.agent:
        raise CommandRefusedError(f"{name} does not have unit-{agent.unit} any more: its verdict stays")
    if agent.status in PAY_IS_OWED and unit.pay_cents and not agent.verdict_payments:
        raise CommandRefusedError(
            f"the verdict on {name} stays, because the log does not say what it made payable: the work was late or "
            "imported, or an earlier version recorded the verdict"
        )
    check_consent(state, run, agent.worker)
    engagement = state.engagements.get(streams.engagement(run, agent.worker))
    shown = engagement.places.get(agent.registration) if engagement else None
    if shown is not None and shown.status in _PAID_THERE:
        raise CommandRefusedError(f"the verdict on {name} stays: the crowd site shows the work as {shown.status.value}")


def _withdrawn(run: TaskRunId, payment: PaymentState) -> NewEvent:
    return NewEvent(streams.payment(run, payment.payment), PaymentWithdrawn(amount_cents=payment.amount_cents))
