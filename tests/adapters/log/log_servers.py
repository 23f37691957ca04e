"""Servers of logs that several writers share, with all that tests do behind their backs: PostgreSQL, and its fake."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Generic, TypeVar, cast

import psycopg

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.postgres import owning
from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.mirrored import MirroredLog
from mephisto_es.adapters.log.postgres.owning import Lease
from mephisto_es.core.ports import RunHolder
from mephisto_es.events.streams import partition_of_run

from ...postgres import Cluster
from ...shared_log import BEATS, Loss, SharedLog, Store
from .support import RUN
from .test_postgres import ForgetfulServer, cut_connections, let_time_pass, take, wait_until_somebody_waits

PARTITION = partition_of_run(RUN)
LEASE = Lease(3600.0, 3600.0 / BEATS)

OneLog = TypeVar("OneLog", bound=MemoryLog | PostgresLog | MirroredLog)


class LogServer(ABC, Generic[OneLog]):
    """A server, and the partition of `RUN` on it."""

    @abstractmethod
    def open(self) -> OneLog:
        """Return another writer."""

    @abstractmethod
    def take(self, log: OneLog, operator: str) -> int | RunHolder:
        """Make a writer the owner of the partition, unless another one is."""

    @abstractmethod
    def holder(self, operator: str) -> RunHolder | None:
        """Return the other operator that owns the partition and lives."""

    @abstractmethod
    def beat(self, operator: str) -> bool:
        """Prolong the lease of an operator."""

    @abstractmethod
    def give(self, log: OneLog, operator: str) -> None:
        """Give the partition back."""

    @abstractmethod
    def reserve(self, log: OneLog, category: str, used: int, count: int) -> int:
        """Reserve a block of ids."""

    @abstractmethod
    def let_time_pass(self, *, over_the_lease_of: str = "") -> None:
        """Make all operators ones of long ago, and one of them an operator that was not heard of since."""

    @abstractmethod
    def wait_until_somebody_waits(self) -> None:
        """Wait until a writer waits for the turn of another one."""

    @abstractmethod
    def cut_connections(self) -> None:
        """End all connections."""

    @abstractmethod
    def make_forgetful(self, log: OneLog) -> None:
        """Prepare a writer whose answers can be lost, before its turn."""

    @abstractmethod
    def lose_answer(self, log: OneLog) -> None:
        """Lose the connection at the next commit, after everything was done and before the answer comes."""

    @abstractmethod
    def has_lost_answer(self, log: OneLog) -> bool:
        """Return whether that has happened."""


class PostgresServer(LogServer[OneLog]):
    """A server on which writers are opened by a subclass."""

    def __init__(self, address: str, opened: ExitStack) -> None:
        self.address = address
        self._opened = opened

    def take(self, log: OneLog, operator: str) -> int | RunHolder:
        return take(self.address, _on_server(log), operator)

    def holder(self, operator: str) -> RunHolder | None:
        with psycopg.connect(self.address, autocommit=True) as db:
            return owning.holder(db, operator, PARTITION, LEASE)

    def beat(self, operator: str) -> bool:
        with psycopg.connect(self.address, autocommit=True) as db:
            return owning.beat(db, operator, LEASE)

    def give(self, log: OneLog, operator: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as db:
            owning.give(db, operator, PARTITION)
        _on_server(log).disown(PARTITION)

    def reserve(self, log: OneLog, category: str, used: int, count: int) -> int:
        return _on_server(log).reserve(category, used, count)

    def let_time_pass(self, *, over_the_lease_of: str = "") -> None:
        let_time_pass(self.address, over_the_lease_of=over_the_lease_of)

    def wait_until_somebody_waits(self) -> None:
        wait_until_somebody_waits(self.address)

    def cut_connections(self) -> None:
        cut_connections(self.address)

    def make_forgetful(self, log: OneLog) -> None:
        on_server = _on_server(log)
        on_server._server.close()
        on_server._server = ForgetfulServer(self.address)

    def lose_answer(self, log: OneLog) -> None:
        cast(ForgetfulServer, _on_server(log)._server).is_lost = True

    def has_lost_answer(self, log: OneLog) -> bool:
        return not cast(ForgetfulServer, _on_server(log)._server).is_lost


class PlainPostgres(PostgresServer[PostgresLog]):
    """Writers of the log on the server."""

    def open(self) -> PostgresLog:
        return self._opened.enter_context(closing(PostgresLog(self.address)))


class MirroredPostgres(PostgresServer[MirroredLog]):
    """Writers that each keep a copy of the log in a file."""

    def __init__(self, address: str, opened: ExitStack, folder: Path) -> None:
        super().__init__(address, opened)
        self._copies = (folder / f"{number}.db" for number in count())

    def open(self) -> MirroredLog:
        return self._opened.enter_context(closing(MirroredLog.open(self.address, next(self._copies), ())))


class FakeServer(LogServer[SharedLog]):
    """The server in memory that the simulation and the tests of operators use."""

    def __init__(self) -> None:
        self._store = Store(now=lambda: 0.0, lease_seconds=LEASE.seconds)

    def open(self) -> SharedLog:
        return SharedLog(self._store)

    def take(self, log: SharedLog, operator: str) -> int | RunHolder:
        self._store.join(operator)
        taken = self._store.wait_for(lambda: self._store.take(operator, PARTITION))
        if isinstance(taken, int):
            log.own(operator, PARTITION, taken)
        return taken

    def holder(self, operator: str) -> RunHolder | None:
        return self._store.holder(operator, PARTITION)

    def beat(self, operator: str) -> bool:
        return self._store.beat(operator)

    def give(self, log: SharedLog, operator: str) -> None:
        self._store.give(operator, PARTITION)
        log.disown(PARTITION)

    def reserve(self, log: SharedLog, category: str, used: int, count: int) -> int:
        return log.store.reserve(category, used, count)

    def let_time_pass(self, *, over_the_lease_of: str = "") -> None:
        self._store.let_time_pass(over_the_lease_of=over_the_lease_of)

    def wait_until_somebody_waits(self) -> None:
        self._store.wait_until_somebody_waits()

    def cut_connections(self) -> None:
        for log in set(self._store.locks.values()):
            self._store.free(log)

    def make_forgetful(self, log: SharedLog) -> None:
        assert log.loss is None

    def lose_answer(self, log: SharedLog) -> None:
        log.loss = Loss(is_written=True, is_final=False)

    def has_lost_answer(self, log: SharedLog) -> bool:
        return log.loss is None


@contextmanager
def plain_postgres(cluster: Cluster) -> Iterator[PlainPostgres]:
    """Give a server, and close what was opened on it."""
    with ExitStack() as opened:
        yield PlainPostgres(cluster.new_database(), opened)


@contextmanager
def mirrored_postgres(cluster: Cluster, folder: Path) -> Iterator[MirroredPostgres]:
    """Give a server whose log is copied to files in a folder, and close what was opened on it."""
    with ExitStack() as opened:
        yield MirroredPostgres(cluster.new_database(), opened, folder)


def _on_server(log: MemoryLog | PostgresLog | MirroredLog) -> PostgresLog:
    if isinstance(log, MirroredLog):
        return log.server_log
    assert isinstance(log, PostgresLog)
    return log
