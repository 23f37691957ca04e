"""Pays what is owed, so that a crash or a lost answer at any moment pays nobody twice and forgets nobody.

A request is recorded before the provider is asked, and its answer after. What was left between the two, or answered
unclearly, is in doubt: how it continues is decided by the settlement rule of the provider, from the payment's history.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple

import trio

from ....events import streams
from ....events.ids import PaymentId, TaskRunId, WorkerId
from ....events.payment import (
    Answer,
    PaymentConfirmed,
    PaymentEvent,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentRequested,
    PaymentSent,
    Sighting,
)
from ...abstractions.crowd.effects import SendResult
from ...abstractions.crowd.payments import Payer, PaymentEffect, PaymentOrder, PaymentRefusedError, payment_effect
from ...command_issuer import CommandIssuer
from ...commands.review import RecordPayment
from ...decisions.payment_attempts import PaymentAttempts, attempts_of
from ...decisions.settlement import (
    SENDING_STEPS,
    Attempts,
    BySendingAgain,
    NextStep,
    Settlement,
    answer_after,
    next_step,
)
from ...errors import leaves
from ...ledger import Ledger
from ...lifecycles.payment import BONUS, DOUBTFUL_STATUSES, UNPAID_STATUSES, PaymentState, PaymentStatus
from ...payloads import name_of_worker, pseudonym
from ...ports import Ids
from .provider_places import place_of_agent

ACTOR = "paymaster"
#: Most steps with one payment in one call: enough to request it and to look for it.
MAX_STEPS = 6
#: Statuses in which nothing was requested that could still be paid.
_NOT_REQUESTED = frozenset({PaymentStatus.OWED, PaymentStatus.FAILED})


class _Case(NamedTuple):
    """A payment that is being paid."""

    run: TaskRunId
    payment: PaymentId

    @property
    def stream(self) -> str:
        """The stream of the payment."""
        return streams.payment(self.run, self.payment)


class Paymaster:
    """Pays what the log says is owed."""

    def __init__(
        self, ledger: Ledger, ids: Ids, provider: Payer, actor: str = ACTOR, payments_at_a_time: int = 1
    ) -> None:
        """Initialize.

        Args:
            ledger: records what happens; its writer task is running.
            ids: source of command ids.
            provider: the payer.
            actor: author of the payments, as the log records it.
            payments_at_a_time: workers whose payments are made at a time, if the provider allows that.
        """
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids, actor)
        self._provider = provider
        self._at_a_time = payments_at_a_time

    async def pay_owed(self, run: TaskRunId, only: Collection[PaymentId] | None = None) -> int:
        """Pay everything in a run that is not paid: one payment after the other, or those of several workers at a time.

        A payment is requested at most once in a call. One that is in doubt is looked for first; if the provider cannot
        tell, it stays in doubt until a person decides. Where only the provider's books tell whether a bonus was paid,
        bonuses for the same work are paid one after the other.

        Cancelled, or ended by an error of the provider's code, it leaves the payments it was at in doubt.

        Args:
            run: the run.
            only: leave out all but these; None: pay everything.

        Returns:
            The number of orders that the provider took, now or earlier without our knowing.

        Raises:
            LogError: nothing could be recorded; the provider was not asked for that payment.
        """
        async with self._ledger.payment_lock:
            unpaid = [one for one in self._of(run, *UNPAID_STATUSES) if only is None or one.payment in only]
            return await self._count(run, unpaid, self._pay)

    async def confirm_sent(self, run: TaskRunId) -> int:
        """Look for the orders that the provider took in a run.

        Returns:
            The number of payments that have arrived since the last call.

        Raises:
            LogError: nothing could be recorded.
        """
        async with self._ledger.payment_lock:
            return await self._count(run, self._of(run, PaymentStatus.SENT), self._confirm)

    async def _count(
        self, run: TaskRunId, payments: Sequence[PaymentState], act: Callable[[_Case], Awaitable[bool]]
    ) -> int:
        """Act on payments, on those of one worker one after the other; return how often it was successful."""
        by_worker: defaultdict[WorkerId, list[_Case]] = defaultdict(list)
        for payment in payments:
            by_worker[payment.worker].append(_Case(run, payment.payment))
        waiting, successes = deque(by_worker.values()), 0

        async def act_on_waiting() -> None:
            nonlocal successes
            while waiting:
                for case in waiting.popleft():
                    was_successful = await act(case)
                    # Not in one statement, which would read the number before it waits.
                    successes += was_successful

        try:
            async with trio.open_nursery() as nursery:
                for _ in range(min(len(by_worker), self._at_a_time)):
                    nursery.start_soon(act_on_waiting)
        except BaseExceptionGroup as group:
            error = next(leaves(group))
            raise error from error.__cause__
        return successes

    async def _confirm(self, case: _Case) -> bool:
        try:
            effect = payment_effect(self._provider, self._order(case, self._attempts(case)))
            has_arrived = await effect.look() is Sighting.THERE
        except PaymentRefusedError as error:
            await self._record(case, PaymentFailed(reason=str(error)))
            return False
        if has_arrived:
            await self._record(case, PaymentConfirmed())
        return has_arrived

    async def _pay(self, case: _Case) -> bool:
        """Take steps with a payment until it is settled or has to wait; return True if the provider took it."""
        if self._state(case).status is PaymentStatus.REQUESTED:
            await self._record(case, PaymentInDoubt(answer=Answer.UNKNOWN))
        try:
            effect = payment_effect(self._provider, self._order(case, self._attempts(case)))
        except PaymentRefusedError as error:
            await self._fail(case, str(error))
            return False
        was_requested = False
        for _ in range(MAX_STEPS):
            known = self._attempts(case)
            attempts = Attempts() if self._state(case).status in _NOT_REQUESTED else known.attempts
            step = next_step(effect.settlement, attempts, self._now())
            if step in SENDING_STEPS:
                if was_requested or self._is_obscured(case, effect.settlement):
                    return False
                was_requested = True
                if await self._request(case, effect, step, known, attempts):
                    return True
                if self._state(case).status is PaymentStatus.FAILED:
                    return False
            elif step is NextStep.LOOK:
                if not await self._look(case, effect):
                    return False
            else:
                return await self._end(case, step, effect.settlement)
        return False

    async def _request(
        self, case: _Case, effect: PaymentEffect, step: NextStep, known: PaymentAttempts, attempts: Attempts
    ) -> bool:
        """Request a payment and record the answer; return True if the provider took it."""
        if self._state(case).status in _NOT_REQUESTED:
            intended = PaymentIntended(token=self._token(case))
            if isinstance(effect.settlement, BySendingAgain):
                # There is nothing to set up: it is durable with the request, before the provider is asked.
                await self._decide(case, intended)
            else:
                await self._record(case, intended)
        setup = known.setup if attempts.answer is not Answer.NOT_SENT else None
        if attempts.answer is Answer.NOT_SENT:
            try:
                setup = await effect.set_up()
            except PaymentRefusedError as error:
                await self._record(case, PaymentFailed(reason=str(error)))
                return False
        is_repeatable = isinstance(effect.settlement, BySendingAgain)
        token = self._next_token(case, step, known.tokens, is_repeatable=is_repeatable)
        await self._record(
            case,
            PaymentRequested(token=token, setup=setup, is_repeatable=is_repeatable or step is NextStep.SEND_SAME_TOKEN),
        )
        result = await effect.send(token)
        answer = answer_after(step, attempts, result.answer)
        await self._record(case, self._answered(effect, token, result._replace(answer=answer)))
        return answer is Answer.DONE

    def _answered(self, effect: PaymentEffect, token: str, result: SendResult) -> PaymentEvent:
        """Return what an answer makes of a payment."""
        if result.answer is Answer.DONE:
            return PaymentSent(reference=result.reference or token)
        if result.answer is Answer.NOT_SENT or (result.answer is Answer.REFUSED and result.is_final):
            return PaymentFailed(reason=result.reason or "the provider could not be reached")
        at = self._now()
        attempts = Attempts(answer=result.answer, token_since=at, sent_at=at)
        if next_step(effect.settlement, attempts, at) is NextStep.FAILED:
            return PaymentFailed(reason=result.reason or "the provider refused")
        return PaymentInDoubt(answer=result.answer, reason=result.reason)

    async def _look(self, case: _Case, effect: PaymentEffect) -> bool:
        """Look for a payment in doubt; return False if the provider could not be asked."""
        try:
            sighting = await effect.look()
        except PaymentRefusedError as error:
            await self._record(case, PaymentFailed(reason=str(error)))
            return False
        if sighting is not None:
            await self._record(case, PaymentLooked(sighting=sighting))
        return sighting is not None

    async def _end(self, case: _Case, step: NextStep, settlement: Settlement) -> bool:
        """Record the end of a payment that is settled; leave one that waits for time or a person."""
        if step is NextStep.SETTLED:
            await self._record(case, PaymentConfirmed())
            return True
        if step is NextStep.FAILED:
            reason = self._words_of(case) or f"the provider does not pay it ({type(settlement).__name__})"
            await self._fail(case, reason)
        return False

    def _words_of(self, case: _Case) -> str:
        """Return the provider's words about the last request for a payment; empty: it gave none."""
        events = (one.envelope.event for one in reversed(self._ledger.log.history(case.stream)))
        return next((event.reason for event in events if isinstance(event, PaymentInDoubt)), "")

    async def _fail(self, case: _Case, reason: str) -> None:
        if self._state(case).status in _NOT_REQUESTED:
            await self._record(case, PaymentIntended(token=self._token(case)))
        await self._record(case, PaymentFailed(reason=reason))

    def _is_obscured(self, case: _Case, settlement: Settlement) -> bool:
        """Return True if another bonus for the same work is on its way: the site's books could not tell the two."""
        if isinstance(settlement, BySendingAgain):
            return False
        mine = self._state(case)
        return mine.purpose == BONUS and any(
            other.agent == mine.agent and other.purpose == BONUS and other.payment != mine.payment
            for other in self._of(case.run, *DOUBTFUL_STATUSES, PaymentStatus.SENT)
        )

    def _order(self, case: _Case, known: PaymentAttempts) -> PaymentOrder:
        state = self._state(case)
        earlier = sum(
            other.amount_cents
            for other in self._of(case.run, PaymentStatus.SENT, PaymentStatus.CONFIRMED)
            if other.agent == state.agent and other.purpose == BONUS and other.payment != state.payment
        )
        place = place_of_agent(self._ledger, case.run, state.agent)
        return PaymentOrder(
            token=known.tokens[-1] if known.tokens else self._token(case),
            worker=state.worker,
            worker_name=name_of_worker(self._ledger.log, state.worker),
            amount_cents=state.amount_cents,
            purpose=state.purpose,
            task_run=case.run,
            payment=case.payment,
            agent=state.agent,
            unit=state.unit,
            handle=None if place is None else place.handle,
            study=None if place is None else place.study,
            setup=known.setup,
            reference=state.reference,
            earlier_bonus_cents=earlier,
        )

    def _attempts(self, case: _Case) -> PaymentAttempts:
        return attempts_of(self._ledger.log.history(case.stream))

    def _state(self, case: _Case) -> PaymentState:
        return self._ledger.state.payments[case.stream]

    def _of(self, run: TaskRunId, *statuses: PaymentStatus) -> Sequence[PaymentState]:
        return [
            payment
            for stream, payment in self._ledger.state.payments.items()
            if payment.status in statuses and streams.run_of(stream) == run
        ]

    def _next_token(self, case: _Case, step: NextStep, tokens: Sequence[str], *, is_repeatable: bool) -> str:
        if is_repeatable:
            return self._token(case)
        return tokens[-1] if step is NextStep.SEND_SAME_TOKEN else self._token(case, len(tokens))

    def _token(self, case: _Case, number: int = 0) -> str:
        """Return a token of a payment, derived from this log's secret, so that no other payment has it."""
        text = f"{case.stream}#{number}" if number else case.stream
        return pseudonym(self._ledger.log.pseudonym_key, "payment", text)

    def _now(self) -> float:
        return self._ledger.now_us() / 1_000_000

    async def _record(self, case: _Case, event: PaymentEvent) -> None:
        await self._issuer.issue(RecordPayment(task_run=case.run, payment=case.payment, event=event))

    async def _decide(self, case: _Case, event: PaymentEvent) -> None:
        await self._issuer.issue_decided(RecordPayment(task_run=case.run, payment=case.payment, event=event))
