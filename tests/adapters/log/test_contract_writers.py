"""The contract of every log for commands over several partitions, and for several writers.

Not everything can happen to every log: one in a file has one writer, and one in memory dies with its object. What
cannot happen is said by an error, or by the way in which the log is opened, and that is what is tested then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Generic, TypeVar

import pytest
from msgspec.structs import replace

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import (
    CommandIdReusedError,
    LogError,
    UnusableLogError,
    VersionConflictError,
    WriterFencedError,
)
from mephisto_es.core.ports import AppendRejected, AppendRequest
from mephisto_es.events.streams import DIRECTORY

from ...postgres import Cluster
from ...shared_log import SharedLog
from .log_servers import PARTITION, FakeServer, LogServer, mirrored_postgres, plain_postgres
from .support import is_repeat, is_written, register, request, unit_event, unit_request, unit_stream

BOTH = [DIRECTORY, PARTITION]

AnyLog = TypeVar("AnyLog", MemoryLog, SqliteLog, PostgresLog, MirroredLog, SharedLog)
SharedOne = TypeVar("SharedOne", PostgresLog, MirroredLog, SharedLog)


def over_both(worker: int, unit: int, step: int = 0) -> AppendRequest:
    """A command over the directory and the run."""
    named: AppendRequest = register(worker, f"Ada {worker}")
    return replace(named, events=(*named.events, *unit_request(unit, step).events))


def commands(log: MemoryLog | SqliteLog | PostgresLog) -> list[str]:
    return [each.envelope.command for each in log.read() if each.envelope.ordinal == 0]


class PartitionsContract(Generic[AnyLog]):
    """Commands over several partitions, and commands of which nobody knows whether they were executed."""

    #: Opens the log, again and again.
    open: Callable[[], AnyLog]

    def test_a_turn_over_a_run_and_the_directory_commits_to_both(self) -> None:
        log = self.open()
        turn = log.begin(BOTH, (), ["register-3"])
        assert (turn.news, turn.known) == ((), {})
        both, after = log.commit([over_both(3, 1), unit_request(1, 1)])
        assert is_written(both)
        assert is_written(after)
        assert [each.envelope.stream for each in log.read()] == ["worker/3", unit_stream(1), unit_stream(1)]
        assert [each.seq for each in log.read()] == [1, 2, 3]

    def test_it_is_known_in_a_turn_over_both_and_is_not_written_again(self) -> None:
        log = self.open()
        log.begin(BOTH, (), ())
        (written,) = log.commit([over_both(3, 1)])
        assert is_written(written)
        assert log.begin(BOTH, (), ["register-3"]).known == {"register-3": written.events}
        (again,) = log.commit([over_both(3, 1)])
        assert is_repeat(again)
        assert again.events == written.events
        assert commands(log) == ["register-3"]

    def test_a_command_of_another_partition_is_known_and_its_id_is_not_used_again(self) -> None:
        log = self.open()
        (written,) = log.commit([register(3, "Ada")])
        assert is_written(written)
        assert log.begin([PARTITION], (), ["register-3"]).known == {"register-3": written.events}
        refused, beside = log.commit([replace(unit_request(1, 0), command="register-3"), unit_request(2, 0)])
        assert isinstance(refused, AppendRejected)
        assert isinstance(refused.error, CommandIdReusedError)
        assert is_written(beside)
        assert commands(log) == ["register-3", "unit-2-0"]

    def test_it_is_refused_whole_if_one_partition_has_moved_on(self) -> None:
        log = self.open()
        log.commit([unit_request(1, 0)])
        log.begin(BOTH, (), ())
        late = replace(over_both(3, 1, 1), expected={unit_stream(1): 0})
        refused, beside = log.commit([late, register(4, "Grace")])
        assert isinstance(refused, AppendRejected)
        assert isinstance(refused.error, VersionConflictError)
        assert is_written(beside)
        assert commands(log) == ["unit-1-0", "register-4"]

    @pytest.mark.parametrize("was_written", [True, False])
    def test_whoever_does_not_know_the_outcome_repeats_the_command_later(self, was_written: bool) -> None:
        log = self.open()
        if was_written:
            log.commit([over_both(3, 1)])
        log.close()
        later = self.open()
        turn = later.begin(BOTH, (), ["register-3"])
        assert (turn.known != {}) is was_written
        (outcome,) = later.commit([over_both(3, 1)])
        assert is_repeat(outcome) is was_written
        assert commands(later) == ["register-3"]


class SharedContract(PartitionsContract[SharedOne]):
    """Several writers of one log."""

    #: The server that they share.
    server: LogServer[SharedOne]

    def test_two_writers_of_one_partition_see_each_other_and_lose_nothing(self) -> None:
        first, second = self.open(), self.open()
        for step in range(4):
            writer = second if step % 2 else first
            news = writer.begin([PARTITION], (), ()).news
            assert [each.envelope.version for each in news] == ([step] if step else [])
            asked = request(f"step-{step}", (unit_stream(1), unit_event(1, step)), expected={unit_stream(1): step})
            assert is_written(writer.commit([asked])[0])
        assert commands(self.open()) == [f"step-{step}" for step in range(4)]

    def test_a_decision_without_the_news_of_the_other_is_refused(self) -> None:
        first, second = self.open(), self.open()
        first.commit([unit_request(1, 0)])
        second.begin([PARTITION], (), ())
        (late,) = second.commit([request("late", (unit_stream(1), unit_event(1, 0)), expected={unit_stream(1): 0})])
        assert isinstance(late, AppendRejected)
        assert commands(second) == ["unit-1-0"]

    def test_a_turn_over_both_keeps_the_other_out_of_both(self) -> None:
        first, second = self.open(), self.open()
        with ThreadPoolExecutor() as threads:
            first.begin(BOTH, (), ())
            waiting = threads.submit(second.commit, [register(4, "Grace")])
            self.server.wait_until_somebody_waits()
            first.commit([over_both(3, 1)])
            waiting.result(120)
        assert commands(self.open()) == ["register-3", "register-4"]

    def test_a_command_of_one_is_known_to_the_other(self) -> None:
        first, second = self.open(), self.open()
        first.commit([over_both(3, 1)])
        assert list(second.begin(BOTH, (), ["register-3"]).known) == ["register-3"]
        assert is_repeat(second.commit([over_both(3, 1)])[0])

    def test_what_others_wrote_elsewhere_during_a_turn_is_news_by_the_next_one(self) -> None:
        first, second = self.open(), self.open()
        first.begin([PARTITION], [DIRECTORY], ())
        second.commit([register(4, "Grace")])
        first.commit([unit_request(1, 0)])
        news = first.take_news()
        news += first.begin([PARTITION], [DIRECTORY], ()).news
        assert [each.envelope.command for each in news] == ["register-4"]
        first.commit([])

    def test_a_fenced_writer_writes_to_no_partition(self) -> None:
        first, second = self.open(), self.open()
        self.server.take(first, "ada")
        first.commit([unit_request(1, 0)])
        assert not isinstance(self.server.take(second, "bob"), int)
        self.server.let_time_pass(over_the_lease_of="ada")
        assert isinstance(self.server.take(second, "bob"), int)
        with pytest.raises(WriterFencedError, match="another operator has taken over"):
            first.begin([DIRECTORY], (), ())
        assert is_written(second.commit([unit_request(1, 1)])[0])
        assert commands(self.open()) == ["unit-1-0", "unit-1-1"]

    def test_a_commit_over_both_whose_answer_was_lost_is_written_once(self) -> None:
        log = self.open()
        self.server.make_forgetful(log)
        log.begin(BOTH, (), ())
        self.server.lose_answer(log)
        assert is_written(log.commit([over_both(3, 1)])[0])
        assert self.server.has_lost_answer(log)
        assert commands(self.open()) == ["register-3"]

    def test_who_lost_a_turn_with_its_connection_does_not_write_over_another(self) -> None:
        first, second = self.open(), self.open()
        first.begin([PARTITION], (), ())
        self.server.cut_connections()
        second.commit([unit_request(2, 0)])
        with pytest.raises(LogError, match="another writer came first"):
            first.commit([unit_request(1, 0)])
        assert commands(second) == ["unit-2-0"]

    def test_who_lost_a_turn_with_its_connection_does_not_rest_on_what_another_has_changed(self) -> None:
        """Two operators gave a worker the last unit that the worker may have, each in a run of its own."""
        first, second = self.open(), self.open()
        first.begin(BOTH, (), ())
        self.server.cut_connections()
        second.commit([register(4, "Grace")])
        with pytest.raises(LogError, match="another writer came first"):
            first.commit([unit_request(1, 0)])
        assert commands(second) == ["register-4"]

    def test_who_lost_a_turn_writes_although_what_it_only_read_has_another_owner(self) -> None:
        first, second = self.open(), self.open()
        first.begin(BOTH, (), ())
        self.server.cut_connections()
        assert isinstance(self.server.take(second, "bob"), int)
        assert is_written(first.commit([register(4, "Grace")])[0])
        assert commands(self.open()) == ["register-4"]


class TestMemoryPartitions(PartitionsContract[MemoryLog]):
    @pytest.fixture(autouse=True)
    def kept(self) -> None:
        log = MemoryLog()
        self.open = lambda: log

    def test_there_is_never_another_writer_nor_a_commit_that_is_lost(self) -> None:
        """The log is its object: another object is another log, and a commit returns or raises."""
        log = self.open()
        log.commit([over_both(3, 1)])
        assert not log.is_shared
        assert commands(MemoryLog()) == []


class TestSqlitePartitions(PartitionsContract[SqliteLog]):
    @pytest.fixture(autouse=True)
    def kept(self, tmp_path: Path) -> Iterator[None]:
        with ExitStack() as opened:
            self.path = tmp_path / "log.db"
            self.open = lambda: opened.enter_context(closing(SqliteLog.create_or_open(self.path)))
            yield

    def test_a_second_writer_is_told_who_has_the_log(self) -> None:
        log = self.open()
        assert not log.is_shared
        with pytest.raises(UnusableLogError, match="is being written by process"):
            self.open()

    def test_a_writer_whose_lock_was_lost_is_fenced_in_all_partitions(self) -> None:
        log = self.open()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as usurper:
            usurper.execute("UPDATE writer SET epoch = epoch + 1")
        with pytest.raises(WriterFencedError):
            log.commit([over_both(3, 1)])
        with pytest.raises(LogError, match="accepts nothing more"):
            log.commit([register(4, "Grace")])


class TestPostgresPartitions(SharedContract[PostgresLog]):
    @pytest.fixture(autouse=True)
    def kept(self, cluster: Cluster) -> Iterator[None]:
        with plain_postgres(cluster) as self.server:
            self.open = self.server.open
            yield


class TestMirroredPartitions(SharedContract[MirroredLog]):
    @pytest.fixture(autouse=True)
    def kept(self, cluster: Cluster, tmp_path: Path) -> Iterator[None]:
        with mirrored_postgres(cluster, tmp_path) as self.server:
            self.open = self.server.open
            yield


class TestFakePartitions(SharedContract[SharedLog]):
    @pytest.fixture(autouse=True)
    def kept(self) -> None:
        self.server = FakeServer()
        self.open = self.server.open
