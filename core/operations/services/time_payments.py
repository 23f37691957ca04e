"""Pays for the time of workers whose work came to nothing through no fault of theirs, if the task pays for time."""

from __future__ import annotations

from collections.abc import Sequence

from ....events import streams
from ....events.agent import AgentExpired, AgentReturned
from ....events.envelope import RecordedEvent
from ....events.ids import PaymentId
from ...command_issuer import CommandIssuer
from ...commands.review import PayForTime
from ...decisions.worker_rights.pay_for_time import PAID_FOR_TIME_STATUSES
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
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

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Pay for the time of agents that have ended, among durable events of the run."""
        if not self._pays:
            return
        for recorded in events:
            if isinstance(recorded.envelope.event, AgentReturned | AgentExpired):
                self._pay_soon(self._ledger.state.agents[recorded.envelope.stream])

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

    def _worked_us(self, agent: AgentRecord) -> int:
        """Return the time from the assignment to the end, without the time for which the run was paused."""
        history = self._ledger.log.history(streams.agent(self._run, agent.agent))
        started = history[0].envelope.at
        ended = next(
            (one.envelope.at for one in history if isinstance(one.envelope.event, AgentReturned | AgentExpired)),
            started,
        )
        run_history = self._ledger.log.history(streams.task_run(self._run))
        return max(0, ended - started - paused_us(run_history, since_us=started))


def _time_text(worked_us: int) -> str:
    minutes, seconds = divmod(-(-worked_us // _SECOND_US), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
