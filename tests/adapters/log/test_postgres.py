"""The log in PostgreSQL with several writers: turns, fences, lost connections, damage, and the common order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TypeVar

import psycopg
import pytest
import trio
from msgspec.structs import replace

from mephisto_es.adapters.log.commit_thread import commit_in_thread
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.postgres import owning, reading
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.owning import Lease
from mephisto_es.adapters.log.postgres.server import Connection, Server
from mephisto_es.core.errors import (
    CommandRefusedError,
    DamagedLogError,
    UnusableLogError,
    VersionConflictError,
    WriterFencedError,
)
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import AppendRejected, Expect, NewEvent, RunHolder
from mephisto_es.events.streams import DIRECTORY, partition_of, partition_of_run
from mephisto_es.events.unit import UnitLaunched

from ...commands import TEST_DECISIONS, append
from ...postgres import Cluster
from .support import LIFE, RUN, is_written, lives, register, request, unit_event, unit_request, unit_stream

PARTITION = partition_of_run(RUN)
T = TypeVar("T")


@pytest.fixture
def address(cluster: Cluster) -> str:
    return cluster.new_database()


@contextmanager
def writers(address: str) -> Iterator[tuple[PostgresLog, PostgresLog]]:
    """Two writers of one log."""
    with closing(PostgresLog(address)) as one, closing(PostgresLog(address)) as other:
        yield one, other


def as_administrator(address: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement behind the back of the log."""
    with psycopg.connect(address, autocommit=True) as db:
        cursor = db.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def cut_connections(address: str) -> None:
    """End all sessions, as a restart of the server does."""
    as_administrator(
        address,
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def wait_until_somebody_waits(address: str) -> None:
    """Wait, within the server, until a session waits for a lock."""
    as_administrator(
        address,
        """
        DO $$ BEGIN
          WHILE NOT EXISTS (SELECT 1 FROM pg_stat_activity
                             WHERE datname = current_database() AND wait_event_type = 'Lock') LOOP
            PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
          END LOOP;
        END $$
        """,
    )


def commands_of(log: PostgresLog) -> list[str]:
    return [recorded.envelope.command for recorded in log.read()]


def test_each_writer_gets_the_news_of_the_other_once_and_in_order(address: str) -> None:
    with writers(address) as (first, second):
        first.commit([unit_request(1, 0), unit_request(1, 1)])
        assert [recorded.envelope.command for recorded in second.begin([PARTITION], (), ()).news] == [
            "unit-1-0",
            "unit-1-1",
        ]
        second.commit([unit_request(1, 2)])
        assert second.begin([PARTITION], (), ()).news == ()
        second.commit([])
        assert [recorded.seq for recorded in first.begin([PARTITION], (), ()).news] == [3]
        first.commit([unit_request(1, 3)])
        assert [row.seq for row in first.raw(PARTITION)] == [1, 2, 3, 4]


def test_news_that_a_commit_without_a_turn_met_are_there_at_the_next_turn(address: str) -> None:
    with writers(address) as (first, second):
        first.commit([unit_request(1, 0)])
        second.commit([unit_request(2, 0)])
        assert [recorded.envelope.command for recorded in second.begin([PARTITION], (), ()).news] == ["unit-1-0"]


def test_a_turn_keeps_others_out_until_its_commit(address: str) -> None:
    with writers(address) as (first, second), ThreadPoolExecutor() as threads:
        first.begin([PARTITION], (), ())
        waiting = threads.submit(second.commit, [unit_request(2, 0)])
        wait_until_somebody_waits(address)
        first.commit([unit_request(1, 0)])
        waiting.result(60)
        assert commands_of(first) == ["unit-1-0", "unit-2-0"]


LEASE = Lease(3600.0, 60.0)


def take(address: str, log: PostgresLog, operator: str) -> int | RunHolder:
    """Make a writer the owner of the partition, unless another one is."""
    with psycopg.connect(address, autocommit=True) as db:
        owning.join(db, operator, LEASE)
        taken = owning.take(db, operator, PARTITION, LEASE)
    if isinstance(taken, int):
        log.own(operator, PARTITION, taken)
    return taken


def let_time_pass(address: str, *, over_the_lease_of: str = "") -> None:
    """Make all operators ones of long ago, and one of them an operator that was not heard of since."""
    as_administrator(
        address,
        "UPDATE es.operator SET steady_from = steady_from - interval '1 day', beaten_at = beaten_at - interval '1 day',"
        f" alive_until = alive_until - CASE operator WHEN '{over_the_lease_of}' THEN interval '1 day' ELSE '0' END",
    )


def test_whoever_takes_over_from_a_dead_owner_fences_it(address: str) -> None:
    with writers(address) as (first, second):
        assert take(address, first, "ada") == 2
        assert take(address, first, "ada") == 2
        first.commit([unit_request(1, 0)])
        holder = take(address, second, "bob")
        assert isinstance(holder, RunHolder)
        assert (holder.operator, 0 < holder.wait_seconds <= 72) == ("ada", True)
        let_time_pass(address, over_the_lease_of="ada")
        assert take(address, second, "bob") == 3
        with pytest.raises(WriterFencedError, match=PARTITION):
            first.commit([unit_request(1, 1)])
        second.commit([unit_request(1, 1)])
        assert [row.epoch for row in second.raw(PARTITION)] == [2, 3]
        # Nor does it write what needs no ownership: nobody knows what it still believes.
        with pytest.raises(WriterFencedError):
            first.commit([register(3, "Ada")])


def test_what_is_given_back_may_be_taken_at_once(address: str) -> None:
    with writers(address) as (first, second):
        take(address, first, "ada")
        with psycopg.connect(address, autocommit=True) as db:
            assert [(row.partition, row.operator, row.is_alive) for row in owning.owners(db)] == [
                (PARTITION, "ada", True)
            ]
            assert owning.holder(db, "ada", PARTITION, LEASE) is None
            holder = owning.holder(db, "bob", PARTITION, LEASE)
            assert holder is not None
            assert (holder.operator, 0 < holder.wait_seconds <= 72) == ("ada", True)
            owning.give(db, "ada", PARTITION)
            assert owning.holder(db, "bob", PARTITION, LEASE) is None
        first.disown(PARTITION)
        assert take(address, second, "bob") == 3
        # A guest from now on.
        first.commit([unit_request(1, 0)])
        assert [row.epoch for row in second.raw(PARTITION)] == [3]
        with psycopg.connect(address, autocommit=True) as db:
            owning.leave(db, "bob")
            assert owning.owners(db) == []
            assert not owning.beat(db, "bob", LEASE)


def test_a_fenced_writer_that_lost_its_turn_is_refused_by_the_server(address: str) -> None:
    with writers(address) as (first, second):
        take(address, first, "ada")
        first.begin([PARTITION], (), ())
        cut_connections(address)
        let_time_pass(address, over_the_lease_of="ada")
        take(address, second, "bob")
        let_time_pass(address)
        assert take(address, second, "bob") == 3
        with pytest.raises(WriterFencedError):
            first.commit([unit_request(1, 0)])
        assert commands_of(second) == []


def test_a_fenced_writer_without_a_turn_is_refused_by_the_server(address: str) -> None:
    """Nor does it write to the directory, which it does not own: nobody knows what it still believes."""
    with writers(address) as (first, _):
        take(address, first, "ada")
        first.begin([DIRECTORY], (), ())
        cut_connections(address)
        as_administrator(address, "DELETE FROM es.operator")
        with pytest.raises(WriterFencedError, match=DIRECTORY):
            first.commit([register(3, "Ada")])
        assert commands_of(first) == []


def test_a_guest_writes_under_the_fence_of_the_owner(address: str) -> None:
    with writers(address) as (owner, guest):
        take(address, owner, "ada")
        guest.commit([unit_request(1, 0)])
        owner.commit([unit_request(1, 1)])
        assert [row.epoch for row in owner.raw(PARTITION)] == [2, 2]


def test_a_commit_whose_connection_was_lost_is_written_once(address: str) -> None:
    with writers(address) as (first, _):
        first.begin([PARTITION], (), ())
        cut_connections(address)
        assert is_written(first.commit([unit_request(1, 0)])[0])
        assert commands_of(first) == ["unit-1-0"]


class ForgetfulServer(Server):
    """A server whose connection is lost once, after everything was done and before the answer came."""

    is_lost = False
    #: What happens before the connection is made again.
    meanwhile: Callable[[], object] | None = None

    def call(self, work: Callable[[Connection], T]) -> T:
        def work_and_lose(db: Connection) -> T:
            result = work(db)
            if self.is_lost:
                self.is_lost = False
                if self.meanwhile is not None:
                    self.meanwhile()
                raise psycopg.OperationalError("the server closed the connection unexpectedly")
            return result

        return super().call(work_and_lose)


def test_a_commit_without_an_answer_is_not_written_again(address: str) -> None:
    with closing(PostgresLog(address)) as log:
        log._server.close()
        log._server = server = ForgetfulServer(address)
        log.begin([PARTITION], (), ())
        # Nothing has to be looked up, so the next call is the one that commits.
        first = replace(unit_request(1, 0), expected={unit_stream(1): Expect.NONE})
        server.is_lost = True
        assert is_written(log.commit([first])[0])
        assert not server.is_lost
        assert commands_of(log) == ["unit-1-0"]
        assert is_written(log.commit([unit_request(1, 1)])[0])


def test_a_commit_without_an_answer_is_not_refused_for_what_another_wrote_after_it(address: str) -> None:
    with writers(address) as (first, second):
        first._server.close()
        first._server = server = ForgetfulServer(address)
        first.begin([DIRECTORY, PARTITION], (), ())
        server.meanwhile = lambda: second.commit([register(3, "Ada")])
        server.is_lost = True
        assert is_written(first.commit([replace(unit_request(1, 0), expected={unit_stream(1): Expect.NONE})])[0])
        assert not server.is_lost
        assert commands_of(first) == ["unit-1-0", "register-3"]


def test_readers_survive_a_lost_connection(address: str) -> None:
    with writers(address) as (first, _):
        first.commit([unit_request(1, 0)])
        cut_connections(address)
        assert commands_of(first) == ["unit-1-0"]


def test_a_connection_that_is_lost_after_a_long_wait_is_made_again(address: str) -> None:
    attempts = list[int]()

    def wait_and_lose(db: Connection) -> int:
        attempts.append(db.info.backend_pid)
        if len(attempts) == 1:
            db.execute("SELECT pg_sleep(0.02)")
            raise psycopg.OperationalError("the server closed the connection unexpectedly")
        return len(attempts)

    with closing(Server(address, patience_seconds=0.01)) as server:
        assert server.call(wait_and_lose) == 2
    assert len(set(attempts)) == 2


def test_a_lost_tail_is_noticed_before_anything_is_written(address: str) -> None:
    with writers(address) as (first, _):
        first.commit([unit_request(1, 0), unit_request(1, 1)])
        as_administrator(address, "DELETE FROM es.event WHERE seq = 2")
        with pytest.raises(DamagedLogError, match="lost its tail"):
            first.commit([unit_request(2, 0)])


def test_a_changed_event_is_noticed_by_whoever_reads_it_as_news(address: str) -> None:
    with writers(address) as (first, second):
        first.commit([unit_request(1, 0)])
        as_administrator(address, "UPDATE es.event SET at = at + 1, epoch = epoch + 1")
        with pytest.raises(DamagedLogError, match="chain"):
            second.begin([PARTITION], (), ())
        as_administrator(address, "UPDATE es.event SET at = at - 1, epoch = epoch - 1")
        assert len(second.begin([PARTITION], (), ()).news) == 1


def test_a_stream_of_which_a_new_writer_knows_nothing_is_not_made_again(address: str) -> None:
    stream = unit_stream(1)
    with writers(address) as (first, _):
        first.commit([unit_request(1, 0)])
    with closing(PostgresLog(address)) as log:
        again = request("again", (stream, unit_event(1, 0)), expected={stream: Expect.NONE})
        refused, written = log.commit([again, unit_request(1, 1)])
        assert isinstance(refused, AppendRejected)
        assert isinstance(refused.error, VersionConflictError)
        assert is_written(written)
        assert [recorded.envelope.version for recorded in log.history(stream)] == [1, 2]


def test_effects_come_after_their_causes_whatever_the_clocks_say(address: str) -> None:
    with writers(address) as (first, second):
        first.commit([register(3, "Ada")])  # by a clock that is ahead of the other
        for unit in range(1, 4):
            second.begin([PARTITION], [DIRECTORY], ())
            second.commit([unit_request(unit, 0, at=5)])
        first.begin([DIRECTORY], [PARTITION], ())
        first.commit([register(4, "Grace")])
        assert commands_of(first) == ["register-3", "unit-1-0", "unit-2-0", "unit-3-0", "register-4"]
        assert commands_of(second) == commands_of(first)
        assert [recorded.seq for recorded in second.read()] == [1, 2, 3, 4, 5]


def test_a_place_in_the_common_order_never_changes(address: str) -> None:
    with writers(address) as (first, second):
        first.commit([unit_request(1, 0, at=2_000)])
        assert commands_of(second) == ["unit-1-0"]
        second.commit([register(3, "Ada")])  # earlier, by its time, and later in the order
        assert commands_of(first) == ["unit-1-0", "register-3"]


def test_nothing_that_a_commit_needs_reads_the_log_as_a_whole(address: str) -> None:
    with closing(PostgresLog(address)) as log, closing(Server(address)) as server:
        for number in range(1, 4):
            log.commit([unit_request(number, 0)])
        seen = {PARTITION: log.head()}

        def count_whole_reads(db: Connection) -> object:
            with db.transaction(force_rollback=True):
                reading.common_head(db)
                reading.placed(db, 2, 1000)
                db.execute(*reading.news_query(seen))
                found = db.execute(
                    "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname IN ('event', 'feed')"
                )
                return found.fetchone()

        assert server.call(count_whole_reads) == (0,)
        assert server.call(lambda db: db.execute("SHOW jit").fetchone()) == ("off",)


def test_a_commit_gives_its_events_their_places(address: str) -> None:
    """So a single writer waits for one flush of the server's disk, not for two."""
    with closing(PostgresLog(address)) as log:
        log.commit([unit_request(1, 0), register(3, "Ada")])
        assert as_administrator(address, "SELECT pos, partition, seq, n FROM es.feed ORDER BY pos") == [
            (1, PARTITION, 1, 1),
            (2, DIRECTORY, 1, 1),
        ]
        assert commands_of(log) == ["unit-1-0", "register-3"]


def test_a_commit_does_not_wait_for_another_one_that_gives_places(address: str) -> None:
    with writers(address) as (first, second), psycopg.connect(address) as placing, ThreadPoolExecutor() as threads:
        placing.execute("SELECT pg_advisory_xact_lock(hashtext('es.place'))")
        commit = threads.submit(first.commit, [unit_request(1, 0)])
        try:
            assert is_written(commit.result(120)[0])
            assert as_administrator(address, "SELECT pos FROM es.feed") == []
        finally:
            placing.rollback()
        second.commit([unit_request(1, 1)])
        assert commands_of(first) == ["unit-1-0", "unit-1-1"]


#: Counts the blocks and rows that a session has read lately, in tables and indexes alike.
COUNT_READS = """
    SELECT sum(pg_stat_get_xact_blocks_fetched(oid) + pg_stat_get_xact_tuples_returned(oid))::bigint
      FROM pg_class WHERE relnamespace = 'es'::regnamespace AND relkind IN ('r', 'i')
"""


def reads_of_a_turn(server: Server) -> int:
    """Do what a turn does besides writing; return how many blocks and rows this reads."""

    def act(db: Connection) -> int:
        with db.transaction(force_rollback=True):
            before = db.execute(COUNT_READS).fetchone()
            end, head = reading.common_head(db), reading.ends(db)[PARTITION]
            reading.placed(db, end.seq - 1, 1000)
            db.execute(*reading.news_query({PARTITION: head}))
            db.execute(*reading.commands_query(["unknown", "another"]))
            reading.find(db, "unknown")
            after = db.execute(COUNT_READS).fetchone()
        assert before is not None
        assert after is not None
        return int(after[0]) - int(before[0])

    return server.call(act)


def test_the_cost_of_a_turn_does_not_grow_with_the_log(address: str) -> None:
    """Not even by plans made for a small log, which a session keeps, and which stale statistics suggest."""
    with closing(PostgresLog(address)) as log, closing(Server(address)) as old_session:
        log.commit([*lives(2), register(1, "Ada")])
        # Often enough that the server settles for one plan, whatever the parameters.
        at_first = [reads_of_a_turn(old_session) for _ in range(12)][-1]
        more = [unit_request(number, step) for step in range(len(LIFE)) for number in range(3, 60)]
        log.commit([*more, register(2, "Grace")])
        commands_of(log)  # gives all events their places
        with closing(Server(address)) as new_session:
            for session in (old_session, new_session):
                assert reads_of_a_turn(session) < at_first + len(more) / 4


def test_equal_commands_have_equal_bytes_in_every_log(address: str) -> None:
    memory, requests = MemoryLog(), [replace(one, at=at) for at, one in enumerate(lives(2), 1_000)]
    memory.commit(requests)
    with closing(PostgresLog(address)) as log:
        log.commit(requests)
        assert [row.data for row in log.raw(PARTITION)] == [row.data for row in memory.raw()]


def test_tables_of_another_version_are_refused(address: str) -> None:
    PostgresLog(address).close()
    as_administrator(address, "UPDATE es.meta SET version = 99")
    with pytest.raises(UnusableLogError, match="version 99"):
        PostgresLog(address)


def test_two_writers_may_install_the_tables_at_once(address: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(PostgresLog, [address] * 4))
    assert len({log.pseudonym_key for log in opened}) == 1
    for log in opened:
        log.close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hunter2@/x?host=/nowhere",
        "host=/nowhere password=hunter2 user=ada dbname=x",
        "host=/nowhere hunter2",
        "postgresql://ada:hunter2@/x?host=/nowhere&hunter2=1",
    ],
)
def test_an_address_is_never_shown_with_its_secrets(address: str) -> None:
    with pytest.raises(UnusableLogError) as refused:
        Server(address)
    shown = [str(refused.value), repr(refused.value.__cause__), repr(refused.value.__context__)]
    assert "hunter2" not in "".join(shown[:2])
    assert "ada" not in shown[0]


async def test_of_many_who_want_the_same_exactly_one_gets_it(address: str) -> None:
    outcomes: list[bool] = []

    class Clock:
        """A clock that stands."""

        def now_us(self) -> int:
            return 1_700_000_000_000_000

    async def try_to(ledger: Ledger, command: str) -> None:
        try:
            await ledger.execute(append(command, NewEvent(unit_stream(1), UnitLaunched())))
            outcomes.append(True)
        except CommandRefusedError:
            outcomes.append(False)

    with writers(address) as logs, trio.fail_after(60):
        ledgers = [Ledger(log, Clock(), commit_in_thread, TEST_DECISIONS) for log in logs]
        async with trio.open_nursery() as running:
            for ledger in ledgers:
                await running.start(ledger.run)
            await ledgers[0].execute(append("create", NewEvent(unit_stream(1), unit_event(1, 0))))
            async with trio.open_nursery() as nursery:
                for number, ledger in enumerate(ledgers * 10):
                    nursery.start_soon(try_to, ledger, f"try-{number}")
            running.cancel_scope.cancel()
        assert sorted(outcomes) == [False] * 19 + [True]
        assert partition_of(unit_stream(1)) == PARTITION
        assert len(commands_of(logs[0])) == 2
