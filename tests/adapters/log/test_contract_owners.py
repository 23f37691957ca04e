"""The contract of logs that operators share: who owns a partition, for how long, and ids that are given out once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import pytest

from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.core.errors import WriterFencedError
from mephisto_es.core.ports import RunHolder

from ...postgres import Cluster
from ...shared_log import SharedLog
from .log_servers import PARTITION, FakeServer, LogServer, plain_postgres
from .support import is_written, unit_request

AnyLog = TypeVar("AnyLog", PostgresLog, SharedLog)


class OwnersContract(Generic[AnyLog]):
    """Operators that own a partition one after the other."""

    #: The server that they share.
    server: LogServer[AnyLog]

    @pytest.fixture
    def first(self) -> AnyLog:
        return self.server.open()

    @pytest.fixture
    def second(self) -> AnyLog:
        return self.server.open()

    def test_nobody_is_taken_for_dead_right_after_the_server_was_away(self, first: AnyLog, second: AnyLog) -> None:
        """Then all leases have run out. Whoever lives is heard of before anybody has been steady for long enough."""
        self.server.take(first, "ada")
        self.server.let_time_pass(over_the_lease_of="ada")
        assert isinstance(self.server.take(second, "bob"), RunHolder)
        assert self.server.beat("ada")
        self.server.let_time_pass()
        assert isinstance(self.server.take(second, "bob"), RunHolder)
        first.commit([unit_request(1, 0)])

    def test_another_operator_hears_who_owns_it_until_it_is_given_back(self, first: AnyLog, second: AnyLog) -> None:
        self.server.take(first, "ada")
        assert self.server.holder("ada") is None
        for holder in (self.server.holder("bob"), self.server.take(second, "bob")):
            assert isinstance(holder, RunHolder)
            assert (holder.operator, 0 < holder.wait_seconds <= 1440) == ("ada", True)
        self.server.give(first, "ada")
        assert self.server.holder("bob") is None
        assert isinstance(self.server.take(second, "bob"), int)
        # A guest from now on.
        assert is_written(first.commit([unit_request(1, 0)])[0])

    def test_a_fence_rises_with_each_owner(self, first: AnyLog, second: AnyLog) -> None:
        assert [self.server.take(first, "ada"), self.server.take(first, "ada")] == [2, 2]
        assert isinstance(self.server.take(second, "bob"), RunHolder)
        self.server.let_time_pass(over_the_lease_of="ada")
        assert self.server.take(second, "bob") == 3
        assert not self.server.beat("ada")
        with pytest.raises(WriterFencedError, match=PARTITION):
            first.commit([unit_request(1, 0)])

    def test_a_takeover_waits_for_the_turn_in_progress(self, first: AnyLog, second: AnyLog) -> None:
        with ThreadPoolExecutor() as threads:
            self.server.take(first, "ada")
            first.begin([PARTITION], (), ())
            waiting = threads.submit(self.server.take, second, "bob")
            self.server.wait_until_somebody_waits()
            self.server.let_time_pass(over_the_lease_of="ada")
            assert is_written(first.commit([unit_request(1, 0)])[0])
            self.server.let_time_pass()
            assert waiting.result(60) == 3 or self.server.take(second, "bob") == 3
            with pytest.raises(WriterFencedError):
                first.begin([PARTITION], (), ())

    def test_ids_are_given_out_once(self, first: AnyLog, second: AnyLog) -> None:
        asked = ((first, "unit", 7, 10), (second, "unit", 0, 5), (first, "unit", 30, 1), (second, "agent", 0, 1))
        assert [self.server.reserve(*one) for one in asked] == [17, 22, 31, 1]


class TestPostgresOwners(OwnersContract[PostgresLog]):
    @pytest.fixture(autouse=True)
    def kept(self, cluster: Cluster) -> Iterator[None]:
        with plain_postgres(cluster) as self.server:
            yield


class TestFakeOwners(OwnersContract[SharedLog]):
    @pytest.fixture(autouse=True)
    def kept(self) -> None:
        self.server = FakeServer()
