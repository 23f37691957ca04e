"""Pays for the time of workers whose work came to nothing through no fault of theirs, if the task pays for time."""

from __future__ import annotations

from collections.abc import Sequence

from ....events import streams
from ....events.agent import AgentExpired, AgentReturned
from ....events.base import Event
from ....events.envelope import RecordedEvent
from ....events.ids import COMPENSATION_UNIT_INDEX, AgentId, AssignmentId, PaymentId, UnitId
from ....events.onboarding import OnboardingFailed, OnboardingSubmitted
from ...command_issuer import CommandIssuer
from ...commands.review import PayForOnboarding, PayForTime
from ...commands.task_run import AssignmentPlan, UnitPlan
from ...decisions.worker_rights.pay_for_time import PAID_FOR_TIME_STATUSES, compensation_registration
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
from ...lifecycles.onboarding import OnboardingRecord, OnboardingStatus
from ...payloads import seal
from ...ports import Ids
from ..run_context import RunContext
from ..task_code.deadlines import paused_us

_SECOND_US = 1_000_000


class TimePayments:
    """The agents of one run whose time is paid."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._run = context.task_run
        self._pays = context.settings.pay_for_time_cents > 0
        self._is_paid_by_site = context.provider.pays_for_screen_outs
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)

    def resume(self) -> None:
        """Pay for the time of agents that an earlier process of the run did not get to."""
        if not self._pays:
            return
        state = self._ledger.state
        paid = state.runs[self._run].paid_for_time
        for stream, agent in state.agents.items():
            is_due = agent.status in PAID_FOR_TIME_STATUSES and agent.agent not in paid
            if is_due and streams.run_of(stream) == self._run:
                self._pay_soon(agent)
        for stream, onboarding in state.onboardings.items():
            if onboarding.status is OnboardingStatus.REJECTED and streams.run_of(stream) == self._run:
                self._pay_for_onboarding_soon(onboarding)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Pay for the time of agents that have ended, among durable events of the run."""
        if not self._pays:
            return
        for recorded in events:
            if isinstance(recorded.envelope.event, AgentReturned | AgentExpired):
                self._pay_soon(self._ledger.state.agents[recorded.envelope.stream])
            elif isinstance(recorded.envelope.event, OnboardingFailed):
                self._pay_for_onboarding_soon(self._ledger.state.onboardings[recorded.envelope.stream])

    def _pay_soon(self, agent: AgentRecord) -> None:
        worked = self._worked_us(agent)
        reason = seal(f"Pay for {_time_text(worked)} of work.".encode(), self._ids.salt(), agent.worker)
        command = PayForTime(
            task_run=self._run,
            agent=agent.agent,
            worked_us=worked,
            reason=reason.ref,
            payment=PaymentId(self._ids.next_id("payment")),
        )
        # Submitted at once: the run may end before a task gets its turn.
        self._issuer.issue_nowait(command, reason, command_id=f"pay-for-time/{self._run}/{agent.agent}")

    def _pay_for_onboarding_soon(self, onboarding: OnboardingRecord) -> None:
        """Pay for an onboarding that was not passed, unless the provider's site does."""
        run, worker, state = self._run, onboarding.worker, self._ledger.state
        was_paid = state.agent_by_registration(run, compensation_registration(onboarding.registration)) is not None
        if was_paid or self._is_paid_by_site:
            return
        history = self._ledger.log.history(streams.onboarding_agent(run, onboarding.agent))
        worked = self._time_us(history, OnboardingSubmitted)
        reason = seal(f"Pay for {_time_text(worked)} of onboarding.".encode(), self._ids.salt(), worker)
        data = seal(b'{"shared":{},"unit_data":[{}]}', self._ids.salt())
        unit = UnitPlan(UnitId(self._ids.next_id("unit")), COMPENSATION_UNIT_INDEX, 0)
        command = PayForOnboarding(
            task_run=run,
            onboarding_agent=onboarding.agent,
            worked_us=worked,
            reason=reason.ref,
            payment=PaymentId(self._ids.next_id("payment")),
            assignment=AssignmentPlan(
                AssignmentId(self._ids.next_id("assignment")), COMPENSATION_UNIT_INDEX, data.ref, (unit,)
            ),
            agent=AgentId(self._ids.next_id("agent")),
            token=self._ids.token(),
        )
        self._issuer.issue_nowait(command, reason, data, command_id=f"pay-for-onboarding/{run}/{onboarding.agent}")

    def _worked_us(self, agent: AgentRecord) -> int:
        """Return the time from the assignment to the end, without the time for which the run was paused."""
        history = self._ledger.log.history(streams.agent(self._run, agent.agent))
        return self._time_us(history, AgentReturned, AgentExpired)

    def _time_us(self, history: Sequence[RecordedEvent], *ends: type[Event]) -> int:
        started = history[0].envelope.at
        ended = next((one.envelope.at for one in history if isinstance(one.envelope.event, ends)), started)
        run_history = self._ledger.log.history(streams.task_run(self._run))
        return max(0, ended - started - paused_us(run_history, started, ended))


def _time_text(worked_us: int) -> str:
    minutes, seconds = divmod(-(-worked_us // _SECOND_US), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
