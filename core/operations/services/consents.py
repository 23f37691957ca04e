"""Records workers' consent to a run, and deletes what they sent when they withdraw it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import chain

from ....events import streams
from ....events.assignment import AssignmentLabelled
from ....events.ids import PaymentId, TaskRunId, WorkerId
from ....events.onboarding import OnboardingStarted
from ....events.task_run import CallbackFailed
from ...command_issuer import OPERATOR, CommandIssuer
from ...commands.admission import RecordConsent, WithdrawConsent
from ...commands.review import ReviewWork, Verdict
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...packet_data import ConsentAnswer
from ...payloads import refs_of
from ...ports import Ids
from ..logger_core import get_logger

#: Withdraws a worker's consent to a run, for a reason, in the name of an author; returns how much was deleted.
WithdrawConsentData = Callable[[TaskRunId, WorkerId, str, str], Awaitable[int]]

logger = get_logger(__name__)


class Consents:
    """The consents of the workers of one run, in the name of one author."""

    def __init__(self, run: TaskRunId, ledger: Ledger, ids: Ids, author: str = OPERATOR) -> None:
        self._run = run
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids, author)

    async def record(self, worker: WorkerId, answer: ConsentAnswer) -> None:
        """Record the answer of a page; one about another text is dropped."""
        command = RecordConsent(task_run=self._run, worker=worker, version=answer.version, given=answer.given)
        try:
            await self._issuer.issue(command, actor=f"worker/{worker}")
        except CommandRefusedError as error:
            logger.info("dropped an answer about consent", worker=worker, reason=str(error))

    async def withdraw(self, worker: WorkerId, reason: str) -> int:
        """Withdraw a worker's consent: delete what the worker sent in the run, after it has been paid for.

        Submitted work without a verdict is soft-rejected first: it is not used, and paid all the same. A cancelled call
        may have done a part of this; repeating it does the rest.

        Args:
            worker: the worker.
            reason: recorded in the log, so it names nobody.

        Returns:
            The number of payloads that were deleted.

        Raises:
            UnknownEntityError: there is no such run, or the worker was never in it.
            CommandRefusedError: the worker has given no consent, or is at work.
        """
        # Refused before anything is paid for.
        self._ledger.state.engagements[streams.engagement(self._run, worker)]
        for agent in self._agents(worker):
            if agent.status is AgentStatus.COMPLETED:
                await self._soft_reject(agent)
        payloads = tuple(dict.fromkeys(self._payloads(worker)))
        await self._issuer.issue(WithdrawConsent(task_run=self._run, worker=worker, reason=reason, payloads=payloads))
        return len(payloads)

    async def _soft_reject(self, agent: AgentRecord) -> None:
        command = ReviewWork(
            task_run=self._run,
            agent=agent.agent,
            verdict=Verdict.SOFT_REJECTED,
            pay_payment=PaymentId(self._ids.next_id("payment")),
            bonus_payment=PaymentId(self._ids.next_id("payment")),
        )
        await self._issuer.issue(command)

    def _agents(self, worker: WorkerId) -> list[AgentRecord]:
        agents = self._ledger.state.agents.items()
        return [agent for stream, agent in agents if agent.worker == worker and streams.run_of(stream) == self._run]

    def _payloads(self, worker: WorkerId) -> Iterator[str]:
        """Yield the commitments of what the worker sent in the run, as far as it is still there."""
        run, state, log = self._run, self._ledger.state, self._ledger.log
        onboardings = [
            stream
            for stream, one in state.onboardings.items()
            if one.worker == worker and streams.run_of(stream) == run
        ]
        for stream in [*(streams.agent(run, agent.agent) for agent in self._agents(worker)), *onboardings]:
            for _, envelope in log.history(stream):
                if isinstance(envelope.event, OnboardingStarted):
                    continue  # What the page was given is not the worker's, and others refer to it, too.
                yield from (ref.sha256 for ref in refs_of(envelope.event) if log.payload(ref) is not None)
        assignments = [streams.assignment(run, agent.assignment) for agent in self._agents(worker)]
        for _, envelope in chain.from_iterable(map(log.history, [streams.task_run(run), *assignments])):
            event = envelope.event
            if isinstance(event, CallbackFailed | AssignmentLabelled) and event.worker == worker:
                yield from (ref.sha256 for ref in refs_of(event) if log.payload(ref) is not None)


def withdrawer_in_log(ledger: Ledger, ids: Ids) -> WithdrawConsentData:
    """Return what withdraws consent where there are no files beside the log."""

    async def withdraw(run: TaskRunId, worker: WorkerId, reason: str, author: str) -> int:
        return await Consents(run, ledger, ids, author).withdraw(worker, reason)

    return withdraw
