"""The contract of every log, whatever stores it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.chain import ChainRow, link
from mephisto_es.core.errors import CommandIdReusedError, VersionConflictError
from mephisto_es.core.payloads import commitment
from mephisto_es.core.ports import AppendRejected, AppendRequest, AppendResult, Expect, Turn
from mephisto_es.events import streams
from mephisto_es.events.ids import WorkerId
from mephisto_es.events.streams import partition_of, partition_of_run
from mephisto_es.projections.engine.projection import Projection

from ...postgres import Cluster
from ...shared_log import SharedLog, Store
from .support import (
    RUN,
    SALT,
    FailingProjection,
    RosterProjection,
    forget,
    is_repeat,
    is_written,
    lives,
    register,
    request,
    unit_event,
    unit_request,
    unit_stream,
)

Log = MemoryLog | SqliteLog | PostgresLog | SharedLog
OneLog = TypeVar("OneLog", MemoryLog, SqliteLog, PostgresLog, SharedLog)
LogWithView = TypeVar("LogWithView", MemoryLog, SqliteLog)


class LogContract(Generic[OneLog]):
    """Run against a log by a subclass that says how one is made."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[OneLog]:
        raise NotImplementedError

    def chain(self, log: OneLog) -> tuple[bytes, list[ChainRow]]:
        """The value before the first event of `RUN`, and the rows of its partition."""
        raise NotImplementedError

    def test_events_are_numbered_without_gaps_and_chained(self, log: OneLog) -> None:
        for start in range(0, 27, 9):
            log.commit(lives(3)[start : start + 9])
        chain, rows = self.chain(log)
        assert [row.seq for row in rows] == list(range(1, 28))
        for row in rows:
            chain = link(chain, row.seq, row.epoch, row.data)
            assert chain == row.chain
        assert log.head() == (27, chain, rows[-1].at)

    def test_versions_count_within_a_stream(self, log: Log) -> None:
        log.commit([unit_request(1, 0), unit_request(2, 0), unit_request(1, 1)])
        log.commit([unit_request(2, 1), unit_request(1, 2)])
        assert [(each.envelope.stream, each.envelope.version) for each in log.read()] == [
            (unit_stream(1), 1),
            (unit_stream(2), 1),
            (unit_stream(1), 2),
            (unit_stream(2), 2),
            (unit_stream(1), 3),
        ]

    def test_an_append_over_several_streams_is_one_command(self, log: Log) -> None:
        (outcome,) = log.commit(
            [request("both", (unit_stream(1), unit_event(1, 0)), (unit_stream(2), unit_event(2, 0)))]
        )
        assert is_written(outcome)
        assert [(each.seq, each.envelope.ordinal) for each in outcome.events] == [(1, 0), (2, 1)]
        assert log.find("both") == outcome.events

    def test_a_repeat_is_answered_with_the_first_events(self, log: Log) -> None:
        (first,) = log.commit([unit_request(1, 0, at=5)])
        assert is_written(first)
        log.commit([unit_request(1, 1, at=6)])
        assert log.commit([unit_request(1, 0, at=7)]) == [AppendResult(first.events, repeated=True)]
        assert log.head().seq == 2

    def test_a_repeat_is_answered_even_where_its_expectation_no_longer_holds(self, log: Log) -> None:
        stream = unit_stream(1)
        create = request("a", (stream, unit_event(1, 0)), expected={stream: Expect.NONE})
        log.commit([create])
        (again,) = log.commit([create])
        assert is_repeat(again)

    def test_a_repeat_within_a_batch_is_written_once(self, log: Log) -> None:
        first, second = log.commit([unit_request(1, 0), unit_request(1, 0)])
        assert is_written(first)
        assert second == AppendResult(first.events, repeated=True)
        assert log.head().seq == 1

    def test_a_command_id_is_not_used_for_something_else(self, log: Log) -> None:
        log.commit([request("a", (unit_stream(1), unit_event(1, 0)))])
        other, after = log.commit([request("a", (unit_stream(2), unit_event(2, 0))), unit_request(3, 0)])
        assert isinstance(other, AppendRejected)
        assert isinstance(other.error, CommandIdReusedError)
        assert is_written(after)
        assert [each.envelope.stream for each in log.read()] == [unit_stream(1), unit_stream(3)]

    @pytest.mark.parametrize(
        ("expected", "accepted"),
        [(Expect.NONE, False), (0, False), (1, False), (2, True), (3, False), (Expect.ANY, True)],
    )
    def test_expected_versions(self, log: Log, expected: int | Expect, accepted: bool) -> None:
        log.commit([unit_request(1, 0), unit_request(1, 1)])
        stream = unit_stream(1)
        (outcome,) = log.commit([request("a", (stream, unit_event(1, 2)), expected={stream: expected})])
        if accepted:
            assert is_written(outcome)
        else:
            assert isinstance(outcome, AppendRejected)
            assert isinstance(outcome.error, VersionConflictError)
            assert (outcome.error.stream, outcome.error.actual) == (stream, 2)
            assert log.head().seq == 2

    @pytest.mark.parametrize("expected", [Expect.NONE, 0])
    def test_a_stream_that_must_not_exist(self, log: Log, expected: int | Expect) -> None:
        stream = unit_stream(1)
        (outcome,) = log.commit([request("a", (stream, unit_event(1, 0)), expected={stream: expected})])
        assert is_written(outcome)

    def test_conditions_hold_for_streams_that_are_not_written(self, log: Log) -> None:
        log.commit([unit_request(1, 0)])
        event = (unit_stream(2), unit_event(2, 0))
        refused, written = log.commit(
            [
                request("a", event, expected={unit_stream(1): 7}),
                request("b", event, expected={unit_stream(1): 1, unit_stream(9): Expect.NONE}),
            ]
        )
        assert isinstance(refused, AppendRejected)
        assert is_written(written)

    def test_a_loser_is_refused_alone_and_sees_what_the_batch_wrote_before_it(self, log: Log) -> None:
        stream = unit_stream(1)
        won, lost, other = log.commit(
            [
                request("a", (stream, unit_event(1, 0)), expected={stream: 0}),
                request("b", (stream, unit_event(1, 0)), expected={stream: 0}),
                unit_request(2, 0),
            ]
        )
        assert is_written(won)
        assert isinstance(lost, AppendRejected)
        assert is_written(other)
        assert log.find("b") == ()
        assert [each.seq for each in log.read()] == [1, 2]

    def test_time_never_falls(self, log: Log) -> None:
        for number, at in enumerate([50, 20, 70, 60]):
            log.commit([unit_request(number, 0, at=at)])
        # In a shared log it rises with each command: that is how effects get later positions than their causes.
        expected = [50, 51, 70, 71] if log.is_shared else [50, 50, 70, 70]
        assert [each.envelope.at for each in log.read()] == expected
        assert log.head().at == expected[-1]

    def test_reading_a_part(self, log: Log) -> None:
        log.commit(lives(3))
        assert [each.seq for each in log.read(after=3, until=6)] == [4, 5, 6]
        assert [each.seq for each in log.read(after=25)] == [26, 27]
        assert list(log.read(after=27)) == []
        assert list(log.read(after=5, until=5)) == []

    def test_an_unknown_command_has_no_events(self, log: Log) -> None:
        assert log.find("never") == ()

    def test_a_request_without_events_writes_nothing(self, log: Log) -> None:
        assert log.commit([request("a")]) == [AppendResult(())]
        assert log.head().seq == 0

    def test_payloads_are_there_with_their_events(self, log: Log) -> None:
        log.commit([register(3, "Ada")])
        assert log.payload(commitment(b"Ada", SALT, WorkerId(3))) == b"Ada"

    def test_commands_that_were_executed_are_known(self, log: Log) -> None:
        (written,) = log.commit([unit_request(1, 0)])
        assert is_written(written)
        turn = log.begin([partition_of(unit_stream(1))], ["directory"], ["unit-1-0", "unit-1-1"])
        assert turn == Turn(known={"unit-1-0": written.events})
        assert log.commit([]) == []
        assert log.commit([unit_request(1, 1)]) != []

    def test_a_command_over_a_run_and_the_directory_is_one(self, log: Log) -> None:
        log.commit([unit_request(1, 0, at=10)])
        named: AppendRequest = register(3, "Ada")
        both = replace(named, events=(*named.events, *unit_request(1, 1).events), at=5)
        (written,) = log.commit([both])
        assert is_written(written)
        assert log.find(both.command) == written.events
        assert [each.envelope.ordinal for each in written.events] == [0, 1]
        assert [each.envelope.stream for each in log.read()] == [unit_stream(1), "worker/3", unit_stream(1)]
        assert [each.envelope.version for each in log.history(unit_stream(1))] == [1, 2]

    def test_a_command_over_a_run_and_the_directory_is_refused_whole(self, log: Log) -> None:
        named: AppendRequest = register(3, "Ada")
        both = replace(named, events=(*named.events, *unit_request(1, 0).events), expected={unit_stream(1): 4})
        (refused,) = log.commit([both])
        assert isinstance(refused, AppendRejected)
        assert log.head().seq == 0

    def test_payloads_of_a_refused_request_are_not_kept(self, log: Log) -> None:
        stream = streams.worker(WorkerId(3))
        asked = register(3, "Ada")
        (outcome,) = log.commit([replace(asked, expected={stream: 5})])
        assert isinstance(outcome, AppendRejected)
        assert log.payload(commitment(b"Ada", SALT, WorkerId(3))) is None

    def test_forgetting_a_worker_deletes_its_payloads_and_nobody_elses(self, log: Log) -> None:
        log.commit([register(3, "Ada"), register(4, "Grace")])
        log.commit([forget(3)])
        assert log.payload(commitment(b"Ada", SALT, WorkerId(3))) is None
        assert log.payload(commitment(b"Grace", SALT, WorkerId(4))) == b"Grace"
        assert log.head().seq == 3


