"""Reviews submitted work, and decides on workers: verdicts, bonuses, qualifications, blocks."""

from __future__ import annotations

from ....events.agent import AgentRejected
from ....events.ids import AgentId, PaymentId, QualificationId, TaskRunId, UnitId, WorkerId
from ....events.payment import PaymentSettledPaid, PaymentSettledUnpaid
from ....events.streams import agent as agent_stream
from ....events.streams import payment as payment_stream
from ....events.streams import run_of
from ....events.streams import worker as worker_stream
from ...command_issuer import CommandIssuer
from ...commands.directory import BlockWorker, GrantQualification, RevokeQualification, UnblockWorker
from ...commands.review import (
    NOTE_IS_MISSING,
    AcceptLateWork,
    DismissAppeal,
    GiveOpinion,
    GrantBonus,
    RecordPayment,
    ReviewWork,
    SubmitAppeal,
    Verdict,
    WithdrawVerdict,
)
from ...errors import CommandRefusedError, UnknownEntityError
from ...ledger import Ledger
from ...lifecycles.agent import AgentStatus
from ...payloads import seal
from ...ports import AppendResult, Ids, Payload

REVIEWER = "reviewer"
#: Statuses of work that was approved or waits for review.
_GOOD_SO_FAR = (AgentStatus.COMPLETED, AgentStatus.APPROVED)


