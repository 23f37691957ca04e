"""Reviewing: verdicts on work that was handed in, and what is decided about workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ....events import streams
from ....events.ids import AgentId, PaymentId, QualificationId, TaskRunId, UnitId, WorkerId
from ...decisions.review import (
    PaymentIds,
    Verdict,
    decide_block,
    decide_bonus,
    decide_grant,
    decide_review,
    decide_revoke,
    decide_unblock,
)
from ...errors import UnknownEntityError
from ...ledger import Command, Decide, Ledger
from ...payloads import seal
from ...ports import AppendResult, Ids, Payload

REVIEWER = "reviewer"


class Reviewer:
    """Carries out what a reviewer wishes, each wish as a command of its own.

    Every method returns when the wish is durable. A cancelled call does not take the wish back.

    Raises (all methods):
        UnknownEntityError: there is no such agent or worker.
        CommandRefusedError: the wish is not legal now; the sentence says why.
        LogError: nothing was written, or nobody knows whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, actor: str = REVIEWER) -> None:
        """Take the door.

        Args:
            ledger: the door, its writer task running.
            ids: where ids and salts come from.
            actor: who the log says it was.
        """
        self._ledger = ledger
        self._ids = ids
        self._actor = actor

    async def approve_work(self, agent: AgentId, review_note: str | None = None, bonus_cents: int = 0) -> AppendResult:
        """Accept an agent's work: it is to be paid, with a bonus if one is given."""
        return await self.give_verdict(agent, Verdict.APPROVED, review_note, bonus_cents)

    async def soft_reject_work(self, agent: AgentId, review_note: str | None = None) -> AppendResult:
        """Leave an agent's work out of the data, and pay it all the same."""
        return await self.give_verdict(agent, Verdict.SOFT_REJECTED, review_note)

    async def reject_work(self, agent: AgentId, review_note: str | None = None) -> AppendResult:
        """Reject an agent's work: it is not paid."""
        return await self.give_verdict(agent, Verdict.REJECTED, review_note)

    async def give_verdict(
        self, agent: AgentId, verdict: Verdict, review_note: str | None = None, bonus_cents: int = 0
    ) -> AppendResult:
        """Say of an agent's work what a verdict says."""
        run = self.run_of(agent)
        worker = self._ledger.state.agents[streams.agent(run, agent)].worker
        notes = [seal(review_note.encode(), self._ids.salt(), worker)] if review_note else []
        note = notes[0].ref if notes else None
        decide = partial(
            decide_review,
            run=run,
            agent_id=agent,
            verdict=verdict,
            note=note,
            bonus_cents=bonus_cents,
            payment_ids=PaymentIds(*(self._next_payment() for _ in PaymentIds._fields)),
        )
        return await self._execute(decide, notes)

    async def bonus_worker(
        self,
        worker: WorkerId,
        amount_cents: int,
        reason: str,
        unit: UnitId | None = None,
        *,
        command_id: str | None = None,
    ) -> AppendResult:
        """Give a worker a bonus for a unit it has had, before, after or without a verdict; it is paid with all else.

        Args:
            worker: the worker.
            amount_cents: how much.
            reason: why. It stays in the log until the worker is forgotten.
            unit: for which work; the worker's latest, unless given.
            command_id: names this bonus, so that whoever is not sure can call again and owes it once. Without it each
                call owes another one.
        """
        sealed = seal(reason.encode(), self._ids.salt(), worker)
        decide = partial(
            decide_bonus,
            worker=worker,
            unit=unit,
            bonus_cents=amount_cents,
            reason=sealed.ref,
            payment=self._next_payment(),
        )
        return await self._execute(decide, [sealed], command_id)

    async def grant_qualification(self, worker: WorkerId, qualification_name: str, value: int = 1) -> AppendResult:
        """Give a worker a qualification, or another value of one it has."""
        new = QualificationId(self._ids.next_id("qualification"))
        return await self._execute(
            partial(decide_grant, worker=worker, name=qualification_name, value=value, new_id=new)
        )

    async def revoke_qualification(
        self, worker: WorkerId, qualification_name: str, reason: str = "revoked by a reviewer"
    ) -> AppendResult:
        """Take a qualification from a worker."""
        return await self._execute(partial(decide_revoke, worker=worker, name=qualification_name, reason=reason))

    async def block_worker(self, worker: WorkerId, reason: str) -> AppendResult:
        """Give a worker no more work in any run."""
        return await self._execute(partial(decide_block, worker=worker, reason=reason))

    async def unblock_worker(self, worker: WorkerId, reason: str) -> AppendResult:
        """Let a blocked worker work again."""
        return await self._execute(partial(decide_unblock, worker=worker, reason=reason))

    def run_of(self, agent: AgentId) -> TaskRunId:
        """The run that an agent belongs to."""
        state = self._ledger.state
        for run in state.runs:
            if state.agents.get(streams.agent(run, agent)) is not None:
                return run
        raise UnknownEntityError(f"agent-{agent}")

    def _next_payment(self) -> PaymentId:
        return PaymentId(self._ids.next_id("payment"))

    async def _execute(
        self, decide: Decide, payloads: Sequence[Payload] = (), command_id: str | None = None
    ) -> AppendResult:
        command = Command(
            command_id or self._ids.command_id(),
            self._actor,
            decide,
            payloads=tuple(payloads),
            idempotent=command_id is not None,
        )
        return await self._ledger.execute(command)