class ViewContract(LogContract[LogWithView]):
    """The contract of a log that updates projections within each commit."""

    def make(self, folder: Path, projections: Sequence[Projection]) -> LogWithView:
        raise NotImplementedError

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[LogWithView]:
        log = self.make(tmp_path, (RosterProjection(),))
        yield log
        log.close()

    def test_projections_see_payloads_until_their_worker_is_forgotten(self, log: LogWithView) -> None:
        log.commit([register(3, "Ada"), register(4, "Grace")])
        assert log.connect().execute("SELECT * FROM roster_names").fetchall() == [(3, "Ada"), (4, "Grace")]
        log.commit([forget(3)])
        assert log.connect().execute("SELECT * FROM roster_names").fetchall() == [(3, None), (4, "Grace")]

    def test_projections_see_every_event_once(self, log: LogWithView) -> None:
        log.commit(lives(2)[:5])
        log.commit([*lives(2)[5:], unit_request(1, 0)])
        assert log.connect().execute("SELECT stream, version FROM roster ORDER BY stream").fetchall() == [
            (unit_stream(1), 9),
            (unit_stream(2), 9),
        ]

    def test_a_projection_that_fails_leaves_nothing_of_the_batch(self, tmp_path: Path) -> None:
        log = self.make(tmp_path, (FailingProjection(),))
        log.commit(lives(1)[:3])
        with pytest.raises(ArithmeticError):
            log.commit([register(3, "Ada"), *lives(1)[3:5]])
        assert log.head().seq == 3
        assert log.payload(commitment(b"Ada", SALT, WorkerId(3))) is None
        assert [each.seq for each in log.read()] == [1, 2, 3]
        (after,) = log.commit([unit_request(2, 0)])
        assert is_written(after)
        assert log.connect().execute("SELECT * FROM stubborn").fetchall() == [(1,), (2,), (3,), (4,)]
        log.close()


