"""Nothing is confirmed before a synchronous standby has it, even if an administrator ends the server's wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import psycopg
import pytest

from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.adapters.log.postgres.server import Server
from mephisto_es.events.streams import partition_of_run

from ...postgres import SETTINGS, Cluster, server_programs
from .support import RUN, is_written, unit_request

PARTITION = partition_of_run(RUN)
T = TypeVar("T")
#: The standby does not exist, so each commit waits.
WITH_STANDBY = f"{SETTINGS}synchronous_standby_names = 'nobody'\n"
WAITING = "SELECT pid, xact_start FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = %s"
#: First the session ends with the commit, later with the wait that follows a cancelled one.
ENDS_OF_WAITS = ("terminate", "cancel", "cancel", "terminate")


class Administrator:
    """Somebody who looks at the sessions of a server that waits for its standby, and ends their waits."""

    def __init__(self, cluster: Cluster) -> None:
        self.address = cluster.address("postgres")
        self._db = psycopg.connect(f"{self.address}&options=-csynchronous_commit%3Dlocal", autocommit=True)

    def run(self, statement: str) -> None:
        """Run a statement that waits for no standby."""
        self._db.execute(statement.encode())

    def end_waits(self, server: Server, work: Future[T]) -> None:
        """End the session's waits for the standby, one after the other, and return while it waits again."""
        seen: tuple[object, ...] | None = None
        for end_wait in ENDS_OF_WAITS:
            seen = self._next_wait(server, work, seen)
            self.run(f"SELECT pg_{end_wait}_backend({seen[0]})")
        self._next_wait(server, work, seen)

    def _next_wait(self, server: Server, work: Future[T], seen: tuple[object, ...] | None) -> tuple[object, ...]:
        """Return the session and the transaction with which it waits, once that is another one."""
        while not work.done():
            found = self._db.execute(WAITING, (server.backend_pid,)).fetchone()
            if found is not None and found != seen:
                return found
            self._db.execute("SELECT pg_sleep(0.01)")
        pytest.fail(f"confirmed, although the standby has nothing: {work.result()}")

    def stop_waits(self) -> None:
        """Have nobody wait for a standby any more."""
        self.run("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.run("SELECT pg_reload_conf()")

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(self, *exception: object) -> None:
        """Let everybody end who still waits."""
        self.stop_waits()
        self._db.close()


@pytest.fixture
def administrator() -> Iterator[Administrator]:
    programs = server_programs()
    cluster = Cluster.make(programs, WITH_STANDBY)
    try:
        yield Administrator(cluster)
    finally:
        cluster.stop(programs)


def test_a_commit_is_confirmed_once_the_standby_has_it_whoever_ends_the_wait(administrator: Administrator) -> None:
    administrator.run("ALTER DATABASE postgres SET synchronous_commit = local")
    with closing(PostgresLog(administrator.address)) as log, ThreadPoolExecutor() as threads, administrator:
        assert is_written(log.commit([unit_request(1, 0)])[0])
        administrator.run("ALTER DATABASE postgres RESET synchronous_commit")
        for server in (log._server, log._reader):
            server.call(lambda db: db.execute("SET synchronous_commit = on"))
        # The commit does not give the event its place, because somebody else seems to give places.
        administrator.run("SELECT pg_advisory_lock(hashtext('es.place'))")
        commit = threads.submit(log.commit, [unit_request(1, 1)])
        administrator.end_waits(log._server, commit)
        administrator.run("SELECT pg_advisory_unlock(hashtext('es.place'))")
        # It is there, and could still be lost; so could its place in the common order.
        head = threads.submit(log.head)
        administrator.end_waits(log._reader, head)
        administrator.stop_waits()
        assert is_written(commit.result(120)[0])
        assert head.result(120).seq == 2
        assert [row.command for row in log.raw(PARTITION)] == ["unit-1-0", "unit-1-1"]
