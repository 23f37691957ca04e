"""Keeps a group of PostgreSQL servers: kills its primary, promotes a standby, and makes the dead server a standby."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from mephisto_es.adapters.log.postgres.log import PostgresLog
from mephisto_es.core.chain import link

from ..postgres import Cluster
from .processes import rest

#: What a group of servers needs to lose nothing: each commit is on two of them. A standby that has lost its primary
#: tries again soon, because the next one waits for it.
SETTINGS = """
listen_addresses = ''
max_connections = 100
synchronous_standby_names = 'ANY 1 (*)'
wal_retrieve_retry_interval = 300ms
shared_buffers = 32MB
"""
#: The same, but nobody waits for a standby.
ASYNCHRONOUS = f"{SETTINGS}synchronous_standby_names = ''\n"
_PAUSE_SECONDS = 0.02


def on(server: Cluster) -> psycopg.Connection[tuple[object, ...]]:
    """Connect to a server as its administrator."""
    return psycopg.connect(server.address("postgres"), autocommit=True)


def add_standby(primary: Cluster, programs: Path, standby: Cluster | None = None) -> Cluster:
    """Copy a primary, and start the copy as a standby of it.

    Args:
        primary: the server to copy.
        programs: the programs of the server.
        standby: a server that has stopped, whose data are replaced; a new one by default.
    """
    standby = standby or Cluster.in_new_folder()
    data = standby.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    for left in standby.folder.glob(".s.PGSQL.*"):
        left.unlink()  # of a killed server, which the system may still list
    source = ("-h", primary.folder, "-U", "es", "-R", "-X", "stream", "--no-sync", "-c", "fast")
    # Some systems link only a few programs from a folder on the PATH.
    standby.run((programs / "initdb").resolve().parent / "pg_basebackup", "-D", data, *source)
    standby.start(programs)
    return standby


class ServerGroup:
    """A primary and its standbys, all on this machine.

    Attributes:
        primary: the server that is written to.
        standbys: the others that run.
        dead: those that were killed.
    """

    def __init__(self, programs: Path, standbys: int, settings: str = SETTINGS) -> None:
        """Make and start all servers."""
        self._programs = programs
        # Without a standby nothing could be committed.
        self.primary = Cluster.make(programs, ASYNCHRONOUS)
        self.standbys = list[Cluster]()
        self.dead = list[Cluster]()
        try:
            for _ in range(standbys):
                self.standbys.append(add_standby(self.primary, programs))
            for server in (self.primary, *self.standbys):
                with (server.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
                    file.write(settings)
                self._reload(server)
        except BaseException:
            self.stop()
            raise

    def address(self, database: str) -> str:
        """Return the address of a database on whichever server is the primary."""
        hosts = ",".join(str(server.folder) for server in (self.primary, *self.standbys, *self.dead))
        return f"postgresql://es@/{database}?host={hosts}"

    def create_database(self, name: str) -> None:
        """Create a database."""
        with on(self.primary) as db:
            db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def cpu_seconds(self) -> float:
        """Return the CPU time of all servers so far."""
        return sum(_cpu_seconds(_postmaster(server)) for server in (self.primary, *self.standbys))

    def wait_for_standbys(self, how: tuple[str, ...] = ("quorum", "sync")) -> None:
        """Wait until all standbys have what the primary has, and follow it."""
        with on(self.primary) as db:
            while True:
                row = db.execute(
                    "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = ANY (%s)",
                    (list(how),),
                ).fetchone()
                if row == (len(self.standbys),):
                    return
                rest(_PAUSE_SECONDS)

    def kill_primary(self) -> None:
        """End the primary and all its processes at once, as when its machine dies."""
        postmaster = _postmaster(self.primary)
        os.kill(postmaster, signal.SIGSTOP)
        doomed = [*_children(postmaster), postmaster]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(_is_alive(pid) for pid in doomed):
            rest(_PAUSE_SECONDS)
        self.dead.append(self.primary)

    def promote(self) -> Cluster:
        """Make the standby that has most the primary, and the others its standbys; return it."""
        received = [(_received(server), number) for number, server in enumerate(self.standbys)]
        self.primary = self.standbys.pop(max(received)[1])
        for server in self.standbys:
            with on(server) as db:
                source = sql.Literal(f"user=es host={self.primary.folder}")
                db.execute(sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(source))
            self._reload(server)
        self.primary.run(self._programs / "pg_ctl", "-D", self.primary.folder / "data", "-w", "promote")
        return self.primary

    def rebuild(self) -> None:
        """Make the servers that were killed standbys of the primary."""
        while self.dead:
            self.standbys.append(add_standby(self.primary, self._programs, self.dead.pop()))

    def stop_receivers(self) -> None:
        """Have the standbys receive nothing more."""
        for server in self.standbys:
            with on(server) as db:
                db.execute("ALTER SYSTEM SET primary_conninfo = ''")
            self._reload(server)
        with on(self.primary) as db:
            while db.execute("SELECT 1 FROM pg_stat_replication").fetchone() is not None:
                rest(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Stop all servers, and delete their data."""
        for server in (self.primary, *self.standbys):
            if server not in self.dead:
                server.stop(self._programs)
        for server in self.dead:
            shutil.rmtree(server.folder, ignore_errors=True)

    def _reload(self, server: Cluster) -> None:
        server.run(self._programs / "pg_ctl", "-D", server.folder / "data", "reload")


@contextmanager
def server_group(programs: Path, standbys: int, settings: str = SETTINGS) -> Iterator[ServerGroup]:
    """A group of servers within the block."""
    group = ServerGroup(programs, standbys, settings)
    try:
        yield group
    finally:
        group.stop()


def _received(server: Cluster) -> int:
    """Return how much a standby has received, in bytes, once it receives nothing more."""
    with on(server) as db:
        while True:
            row = db.execute(
                "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn, (SELECT count(*) FROM pg_stat_wal_receiver)"
            ).fetchone()
            assert row is not None
            if row[1] == 0:
                return int(str(row[0]))
            rest(_PAUSE_SECONDS)


def is_whole(log: PostgresLog, partition: str) -> bool:
    """Return whether a partition has no gap, and an intact chain."""
    chain = log.genesis(partition)
    for expected, row in enumerate(log.raw(partition), 1):
        chain = link(chain, row.seq, row.epoch, row.data)
        if (row.seq, row.chain) != (expected, chain):
            return False
    return True


def _postmaster(server: Cluster) -> int:
    return int((server.folder / "data" / "postmaster.pid").read_text().split()[0])


def _cpu_seconds(postmaster: int) -> float:
    """Return the CPU time of a server: of its processes, and of those that have ended."""
    ticks = sum(map(int, _stat(postmaster)[11:15]))
    ticks += sum(int(value) for child in _children(postmaster) for value in _stat(child)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its status on; nothing if there is none."""
    try:
        # The name of the program, in parentheses, may have spaces in it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children(parent: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if _stat(pid)[1:2] == [str(parent)]]


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended may stay as a zombie."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])