class TestMemoryLog(ViewContract[MemoryLog]):
    def make(self, folder: Path, projections: Sequence[Projection]) -> MemoryLog:
        return MemoryLog(projections)

    def chain(self, log: MemoryLog) -> tuple[bytes, list[ChainRow]]:
        return log.genesis, list(log.raw())


class TestSqliteLog(ViewContract[SqliteLog]):
    def make(self, folder: Path, projections: Sequence[Projection]) -> SqliteLog:
        return SqliteLog.create_or_open(folder / "log.db", projections)

    def chain(self, log: SqliteLog) -> tuple[bytes, list[ChainRow]]:
        return log.genesis, list(SqliteLog.open_read_only(log.path).raw())


class TestPostgresLog(LogContract[PostgresLog]):
    @pytest.fixture
    def log(self, cluster: Cluster) -> Iterator[PostgresLog]:
        log = PostgresLog(cluster.new_database())
        yield log
        log.close()

    def chain(self, log: PostgresLog) -> tuple[bytes, list[ChainRow]]:
        partition = partition_of_run(RUN)
        return log.genesis(partition), list(log.raw(partition))


class TestSharedLog(LogContract[SharedLog]):
    """The fake of a log on a server."""

    @pytest.fixture
    def log(self) -> SharedLog:
        return SharedLog(Store())

    def chain(self, log: SharedLog) -> tuple[bytes, list[ChainRow]]:
        return log.genesis, list(log.store.log.raw())
