"""Several ledgers on one shared log: each decides on everything that the others wrote, and loses nothing of its own."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.commands.pending import BATCH_LIMIT, AnyRequest
from mephisto_es.core.errors import CommandRefusedError, LogError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.payloads import commitment
from mephisto_es.core.ports import AppendRequest, AppendResult, NewEvent, Outcome
from mephisto_es.events import streams
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.unit import UnitCreated, UnitLaunched
from mephisto_es.events.worker import WorkerBlocked, WorkerRegistered

from ..commands import TEST_DECISIONS, AppendEvents, append
from ..shared_log import SharedLog, Store

RUN, OTHER_RUN = TaskRunId(1), TaskRunId(2)


class StoppedClock:
    """A clock that stands."""

    def now_us(self) -> int:
        return 1_700_000_000_000_000


@asynccontextmanager
async def running(log: MemoryLog) -> AsyncIterator[Ledger]:
    ledger = Ledger(log, StoppedClock(), commit_in_thread, TEST_DECISIONS)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.run)
            yield ledger
            nursery.cancel_scope.cancel()


def unit(number: int, run: TaskRunId = RUN) -> str:
    return streams.unit(run, UnitId(number))


def create(number: int, run: TaskRunId = RUN, idempotent: bool = False) -> AnyRequest:
    event = UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=5)
    return append(f"create-{number}", NewEvent(unit(number, run), event), idempotent=idempotent)


def launch(number: int, command: str = "launch") -> AnyRequest:
    return append(f"{command}-{number}", NewEvent(unit(number), UnitLaunched()))


def register(worker: int) -> AnyRequest:
    name = commitment(b"Ada", bytes(16), WorkerId(worker))
    event = WorkerRegistered(worker=WorkerId(worker), provider_type="mock", name=name, identity=f"pseudonym-{worker}")
    return append(f"register-{worker}", NewEvent(streams.worker(WorkerId(worker)), event))


async def test_a_decision_sees_what_another_writer_has_written() -> None:
    store = Store()
    async with running(SharedLog(store)) as first, running(SharedLog(store)) as second:
        await first.execute(create(1))
        await second.execute(launch(1))
        with pytest.raises(CommandRefusedError):
            await first.execute(launch(1, "again"))
    assert [recorded.envelope.command for recorded in store.log.read()] == ["create-1", "launch-1"]


async def test_what_was_read_at_the_beginning_is_no_news() -> None:
    store = Store()
    log = SharedLog(store)
    async with running(SharedLog(store)) as second:
        await second.execute(create(1))
    heard: list[RecordedEvent] = []
    async with running(log) as first:
        first.subscribe(heard.extend)
        await first.execute(launch(1))
    assert [recorded.envelope.command for recorded in heard] == ["launch-1"]


async def test_a_turn_without_events_ends() -> None:
    store = Store()
    async with running(SharedLog(store)) as ledger:
        with pytest.raises(CommandRefusedError):
            await ledger.execute(launch(1))
        assert not store.locks
        assert await ledger.execute(append("nothing")) == AppendResult(())
        assert not store.locks


async def test_of_many_who_want_the_same_exactly_one_gets_it() -> None:
    store, outcomes = Store(), list[bool]()

    async def try_to(ledger: Ledger, command: str) -> None:
        try:
            await ledger.execute(launch(1, command))
            outcomes.append(True)
        except CommandRefusedError:
            outcomes.append(False)

    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(running(SharedLog(store))) for _ in range(4)]
        await ledgers[0].execute(create(1))
        async with trio.open_nursery() as nursery:
            for number, ledger in enumerate(ledgers * 5):
                nursery.start_soon(try_to, ledger, f"try-{number}")
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_a_command_is_executed_once_by_all_writers_together() -> None:
    store = Store()
    async with running(SharedLog(store)) as first, running(SharedLog(store)) as second:
        there = await first.execute(create(1, idempotent=True))
        assert await second.execute(create(1, idempotent=True)) == AppendResult(there.events, repeated=True)
    assert store.log.head().seq == 1


async def test_a_turn_locks_what_is_written_to_and_reads_the_directory_beside_it() -> None:
    log = SharedLog(Store())
    async with running(log) as ledger:
        await ledger.execute(create(1, idempotent=True))
        for request in (create(2, OTHER_RUN), register(3), create(4)):
            ledger.submit(request)
        await ledger.execute(launch(1))
    assert log.turns == [
        (["run/1"], ("directory",), ["create-1"]),
        (["directory", "run/1", "run/2"], (), []),
    ]


async def test_subscribers_are_notified_of_what_others_wrote() -> None:
    store, heard = Store(), list[str]()
    async with running(SharedLog(store)) as first, running(SharedLog(store)) as second:
        await second.execute(register(1))

        def hear(events: Sequence[RecordedEvent]) -> None:
            heard.extend(f"{recorded.envelope.command}, {len(first.state.workers)} workers" for recorded in events)

        first.subscribe(hear)
        await second.execute(append("block", NewEvent(streams.worker(WorkerId(1)), WorkerBlocked(reason="spam"))))
        await first.execute(create(1))
        await first.execute(create(2))
    assert heard == [
        "register-1, 1 workers",
        "block, 1 workers",
        "create-1, 1 workers",
        "create-2, 1 workers",
    ]


class InterruptedLog(SharedLog):
    """A writer during whose commits others write elsewhere."""

    meanwhile: Sequence[AppendRequest] = ()

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        meanwhile, self.meanwhile = self.meanwhile, ()
        SharedLog(self.store).commit(meanwhile)
        return super().commit(batch)


async def test_what_others_write_during_a_commit_is_folded_right_after_it_and_told_in_order() -> None:
    store, heard = Store(), list[tuple[int, str]]()
    log = InterruptedLog(store)
    async with running(log) as ledger:
        ledger.subscribe(lambda events: heard.extend((each.seq, each.envelope.command) for each in events))
        other = register(1).command
        assert isinstance(other, AppendEvents)
        log.meanwhile = [AppendRequest(command="other", actor="operator", at=1, events=other.events)]
        await ledger.execute(create(1))
        assert streams.worker(WorkerId(1)) in ledger.state.workers
        assert sum(ledger.state.versions.values()) == store.log.head().seq
    assert heard == [(1, "other"), (2, "create-1")]


async def test_news_are_read_without_a_command_of_ones_own() -> None:
    store = Store()
    log = SharedLog(store)
    async with running(log) as first, running(SharedLog(store)) as second:
        await second.execute(create(1))
        await first.refresh()
        assert unit(1) in first.state.units
        assert log.turns == [([], ("directory",), [])]
        heard = trio.Event()
        first.subscribe(lambda _: heard.set())
        await second.execute(create(2))
        first.read_news()
        await heard.wait()
    with pytest.raises(LogError):
        await first.refresh()


async def test_a_log_of_ones_own_has_no_news() -> None:
    async with running(MemoryLog()) as ledger:
        ledger.read_news()
        await ledger.refresh()
        assert ledger.log.take_news() == ()


async def test_whoever_waits_for_news_hears_that_the_log_is_gone() -> None:
    log = SharedLog(Store())
    log.failure = LogError("the server is gone")
    with trio.fail_after(60), pytest.RaisesGroup(LogError, LogError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            ledger = Ledger(log, StoppedClock(), commit_in_thread, TEST_DECISIONS)
            await nursery.start(ledger.run)
            await ledger.refresh()


async def test_more_commands_than_fit_into_one_commit_take_several_turns() -> None:
    log = SharedLog(Store())
    async with running(log) as ledger:
        for number in range(1, BATCH_LIMIT + 1):
            ledger.submit(create(number))
        pending = await ledger.submit_decided(create(BATCH_LIMIT + 1))
        assert [recorded.seq for recorded in (await pending.wait()).events] == [BATCH_LIMIT + 1]
    assert len(log.turns) == 2


async def test_a_writer_that_gets_no_turn_stops_and_everybody_hears_of_it() -> None:
    log = SharedLog(Store())
    log.failure = LogError("the server is gone")
    heard: list[LogError] = []

    async def ask(ledger: Ledger, number: int) -> None:
        try:
            await ledger.execute(create(number))
        except LogError as error:
            heard.append(error)

    with trio.fail_after(60), pytest.RaisesGroup(LogError, flatten_subgroups=True):
        async with trio.open_nursery() as callers:
            ledger = Ledger(log, StoppedClock(), commit_in_thread, TEST_DECISIONS)
            async with trio.open_nursery() as writer:
                await writer.start(ledger.run)
                callers.start_soon(ask, ledger, 1)
                callers.start_soon(ask, ledger, 2)
    assert heard == [log.failure, log.failure]


class UnhurriedLog(MemoryLog):
    """A log that must not be looked into from the thread of the event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = threading.get_ident()

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        assert threading.get_ident() != self._loop, "the event loop waits for the log"
        return super().find(command)


async def test_the_event_loop_does_not_wait_while_a_command_is_looked_up() -> None:
    log = UnhurriedLog()
    async with running(log) as ledger:
        first = await ledger.execute(create(1, idempotent=True))
        ledger.submit(create(2, idempotent=True))
        await ledger.submit_decided(launch(1))
        again = await ledger.execute(create(1, idempotent=True))
    assert again == AppendResult(first.events, repeated=True)
