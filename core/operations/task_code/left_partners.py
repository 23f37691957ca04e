"""Approves the work of workers whose partners left, if the task pays for it without a review."""

from __future__ import annotations

from collections.abc import Sequence

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import PaymentId
from ....events.unit import UnitCompleted
from ...command_issuer import CommandIssuer
from ...commands.pending import PendingCommand
from ...commands.review import ReviewWork, Verdict
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...lifecycles.unit import UnitState
from ...ports import Ids
from ..logger_core import get_logger
from ..run_context import RunContext

logger = get_logger(__name__)


class LeftPartners:
    """The completed units of one run whose workers were left by a partner."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._context = context
        self._run = context.task_run
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)

    def resume(self) -> None:
        """Approve what an earlier process of the run did not get to."""
        for stream, unit in self._ledger.state.units.items():
            if streams.run_of(stream) == self._run:
                self._approve_soon(unit)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Approve completed units among durable events of the run."""
        for recorded in events:
            if isinstance(recorded.envelope.event, UnitCompleted):
                self._approve_soon(self._ledger.state.units[recorded.envelope.stream])

    def _approve_soon(self, unit: UnitState) -> None:
        if not self._context.settings.approve_left_partners or unit.agent is None:
            return
        agent = self._ledger.state.agents[streams.agent(self._run, unit.agent)]
        if not agent.was_left or agent.status is not AgentStatus.COMPLETED:
            return
        command = ReviewWork(
            task_run=self._run,
            agent=agent.agent,
            verdict=Verdict.APPROVED,
            note=None,
            bonus_cents=0,
            pay_payment=PaymentId(self._ids.next_id("payment")),
            bonus_payment=PaymentId(self._ids.next_id("payment")),
        )
        # Submitted at once: the run may end before a task gets its turn.
        pending = self._issuer.issue_nowait(command, command_id=f"left-partner/{agent.agent}")
        self._context.nursery.start_soon(self._report_refusal, agent, pending)

    async def _report_refusal(self, agent: AgentRecord, pending: PendingCommand) -> None:
        try:
            await pending.wait()
        except CommandRefusedError as error:
            logger.warning(
                "the work of an agent whose partner left waits for a review", reason=str(error), agent=agent.agent
            )
