"""Decides on pay for time: work that came to nothing through no fault of the worker is paid by the minute."""

from __future__ import annotations

from typing import NamedTuple

from ....events import streams
from ....events.agent import AgentAccepted, AgentBonusGranted, AgentReturned
from ....events.engagement import AllWorkEnded, WorkEnded, WorkStarted
from ....events.ids import AgentId, UnitId, WorkerId
from ....events.payment import PaymentOwed
from ....events.unit import UnitAssigned, UnitExpired, UnitLaunched
from ...commands.review import PayForOnboarding, PayForTime
from ...lifecycles.agent import AgentStatus
from ...lifecycles.onboarding import OnboardingStatus
from ...lifecycles.payment import BONUS
from ...ports import NewEvent
from ...state.decision_state import DecisionState
from ...state.fair_pay import affordable_cents
from ..launch_work import creation_events

#: Statuses of agents whose work ended without a fault of theirs: returned by them or by us, or taken away.
PAID_FOR_TIME_STATUSES = frozenset({AgentStatus.RETURNED, AgentStatus.EXPIRED})
#: Before the registration of an onboarding, for the agent that is paid for it.
COMPENSATION_PREFIX = "compensation/"
_COMPENSATION = "pay for the time of the onboarding"
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
    return _pay_events(state, command, _Payee(agent.agent, agent.worker, agent.unit))


def decide_pay_for_onboarding(state: DecisionState, command: PayForOnboarding) -> list[NewEvent]:
    """Pay for the time of an onboarding that was not passed, as far as the run's terms and its budget go.

    Payments go to agents, so the worker gets a compensation unit and returns it at once.

    Returns:
        The events; none if the onboarding was passed or has not ended, was paid before, or nothing is left.

    Raises:
        UnknownEntityError: there is no such onboarding agent.
    """
    run = command.task_run
    onboarding = state.onboardings[streams.onboarding_agent(run, command.onboarding_agent)]
    registration = compensation_registration(onboarding.registration)
    was_paid = state.agent_by_registration(run, registration) is not None
    [unit] = command.assignment.units
    paid = _Payee(command.agent, onboarding.worker, unit.unit)
    pay = [] if was_paid else _pay_events(state, command, paid)
    if onboarding.status is not OnboardingStatus.REJECTED or not pay:
        return []
    agent, assignment = streams.agent(run, command.agent), command.assignment.assignment
    engagement, unit_stream = streams.engagement(run, onboarding.worker), streams.unit(run, unit.unit)
    accepted = AgentAccepted(
        agent=command.agent,
        unit=unit.unit,
        assignment=assignment,
        worker=onboarding.worker,
        token=command.token,
        registration=registration,
    )
    ended = WorkEnded if state.engagements[engagement].live else AllWorkEnded
    return [
        *creation_events(run, [command.assignment]),
        NewEvent(unit_stream, UnitLaunched()),
        NewEvent(unit_stream, UnitAssigned(agent=command.agent, worker=onboarding.worker)),
        NewEvent(agent, accepted),
        NewEvent(engagement, WorkStarted(agent=command.agent, unit=unit.unit, assignment=assignment, counts=False)),
        NewEvent(agent, AgentReturned(reason=_COMPENSATION)),
        NewEvent(unit_stream, UnitExpired(reason=_COMPENSATION)),
        NewEvent(engagement, ended(agent=command.agent, outcome=AgentStatus.RETURNED.value)),
        *pay,
    ]


class _Payee(NamedTuple):
    """The agent that is paid, with its worker and unit."""

    agent: AgentId
    worker: WorkerId
    unit: UnitId


def _pay_events(state: DecisionState, command: PayForTime | PayForOnboarding, paid: _Payee) -> list[NewEvent]:
    """Return what grants the pay for some time; nothing if there is none, or the budget has nothing left."""
    run, index = command.task_run, state.runs[command.task_run]
    cents = affordable_cents(index.budget, index.time_pay.cents_for(command.worked_us))
    if cents <= 0:
        return []
    seconds = -(-command.worked_us // _SECOND_US)
    granted = AgentBonusGranted(bonus_cents=cents, reason=command.reason, worked_seconds=seconds)
    owed = PaymentOwed(
        payment=command.payment,
        worker=paid.worker,
        agent=paid.agent,
        unit=paid.unit,
        amount_cents=cents,
        purpose=BONUS,
    )
    return [
        NewEvent(streams.agent(run, paid.agent), granted),
        NewEvent(streams.payment(run, command.payment), owed),
    ]


def compensation_registration(registration: str) -> str:
    """Return the registration of the agent that is paid for an onboarding, whose place at the site it has."""
    return f"{COMPENSATION_PREFIX}{registration}"