class Reviewer:
    """Issues a reviewer's commands, one for each call.

    Every method returns when its command is durable. A cancelled call does not withdraw the command. With a
    `command_id`, a caller who is not sure can call again, and the command is executed once.

    Raises (all methods):
        UnknownEntityError: there is no such agent or worker.
        CommandRefusedError: the command is not legal now; the message says why.
        LogError: nothing was written, or it is not known whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, actor: str = REVIEWER) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            actor: author of the commands, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._actor = actor
        self._issuer = CommandIssuer(ledger, ids, actor)

    async def approve_work(self, agent: AgentId, review_note: str | None = None, bonus_cents: int = 0) -> AppendResult:
        """Accept an agent's work: it is to be paid, with a bonus if one is given."""
        return await self.give_verdict(agent, Verdict.APPROVED, review_note, bonus_cents)

    async def soft_reject_work(self, agent: AgentId, review_note: str | None = None) -> AppendResult:
        """Leave an agent's work out of the data, and pay it all the same."""
        return await self.give_verdict(agent, Verdict.SOFT_REJECTED, review_note)

    async def reject_work(self, agent: AgentId, review_note: str | None = None) -> AppendResult:
        """Reject an agent's work: it is not paid. The note is the reason, which the worker reads.

        Raises:
            CommandRefusedError: there is no note.
        """
        return await self.give_verdict(agent, Verdict.REJECTED, review_note)

    async def give_verdict(
        self,
        agent: AgentId,
        verdict: Verdict,
        review_note: str | None = None,
        bonus_cents: int = 0,
        *,
        adjudicates: bool = False,
        command_id: str | None = None,
    ) -> AppendResult:
        """Give any verdict on an agent's work; see `second_opinion` for work that two reviewers look at."""
        run = self.run_of(agent)
        if verdict is Verdict.REJECTED and not (review_note or "").strip():
            raise CommandRefusedError(f"agent-{agent} is not rejected: {NOTE_IS_MISSING}")
        note = self._sealed(run, agent, review_note)
        command = ReviewWork(
            task_run=run,
            agent=agent,
            verdict=verdict,
            note=None if note is None else note.ref,
            bonus_cents=bonus_cents,
            reviewer=self._actor,
            adjudicates=adjudicates,
            pay_payment=self._next_payment(),
            bonus_payment=self._next_payment(),
        )
        return await self._issuer.issue(command, *([] if note is None else [note]), command_id=command_id)

    async def give_opinion(
        self, agent: AgentId, verdict: Verdict, review_note: str | None = None, *, command_id: str | None = None
    ) -> AppendResult:
        """Say what verdict one would give, and leave the decision to a second reviewer."""
        run = self.run_of(agent)
        note = self._sealed(run, agent, review_note)
        command = GiveOpinion(
            task_run=run,
            agent=agent,
            verdict=verdict,
            note=None if note is None else note.ref,
            reviewer=self._actor,
        )
        return await self._issuer.issue(command, *([] if note is None else [note]), command_id=command_id)

    async def withdraw_verdict(
        self, agent: AgentId, reason: str | None = None, *, command_id: str | None = None
    ) -> AppendResult:
        """Take back the verdict on an agent's work, until something is paid for it; the work is unreviewed again."""
        run = self.run_of(agent)
        sealed = self._sealed(run, agent, reason)
        command = WithdrawVerdict(
            task_run=run, agent=agent, reason=None if sealed is None else sealed.ref, reviewer=self._actor
        )
        async with self._ledger.payment_lock:  # what is about to be paid is not taken back
            return await self._issuer.issue(command, *([] if sealed is None else [sealed]), command_id=command_id)

    async def accept_late_work(
        self, agent: AgentId, review_note: str | None = None, *, command_id: str | None = None
    ) -> AppendResult:
        """Accept what an agent submitted after its work had ended; the unit counts if nobody else has or did it."""
        run = self.run_of(agent)
        note = self._sealed(run, agent, review_note)
        command = AcceptLateWork(
            task_run=run, agent=agent, note=None if note is None else note.ref, payment=self._next_payment()
        )
        return await self._issuer.issue(command, *([] if note is None else [note]), command_id=command_id)

    async def appeal(self, agent: AgentId, objection: str, *, command_id: str | None = None) -> AppendResult:
        """Object to the rejection of an agent's work, in the worker's name; possible once."""
        sealed = self._sealed_for(agent, objection)
        command = SubmitAppeal(task_run=self.run_of(agent), agent=agent, objection=sealed.ref)
        return await self._issuer.issue(command, sealed, command_id=command_id)

    async def dismiss_appeal(self, agent: AgentId, answer: str, *, command_id: str | None = None) -> AppendResult:
        """Let a rejection stand although the worker objected; `approve_work` accepts the objection.

        Args:
            agent: the agent.
            answer: the reason, for the worker.
            command_id: as for all methods.
        """
        sealed = self._sealed_for(agent, answer)
        command = DismissAppeal(task_run=self.run_of(agent), agent=agent, answer=sealed.ref, reviewer=self._actor)
        return await self._issuer.issue(command, sealed, command_id=command_id)

    async def bonus_worker(
        self,
        worker: WorkerId,
        amount_cents: int,
        reason: str,
        unit: UnitId | None = None,
        *,
        command_id: str | None = None,
    ) -> AppendResult:
        """Grant a worker a bonus for a unit, before, after or without a verdict; it is paid with everything else.

        Args:
            worker: the worker.
            amount_cents: the amount.
            reason: why. It stays in the log until the worker is erased.
            unit: a unit that the worker has had. Unless given, the latest that was approved or waits for review; if
                there is none, the latest.
            command_id: names this bonus, so that a caller who is not sure can call again and grants it once. Without
                it, each call grants another one.
        """
        stream = self._stream_of_work(worker, unit)
        agent = self._ledger.state.agents[stream].agent
        sealed: Payload = seal(reason.encode(), self._ids.salt(), worker)
        command = GrantBonus(
            task_run=run_of(stream),
            agent=agent,
            bonus_cents=amount_cents,
            reason=sealed.ref,
            payment=self._next_payment(),
        )
        return await self._issuer.issue(command, sealed, command_id=command_id)

    async def settle_payment(
        self,
        payment: PaymentId,
        *,
        is_paid: bool,
        at_site: bool | None = None,
        reason: str | None = None,
        corrects: bool = False,
        command_id: str | None = None,
    ) -> AppendResult:
        """Decide about a payment that the provider cannot tell about, or that was made by other means.

        Args:
            payment: the payment.
            is_paid: True if the worker has the money. Otherwise it may be paid again.
            at_site: True if it came through the provider, False if by other means; None: as the provider's last answer
                lets suppose, or as it was settled before.
            reason: how that is known. It stays in the log until the worker is erased.
            corrects: True if the decision may correct one that somebody has recorded before. That the worker does not
                have the money needs a reason then.
        """
        stream = self._stream_of_payment(payment)
        worker = self._ledger.state.payments[stream].worker
        sealed = None if not reason else seal(reason.encode(), self._ids.salt(), worker)
        ref = None if sealed is None else sealed.ref
        event = PaymentSettledPaid(reason=ref, at_site=at_site) if is_paid else PaymentSettledUnpaid(reason=ref)
        command = RecordPayment(task_run=run_of(stream), payment=payment, event=event, corrects=corrects)
        async with self._ledger.payment_lock:
            return await self._issuer.issue(command, *([] if sealed is None else [sealed]), command_id=command_id)

    async def grant_qualification(
        self, worker: WorkerId, qualification_name: str, value: int = 1, *, command_id: str | None = None
    ) -> AppendResult:
        """Grant a worker a qualification, or change its value."""
        command = GrantQualification(
            worker=worker,
            qualification_name=qualification_name,
            value=value,
            new_qualification=QualificationId(self._ids.next_id("qualification")),
        )
        return await self._issuer.issue(command, command_id=command_id)

    async def revoke_qualification(
        self,
        worker: WorkerId,
        qualification_name: str,
        reason: str = "revoked by a reviewer",
        *,
        command_id: str | None = None,
    ) -> AppendResult:
        """Revoke a qualification that a worker has."""
        command = RevokeQualification(worker=worker, qualification_name=qualification_name, reason=reason)
        return await self._issuer.issue(command, command_id=command_id)

    async def block_worker(self, worker: WorkerId, reason: str, *, command_id: str | None = None) -> AppendResult:
        """Give a worker no more work in any run."""
        return await self._issuer.issue(BlockWorker(worker=worker, reason=reason), command_id=command_id)

    async def unblock_worker(self, worker: WorkerId, reason: str, *, command_id: str | None = None) -> AppendResult:
        """Allow a blocked worker to work again."""
        return await self._issuer.issue(UnblockWorker(worker=worker, reason=reason), command_id=command_id)

    def _stream_of_payment(self, payment: PaymentId) -> str:
        state = self._ledger.state
        for run in state.runs:
            if state.payments.get(payment_stream(run, payment)) is not None:
                return payment_stream(run, payment)
        raise UnknownEntityError(f"payment-{payment}")

    def run_of(self, agent: AgentId) -> TaskRunId:
        """Return the run that an agent belongs to."""
        state = self._ledger.state
        for run in state.runs:
            if state.agents.get(agent_stream(run, agent)) is not None:
                return run
        raise UnknownEntityError(f"agent-{agent}")

    def _sealed(self, run: TaskRunId, agent: AgentId, note: str | None) -> Payload | None:
        """Seal a note for the worker of an agent; None if there is no note."""
        worker = self._ledger.state.agents[agent_stream(run, agent)].worker
        return seal(note.encode(), self._ids.salt(), worker) if note else None

    def _sealed_for(self, agent: AgentId, text: str) -> Payload:
        worker = self._ledger.state.agents[agent_stream(self.run_of(agent), agent)].worker
        return seal(text.encode(), self._ids.salt(), worker)

    def _stream_of_work(self, worker: WorkerId, unit: UnitId | None) -> str:
        """Return the stream of the worker's latest agent on a unit, or of the latest whose work is good so far.

        If no work was approved or waits for review, that of the latest agent of all.

        Raises:
            UnknownEntityError: there is no such worker.
            CommandRefusedError: the worker has had no such work.
        """
        state = self._ledger.state
        worker = state.workers[worker_stream(worker)].worker
        streams = [stream for stream, agent in reversed(state.agents.items()) if agent.worker == worker]
        if unit is None:
            streams.sort(key=lambda stream: state.agents[stream].status not in _GOOD_SO_FAR)
        for stream in streams:
            if unit in (None, state.agents[stream].unit):
                return stream
        raise CommandRefusedError(
            f"worker-{worker} has not worked on " + ("anything" if unit is None else f"unit-{unit}")
        )

    def _next_payment(self) -> PaymentId:
        return PaymentId(self._ids.next_id("payment"))


def rejection_note(ledger: Ledger, run: TaskRunId, agent: AgentId) -> str:
    """Return the reviewer's note on rejected work; empty: there is none, or it was erased.

    Raises:
        LogError: the log cannot be read.
    """
    for recorded in reversed(ledger.log.history(agent_stream(run, agent))):
        event = recorded.envelope.event
        if isinstance(event, AgentRejected):
            note = None if event.note is None else ledger.log.payload(event.note)
            return "" if note is None else note.decode()
    return ""
