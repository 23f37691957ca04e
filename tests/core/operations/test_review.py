"""Verdicts on work, and decisions about workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import CommandRefusedError, UnknownEntityError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.agent import AgentRecord, AgentStatus
from mephisto_es.core.lifecycles.unit import UnitState, UnitStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.operations.services.reviewer import Reviewer
from mephisto_es.core.ports import NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.agent import AgentApproved, AgentBonusGranted, AgentRejected
from mephisto_es.events.ids import AgentId, QualificationId, UnitId, WorkerId
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.events.worker import WorkerErased

from ...commands import TEST_DECISIONS, append
from ...history_search import find_history, holders

LEFT = (AgentStatus.RETURNED, AgentStatus.DISCONNECT, AgentStatus.TIMEOUT, AgentStatus.EXPIRED)
HISTORY = find_history(
    1000,
    lambda state: (
        bool(holders(state, AgentStatus.COMPLETED))
        and any(agent.status in LEFT for agent in state.agents.values())
        and any(worker.status is WorkerStatus.REGISTERED for worker in state.workers.values())
    ),
)


class StoppedClock:
    """A clock that stands still."""

    def now_us(self) -> int:
        return 1_800_000_000_000_000


@asynccontextmanager
async def reviewing() -> AsyncIterator[tuple[Reviewer, Ledger]]:
    log = MemoryLog()
    log.commit(HISTORY)
    ledger = Ledger(log, StoppedClock(), commit_in_thread, TEST_DECISIONS)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            yield Reviewer(ledger, SystemIds(ledger.state.highest_ids(), epoch=1)), ledger
            nursery.cancel_scope.cancel()


def agents(state: DecisionState, status: AgentStatus) -> list[tuple[str, AgentRecord]]:
    """Return the agents that still have their unit."""
    return [(stream, agent) for stream, agent, _ in holders(state, status)]


def unit_of(state: DecisionState, stream: str) -> UnitState:
    agent = state.agents[stream]
    return state.units[f"unit/{stream.split('/')[1]}/{agent.unit}"]


@pytest.mark.parametrize(
    ("verdict", "unit_status"),
    [
        (Verdict.APPROVED, UnitStatus.ACCEPTED),
        (Verdict.SOFT_REJECTED, UnitStatus.SOFT_REJECTED),
        (Verdict.REJECTED, UnitStatus.REJECTED),
    ],
)
async def test_agent_and_unit_change_together(verdict: Verdict, unit_status: UnitStatus) -> None:
    async with reviewing() as (reviewer, ledger):
        stream, agent = agents(ledger.state, AgentStatus.COMPLETED)[0]
        receipt = await reviewer.give_verdict(agent.agent, verdict, "a note")
        changed = [recorded.envelope.stream for recorded in receipt.events]
        assert changed[:2] == [stream, f"unit/{stream.split('/')[1]}/{agent.unit}"]
        assert {recorded.envelope.actor for recorded in receipt.events} == {"reviewer"}
        assert len({recorded.envelope.command for recorded in receipt.events}) == 1
        assert ledger.state.agents[stream].status.value == verdict.value
        assert unit_of(ledger.state, stream).status is unit_status


async def test_a_bonus_and_a_note_go_with_approved_work() -> None:
    async with reviewing() as (reviewer, ledger):
        _, agent = agents(ledger.state, AgentStatus.COMPLETED)[0]
        receipt = await reviewer.approve_work(agent.agent, "well done", bonus_cents=150)
        approved = receipt.events[0].envelope.event
        assert isinstance(approved, AgentApproved)
        assert approved.bonus_cents == 150
        assert approved.note is not None
        assert ledger.log.payload(approved.note) == b"well done"


async def test_a_note_is_forgotten_with_its_worker() -> None:
    async with reviewing() as (reviewer, ledger):
        _, agent = agents(ledger.state, AgentStatus.COMPLETED)[0]
        receipt = await reviewer.reject_work(agent.agent, "copied from a neighbour")
        rejected = receipt.events[0].envelope.event
        assert isinstance(rejected, AgentRejected)
        assert rejected.note is not None
        assert ledger.log.payload(rejected.note) == b"copied from a neighbour"
        forgotten = NewEvent(f"worker/{agent.worker}", WorkerErased(reason="asked to"))
        await ledger.execute(append("erase", forgotten))
        assert ledger.log.payload(rejected.note) is None


async def test_a_rejection_may_be_corrected_and_an_approval_may_not() -> None:
    async with reviewing() as (reviewer, ledger):
        _, agent = agents(ledger.state, AgentStatus.COMPLETED)[0]
        await reviewer.reject_work(agent.agent, "copied")
        await reviewer.approve_work(agent.agent, "on second thoughts")
        before = ledger.log.head()
        with pytest.raises(CommandRefusedError, match="approved work stays approved"):
            await reviewer.soft_reject_work(agent.agent)
        assert ledger.log.head() == before


async def test_of_two_reviewers_one_is_first() -> None:
    async with reviewing() as (reviewer, ledger):
        stream, agent = agents(ledger.state, AgentStatus.COMPLETED)[0]
        refused: list[str] = []

        async def say(verdict: Verdict) -> None:
            try:
                await reviewer.give_verdict(agent.agent, verdict)
            except CommandRefusedError as error:
                refused.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, Verdict.APPROVED)
            nursery.start_soon(say, Verdict.APPROVED)
        assert len(refused) == 1
        assert ledger.state.agents[stream].status is AgentStatus.APPROVED


async def test_what_makes_no_sense_is_refused() -> None:
    async with reviewing() as (reviewer, ledger):
        _, done = agents(ledger.state, AgentStatus.COMPLETED)[0]
        for verdict, bonus in ((Verdict.REJECTED, 5), (Verdict.APPROVED, -1)):
            with pytest.raises(CommandRefusedError, match="does not go with work that is"):
                await reviewer.give_verdict(done.agent, verdict, "a note", bonus)
        for missing in (None, "", " "):
            with pytest.raises(CommandRefusedError, match="a rejection needs a note with its reason"):
                await reviewer.reject_work(done.agent, missing)
        with pytest.raises(UnknownEntityError, match="there is no agent-99999"):
            await reviewer.approve_work(AgentId(99999))
        gone = next(one for one in ledger.state.agents.values() if one.status in LEFT)
        with pytest.raises(CommandRefusedError, match=r"any more: there is nothing to review|without submitting"):
            await reviewer.approve_work(gone.agent)


async def test_a_bonus_is_owed_before_and_after_a_verdict_and_for_work_that_was_lost() -> None:
    async with reviewing() as (reviewer, ledger):
        stream, done = agents(ledger.state, AgentStatus.COMPLETED)[0]
        lost_stream, lost = next((key, one) for key, one in ledger.state.agents.items() if one.status in LEFT)
        before = await reviewer.bonus_worker(done.worker, 20, "was quick", done.unit)
        await reviewer.reject_work(done.agent, "copied")
        after = await reviewer.bonus_worker(done.worker, 30, "tried hard", done.unit)
        compensation = await reviewer.bonus_worker(lost.worker, 40, "our server was down", lost.unit)
        for receipt, of, agent, cents in (
            (before, stream, done, 20),
            (after, stream, done, 30),
            (compensation, lost_stream, lost, 40),
        ):
            granted, owed = (recorded.envelope for recorded in receipt.events)
            assert granted.stream == of
            assert isinstance(granted.event, AgentBonusGranted)
            assert granted.event.bonus_cents == cents
            assert isinstance(owed.event, PaymentOwed)
            assert (owed.event.agent, owed.event.unit, owed.event.worker) == (agent.agent, agent.unit, agent.worker)
            assert (owed.event.amount_cents, owed.event.purpose) == (cents, "bonus")
        assert ledger.state.agents[stream].status is AgentStatus.REJECTED
        assert ledger.state.agents[lost_stream].status is lost.status


async def test_without_a_unit_a_bonus_is_for_the_latest_work_that_was_not_rejected() -> None:
    async with reviewing() as (reviewer, ledger):
        worker = agents(ledger.state, AgentStatus.COMPLETED)[0][1].worker
        theirs = {stream: one.agent for stream, one in ledger.state.agents.items() if one.worker == worker}

        def good() -> list[str]:
            wanted = (AgentStatus.COMPLETED, AgentStatus.APPROVED)
            return [stream for stream in theirs if ledger.state.agents[stream].status in wanted]

        while streams := good():
            receipt = await reviewer.bonus_worker(worker, 5, "was kind")
            assert receipt.events[0].envelope.stream == streams[-1]
            if ledger.state.agents[streams[-1]].status is AgentStatus.APPROVED:
                await reviewer.withdraw_verdict(theirs[streams[-1]])
            await reviewer.reject_work(theirs[streams[-1]], "copied")
        receipt = await reviewer.bonus_worker(worker, 5, "was kind")
        assert receipt.events[0].envelope.stream == list(theirs)[-1]


async def test_a_bonus_that_has_a_name_is_owed_once() -> None:
    async with reviewing() as (reviewer, ledger):
        worker = agents(ledger.state, AgentStatus.COMPLETED)[0][1].worker
        payments = len(ledger.state.payments)
        for _ in range(2):
            await reviewer.bonus_worker(worker, 5, "was kind", command_id="for being kind")
        assert len(ledger.state.payments) == payments + 1
        for _ in range(2):
            await reviewer.bonus_worker(worker, 5, "was kind")
        assert len(ledger.state.payments) == payments + 3


async def test_the_reason_of_a_bonus_is_forgotten_with_its_worker() -> None:
    async with reviewing() as (reviewer, ledger):
        worker = agents(ledger.state, AgentStatus.COMPLETED)[0][1].worker
        granted = (await reviewer.bonus_worker(worker, 5, "her birthday")).events[0].envelope.event
        assert isinstance(granted, AgentBonusGranted)
        assert ledger.log.payload(granted.reason) == b"her birthday"
        forgotten = NewEvent(f"worker/{worker}", WorkerErased(reason="asked to"))
        await ledger.execute(append("erase", forgotten))
        assert ledger.log.payload(granted.reason) is None


async def test_a_bonus_for_nothing_is_refused() -> None:
    async with reviewing() as (reviewer, ledger):
        _, done = agents(ledger.state, AgentStatus.COMPLETED)[0]
        of_unit = {one.worker for one in ledger.state.agents.values() if one.unit == done.unit}
        other = next(one for one in ledger.state.workers.values() if one.worker not in of_unit)
        head = ledger.log.head()
        for cents in (0, -5):
            with pytest.raises(CommandRefusedError, match=f"{cents} cents are no bonus"):
                await reviewer.bonus_worker(done.worker, cents, "nothing")
        with pytest.raises(CommandRefusedError, match=f"worker-{done.worker} has not worked on unit-99999"):
            await reviewer.bonus_worker(done.worker, 5, "what for", UnitId(99999))
        with pytest.raises(CommandRefusedError, match=f"worker-{other.worker} has not worked on unit-{done.unit}"):
            await reviewer.bonus_worker(other.worker, 5, "somebody else's", done.unit)
        with pytest.raises(UnknownEntityError, match="there is no worker-99999"):
            await reviewer.bonus_worker(WorkerId(99999), 5, "who")
        assert ledger.log.head() == head


async def test_qualifications_are_granted_changed_and_revoked() -> None:
    async with reviewing() as (reviewer, ledger):
        state = ledger.state
        worker = next(one.worker for one in state.workers.values() if one.status is WorkerStatus.REGISTERED)

        def held() -> dict[QualificationId, int]:
            return state.workers[f"worker/{worker}"].qualifications

        await reviewer.grant_qualification(worker, "careful")
        number = state.qualifications_by_name["careful"]
        assert held()[number] == 1
        assert (await reviewer.grant_qualification(worker, "careful")).events == ()
        await reviewer.grant_qualification(worker, "careful", 5)
        assert held()[number] == 5
        await reviewer.revoke_qualification(worker, "careful")
        assert number not in held()
        with pytest.raises(CommandRefusedError, match="does not have the qualification 'careful'"):
            await reviewer.revoke_qualification(worker, "careful")
        with pytest.raises(CommandRefusedError, match="does not have the qualification 'unheard of'"):
            await reviewer.revoke_qualification(worker, "unheard of")


async def test_a_worker_is_blocked_and_unblocked() -> None:
    async with reviewing() as (reviewer, ledger):
        worker = next(one.worker for one in ledger.state.workers.values() if one.status is WorkerStatus.REGISTERED)
        await reviewer.block_worker(worker, "answers at random")
        assert ledger.state.workers[f"worker/{worker}"].status is WorkerStatus.BLOCKED
        assert (await reviewer.block_worker(worker, "once more")).events == ()
        await reviewer.unblock_worker(worker, "it was somebody else")
        assert ledger.state.workers[f"worker/{worker}"].status is WorkerStatus.REGISTERED
        with pytest.raises(UnknownEntityError):
            await reviewer.block_worker(WorkerId(99999), "nobody")
