"""Decides on pay for time: work that came to nothing through no fault of the worker is paid by the minute."""

from __future__ import annotations

from ....events import streams
from ....events.agent import AgentBonusGranted
from ....events.payment import PaymentOwed
from ...commands.review import PayForTime
from ...lifecycles.agent import AgentStatus
from ...lifecycles.payment import BONUS
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ...state.fair_pay import affordable_cents

#: Statuses of agents whose work ended without a fault of theirs: returned by them or by us, or taken away.
PAID_FOR_TIME_STATUSES = frozenset({AgentStatus.RETURNED, AgentStatus.EXPIRED})
_SECOND_US = 1_000_000


def decide_pay_for_time(state: DecisionState, command: PayForTime) -> list[NewEvent]:
    """Pay for the time that an agent worked, as far as the run's terms and its budget go.

    Returns:
        The events; none if the agent is not paid for time, was paid before, or nothing is left.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    run, stream = command.task_run, streams.agent(command.task_run, command.agent)
    agent, index = state.agents[stream], state.runs[run]
    if agent.status not in PAID_FOR_TIME_STATUSES or agent.agent in index.paid_for_time:
        return []
    cents = affordable_cents(index.budget, index.time_pay.cents_for(command.worked_us))
    if cents <= 0:
        return []
    granted = AgentBonusGranted(
        bonus_cents=cents, reason=command.reason, worked_seconds=-(-command.worked_us // _SECOND_US)
    )
    owed = PaymentOwed(
        payment=command.payment,
        worker=agent.worker,
        agent=agent.agent,
        unit=agent.unit,
        amount_cents=cents,
        purpose=BONUS,
    )
    return [NewEvent(stream, granted), NewEvent(streams.payment(run, command.payment), owed)]
