"""The single door: order, durability before any answer, idempotence, and what happens when the log fails."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.commands.base import CommandRequest, RunCommand
from mephisto_es.core.commands.pending import BATCH_LIMIT, AnyRequest
from mephisto_es.core.decisions.registry import decision
from mephisto_es.core.errors import (
    CommandRefusedError,
    IllegalStepError,
    LogError,
    OutcomeUnknownError,
    StaleCommandError,
)
from mephisto_es.core.ledger import QUEUE_LIMIT, Ledger
from mephisto_es.core.ports import AppendRequest, AppendResult, Expect, NewEvent, Outcome, Turn
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.unit import UnitAssigned, UnitCreated, UnitLaunched

from ..commands import TEST_DECISIONS, append

RUN = TaskRunId(1)


class StoppedClock:
    """A clock that stands."""

    def now_us(self) -> int:
        return 1_700_000_000_000_000


class GatedLog(MemoryLog):
    """A log whose commits wait until they are let through, or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.failure: LogError | None = None
        self.batches: list[int] = []

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        self.gate.wait(120)
        if self.failure is not None:
            raise self.failure
        self.batches.append(len(batch))
        return super().commit(batch)


class UntidyLog(GatedLog):
    """A log that has work to do after each commit, and notes what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        outcomes = super().commit(batch)
        self.steps.append("commit")
        return outcomes

    @property
    def has_upkeep(self) -> bool:
        return self.steps[-1:] == ["commit"]

    def do_upkeep(self) -> None:
        self.steps.append("upkeep")


class StepCounter(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, _: trio.lowlevel.Task) -> None:
        self.count += 1


@asynccontextmanager
async def running(log: MemoryLog) -> AsyncIterator[Ledger]:
    ledger = Ledger(log, StoppedClock(), commit_in_thread, DECISIONS_HERE)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            yield ledger
            nursery.cancel_scope.cancel()


def unit(number: int) -> str:
    return streams.unit(RUN, UnitId(number))


def create(number: int, idempotent: bool = False) -> AnyRequest:
    event = UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=5)
    return append(f"create-{number}", NewEvent(unit(number), event), idempotent=idempotent)


def launch(number: int, command: str = "launch") -> AnyRequest:
    return append(f"{command}-{number}", NewEvent(unit(number), UnitLaunched()))


class FailOnPurpose(RunCommand, frozen=True, kw_only=True, tag="fail_on_purpose"):
    """A command whose decision has a bug."""


class CountUnits(RunCommand, frozen=True, kw_only=True, tag="count_units"):
    """A command whose decision only looks."""


COUNTS: list[int] = []


def decide_fail_on_purpose(_: DecisionState, __: FailOnPurpose) -> list[NewEvent]:
    raise ZeroDivisionError


def decide_count_units(state: DecisionState, _: CountUnits) -> list[NewEvent]:
    COUNTS.append(len(state.units))
    return []


DECISIONS_HERE = {
    **TEST_DECISIONS,
    **dict([decision(FailOnPurpose, decide_fail_on_purpose), decision(CountUnits, decide_count_units)]),
}


async def test_a_command_is_durable_when_execute_returns() -> None:
    log = MemoryLog()
    async with running(log) as ledger:
        receipt = await ledger.execute(create(1))
        assert [recorded.seq for recorded in receipt.events] == [1]
        assert [recorded.envelope.command for recorded in log.read()] == ["create-1"]


async def test_nobody_is_told_before_commit_has_returned() -> None:
    log = GatedLog()
    told: list[str] = []

    async def ask(ledger: Ledger, request: AnyRequest) -> None:
        try:
            await ledger.execute(request)
            told.append(request.id)
        except CommandRefusedError:
            told.append(f"no to {request.id}")

    async with running(log) as ledger, trio.open_nursery() as callers:
        callers.start_soon(ask, ledger, create(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        # Decided while the first is being committed: a yes, a no that rests on it, and one with nothing to do.
        ledger.subscribe(lambda events: told.append(f"durable {events[0].envelope.command}"))
        second = ledger.submit(launch(1))
        refused = ledger.submit(launch(1, "again"))
        nothing = ledger.submit(append("nothing"))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == []
        log.gate.set()
        await second.wait()
        with pytest.raises(IllegalStepError):
            await refused.wait()
        assert await nothing.wait() == AppendResult(())
    assert told[:1] == ["durable create-1"]
    assert "create-1" in told


async def test_what_waits_while_a_commit_is_under_way_is_the_next_commit() -> None:
    log = GatedLog()
    async with running(log) as ledger:
        pending = [ledger.submit(create(1))]
        await trio.testing.wait_all_tasks_blocked(0.01)
        pending += [ledger.submit(create(number)) for number in range(2, BATCH_LIMIT + 12)]
        log.gate.set()
        for one in pending:
            await one.wait()
    assert log.batches == [1, BATCH_LIMIT, 10]


async def test_the_log_does_what_it_has_put_off_while_nobody_waits() -> None:
    log = UntidyLog()
    async with running(log) as ledger:
        first = ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        second = ledger.submit(create(2))
        log.gate.set()
        await first.wait()
        await second.wait()
        await ledger.execute(create(3))
    assert log.steps[:4] == ["commit", "commit", "upkeep", "commit"]


async def test_a_decision_sees_what_the_commands_before_it_decided() -> None:
    log = MemoryLog()
    COUNTS.clear()
    async with running(log) as ledger:
        ledger.submit(create(1))
        ledger.submit(create(2))
        await ledger.execute(CommandRequest("count", "tester", CountUnits(task_run=RUN)))
    assert COUNTS == [2]


async def test_two_who_want_the_same_unit_cannot_both_have_it() -> None:
    def take(agent: int) -> AnyRequest:
        event = UnitAssigned(agent=AgentId(agent), worker=WorkerId(agent))
        return append(f"take-{agent}", NewEvent(unit(1), event))

    outcomes: list[bool] = []

    async def try_to(ledger: Ledger, agent: int) -> None:
        try:
            await ledger.execute(take(agent))
            outcomes.append(True)
        except IllegalStepError:
            outcomes.append(False)

    async with running(MemoryLog()) as ledger:
        await ledger.execute(create(1))
        await ledger.execute(launch(1))
        async with trio.open_nursery() as nursery:
            for agent in range(20):
                nursery.start_soon(try_to, ledger, agent)
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_a_command_that_follows_a_decided_one_is_in_the_same_commit() -> None:
    log = GatedLog()
    log.gate.set()
    async with running(log) as ledger:
        first = await ledger.submit_decided(create(1))
        assert unit(1) in ledger.state.versions
        await ledger.execute(launch(1))
        assert [recorded.envelope.command for recorded in (await first.wait()).events] == ["create-1"]
    assert log.batches == [2]


async def test_nothing_is_decided_while_a_commit_is_under_way() -> None:
    """Subscribers find exactly the batch they are notified of in the state."""
    log = GatedLog()
    versions: list[int] = []
    async with running(log) as ledger:
        ledger.subscribe(lambda _: versions.append(len(ledger.state.versions)))
        ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.submit_decided, create(2))
            nursery.start_soon(ledger.submit_decided, create(3))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert unit(2) not in ledger.state.versions
            log.gate.set()
        await ledger.execute(create(4))
    assert versions[0] == 1


async def test_those_who_wait_for_a_decision_do_not_wake_each_other_while_the_log_is_asked() -> None:
    asked, answered, steps = threading.Event(), threading.Event(), StepCounter()

    class SlowToAnswer(MemoryLog):
        def begin(self, *args: Sequence[str]) -> Turn:
            asked.set()
            answered.wait(120)
            return super().begin(*args)

    async with running(SlowToAnswer()) as ledger, trio.open_nursery() as nursery:
        ledger.submit(create(1, idempotent=True))
        await trio.to_thread.run_sync(asked.wait, 120)
        for number in (2, 3):
            nursery.start_soon(ledger.submit_decided, create(number))
        trio.lowlevel.add_instrument(steps)
        # A turn of nothing but waiting; in a circle it would be thousands of steps.
        await trio.sleep(0.1)
        trio.lowlevel.remove_instrument(steps)
        answered.set()
    assert steps.count < 100


async def test_what_the_market_says_of_a_stream_may_be_told_once_it_is_durable() -> None:
    log = GatedLog()
    told: list[str] = []

    async def tell(ledger: Ledger, number: int) -> None:
        await ledger.wait_durable(unit(number))
        told.append(f"unit {number}, at seq {ledger.log.head().seq}")

    async with running(log) as ledger:
        ledger.call_when_durable(lambda: told.append("nothing is under way"))
        ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert unit(1) in ledger.state.versions
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell, ledger, 1)
            nursery.start_soon(tell, ledger, 2)
            ledger.call_when_durable(lambda: told.append(f"everything, at seq {ledger.log.head().seq}"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert told == ["nothing is under way", "unit 2, at seq 0"]
            log.gate.set()
    assert told[2:] == ["everything, at seq 1", "unit 1, at seq 1"]


async def test_what_is_durable_is_so_when_the_wait_returns_whatever_was_decided_meanwhile() -> None:
    log = GatedLog()
    seen: list[tuple[str, int]] = []

    async def look(ledger: Ledger) -> None:
        await ledger.wait_durable(unit(1))
        seen.append((ledger.state.units[unit(1)].status.value, log.head().seq))

    async with running(log) as ledger, trio.open_nursery() as nursery:
        ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(look, ledger)
        ledger.submit(launch(1))
        await trio.testing.wait_all_tasks_blocked()
        log.gate.set()
    assert seen == [("launched", 2)]


async def test_what_was_submitted_before_is_there_when_the_wait_returns() -> None:
    log = GatedLog()
    seen: list[str] = []

    async def look(ledger: Ledger) -> None:
        await ledger.wait_durable(unit(2))
        seen.extend(f"{stream} at seq {log.head().seq}" for stream in ledger.state.units)

    async with running(log) as ledger, trio.open_nursery() as nursery:
        ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked()
        # Decided only when the commit under way has returned.
        ledger.submit(create(2))
        nursery.start_soon(look, ledger)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        log.gate.set()
    assert seen == [f"{unit(number)} at seq 2" for number in (1, 2)]


async def hears_of_a_failed_commit(ask: Callable[[Ledger], Awaitable[object]]) -> bool:
    """Return whether a caller during a commit is notified if the commit fails."""
    log = GatedLog()
    log.failure = LogError("the disk is full")
    heard: list[LogError] = []

    async def asking(ledger: Ledger) -> None:
        try:
            await ask(ledger)
        except LogError as error:
            heard.append(error)

    with trio.fail_after(120), pytest.RaisesGroup(LogError, flatten_subgroups=True):
        async with trio.open_nursery() as callers:
            ledger = Ledger(log, StoppedClock(), commit_in_thread, DECISIONS_HERE)
            async with trio.open_nursery() as writer:
                await writer.start(ledger.run)
                ledger.submit(create(1))
                await trio.testing.wait_all_tasks_blocked(0.01)
                callers.start_soon(asking, ledger)
                ledger.call_when_durable(lambda: pytest.fail("it is not durable"))
                await trio.testing.wait_all_tasks_blocked(0.01)
                log.gate.set()
    return heard == [log.failure]


async def test_who_waits_for_durability_hears_that_it_will_not_come() -> None:
    assert await hears_of_a_failed_commit(lambda ledger: ledger.wait_durable(unit(1)))

    async def wait_for_a_command_that_waits(ledger: Ledger) -> None:
        ledger.submit(create(2))
        await ledger.wait_durable(unit(2))

    assert await hears_of_a_failed_commit(wait_for_a_command_that_waits)


async def test_a_decision_waits_for_room_in_the_next_commit() -> None:
    log = GatedLog()
    log.gate.set()
    async with running(log) as ledger:
        for number in range(1, BATCH_LIMIT + 1):
            ledger.submit(create(number))
        await ledger.submit_decided(create(BATCH_LIMIT + 1))
        await ledger.execute(launch(BATCH_LIMIT + 1))
    assert log.batches == [BATCH_LIMIT, 1, 1]


async def test_who_waits_for_a_decision_hears_that_the_writer_has_stopped() -> None:
    assert await hears_of_a_failed_commit(lambda ledger: ledger.submit_decided(create(2)))


async def test_a_repeated_command_gets_its_first_answer() -> None:
    log = MemoryLog()
    async with running(log) as ledger:
        first = await ledger.execute(create(1, idempotent=True))
        again = await ledger.execute(create(1, idempotent=True))
    assert again == AppendResult(first.events, repeated=True)
    async with running(log) as ledger:
        assert await ledger.execute(create(1, idempotent=True)) == AppendResult(first.events, repeated=True)
    assert log.head().seq == 1


async def test_a_command_that_comes_again_while_it_is_under_way_is_carried_out_once() -> None:
    log = GatedLog()
    async with running(log) as ledger:
        ledger.submit(create(9))
        await trio.testing.wait_all_tasks_blocked(0.01)
        both = [ledger.submit(create(1, idempotent=True)) for _ in range(2)]
        log.gate.set()
        receipts = [await one.wait() for one in both]
    assert receipts[0] is receipts[1]
    assert log.head().seq == 2


async def test_an_illegal_second_event_leaves_nothing_of_the_command() -> None:
    """An append is all or nothing: the market must not keep the half that was legal."""
    log = MemoryLog()
    async with running(log) as ledger:
        await ledger.execute(create(1))
        both = [NewEvent(unit(1), UnitLaunched()), NewEvent(unit(2), UnitLaunched())]
        with pytest.raises(IllegalStepError, match="unit-2"):
            await ledger.execute(append("half", *both))
        assert ledger.state.units[unit(1)].status.value == "created"
        await ledger.execute(launch(1))
    assert log.head().seq == 2


@pytest.mark.parametrize(("stream", "expected"), [(1, 1), (1, Expect.ANY), (2, Expect.NONE), (2, 0)])
async def test_a_command_is_executed_on_the_versions_it_expects(stream: int, expected: int | Expect) -> None:
    async with running(MemoryLog()) as ledger:
        await ledger.execute(create(1))
        await ledger.execute(replace(launch(1), expected={unit(stream): expected}))
        assert ledger.state.units[unit(1)].status.value == "launched"


@pytest.mark.parametrize(("stream", "expected"), [(1, 2), (1, Expect.NONE), (2, 1)])
async def test_a_command_on_a_state_that_has_changed_is_refused_and_harms_no_other(
    stream: int, expected: int | Expect
) -> None:
    async with running(MemoryLog()) as ledger:
        await ledger.execute(create(1))
        with pytest.raises(StaleCommandError, match=f"unit-{stream} has changed: it is at version") as refused:
            await ledger.execute(replace(launch(1), expected={unit(stream): expected}))
        assert refused.value.actual == ledger.state.version(unit(stream))
        await ledger.execute(launch(1))


async def test_a_cancelled_caller_does_not_take_its_command_back() -> None:
    log = GatedLog()
    async with running(log) as ledger:
        with trio.move_on_after(0) as scope:
            await ledger.execute(create(1))
        assert scope.cancelled_caught
        log.gate.set()
        await ledger.execute(launch(1))
    assert [recorded.envelope.command for recorded in log.read()] == ["create-1", "launch-1"]


@pytest.mark.parametrize("failure", [OutcomeUnknownError("the disk is gone"), LogError("the disk is full")])
async def test_a_failed_commit_stops_the_writer_and_everybody_hears_of_it(failure: LogError) -> None:
    log = GatedLog()
    log.failure = failure
    heard: list[LogError] = []

    async def ask(ledger: Ledger, number: int) -> None:
        try:
            await ledger.execute(create(number))
        except LogError as error:
            heard.append(error)

    with trio.fail_after(120), pytest.RaisesGroup(type(failure), flatten_subgroups=True):
        async with trio.open_nursery() as callers:
            ledger = Ledger(log, StoppedClock(), commit_in_thread, DECISIONS_HERE)
            async with trio.open_nursery() as writer:
                await writer.start(ledger.run)
                callers.start_soon(ask, ledger, 1)
                await trio.testing.wait_all_tasks_blocked(0.01)
                callers.start_soon(ask, ledger, 2)
                await trio.testing.wait_all_tasks_blocked(0.01)
                log.gate.set()
    assert heard == [failure, failure]
    with pytest.raises(LogError):
        ledger.submit(create(3))


async def test_a_decision_that_is_broken_stops_the_writer_whoever_came_upon_it() -> None:
    ledger = Ledger(MemoryLog(), StoppedClock(), commit_in_thread, DECISIONS_HERE)
    with trio.fail_after(120), pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            pending = ledger.submit(CommandRequest("broken", "tester", FailOnPurpose(task_run=RUN)))
            with pytest.raises(ZeroDivisionError):
                await ledger.submit_decided(create(1))
            with trio.CancelScope(shield=True), pytest.raises(OutcomeUnknownError):
                await pending.wait()
            await trio.sleep_forever()


async def test_a_caller_beyond_the_queue_waits_for_room_and_is_served() -> None:
    log = GatedLog()
    served: list[int] = []

    async def ask(ledger: Ledger, number: int) -> None:
        await ledger.execute(create(number))
        served.append(number)

    async with running(log) as ledger:
        ledger.submit(create(1))
        await trio.testing.wait_all_tasks_blocked(0.01)
        for number in range(2, QUEUE_LIMIT + 2):
            ledger.submit(create(number))
        async with trio.open_nursery() as late:
            late.start_soon(ask, ledger, QUEUE_LIMIT + 2)
            late.start_soon(ask, ledger, QUEUE_LIMIT + 3)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert served == []
            assert ledger.waiting == QUEUE_LIMIT
            log.gate.set()
    assert sorted(served) == [QUEUE_LIMIT + 2, QUEUE_LIMIT + 3]


async def test_subscribers_hear_every_event_once_and_in_order() -> None:
    heard: list[RecordedEvent] = []
    log = MemoryLog()
    async with running(log) as ledger:
        unsubscribe = ledger.subscribe(heard.extend)
        for number in range(5):
            ledger.submit(create(number))
        await ledger.execute(create(5, idempotent=True))
        await ledger.execute(create(5, idempotent=True))
        unsubscribe()
        await ledger.execute(create(6))
    assert [recorded.seq for recorded in heard] == [1, 2, 3, 4, 5, 6]
