"""A PostgreSQL server for tests: one for all workers of a session, on a socket in a folder of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

#: Where Debian and its relatives have the programs of a server, and which user may start one when we are root.
DEBIAN_FOLDERS = Path("/usr/lib/postgresql")
SERVER_USER = "postgres"
#: What is not tested here is whether the disk keeps its promises.
SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
max_connections = 200
"""


def server_programs() -> Path:
    """Return the folder with `initdb`; skip the test if there is none, or fail it if it is required to run."""
    folders = [folder / "bin" for folder in sorted(DEBIAN_FOLDERS.glob("*"), key=lambda folder: folder.name)]
    found = shutil.which("initdb")
    folders += [Path(found).parent] if found else []
    if not folders:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return folders[-1]


class Cluster:
    """A running server.

    Attributes:
        folder: its data, socket and log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, programs: Path, settings: str = SETTINGS) -> Cluster:
        """Make a server with empty tables and start it."""
        cluster = cls.in_new_folder()
        options = ("-U", "es", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        cluster.run(programs / "initdb", "-D", cluster.folder / "data", *options)
        with (cluster.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings)
        cluster.start(programs)
        return cluster

    @classmethod
    def in_new_folder(cls) -> Cluster:
        """Make the folder of a server, and nothing in it."""
        cluster = cls(Path(tempfile.mkdtemp(prefix="mephisto-pg-")))
        if os.geteuid() == 0:
            shutil.chown(cluster.folder, SERVER_USER)
        return cluster

    def start(self, programs: Path) -> None:
        """Start the server, and return when it can be used."""
        # The socket's folder is no setting: it would be copied to standbys.
        command = ("-D", self.folder / "data", "-l", self.folder / "server.log", "-o", f"-k {self.folder}")
        self.run(programs / "pg_ctl", *command, "-w", "start")

    def run(self, *command: str | Path) -> None:
        """Run a program of the server, as a user who may: it refuses to be run by root."""
        as_user = ["setpriv", f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--clear-groups"]
        prefix = as_user if os.geteuid() == 0 else []
        # The server keeps the descriptors that it gets, and a pipe would never end.
        with (self.folder / "output.txt").open("ab") as output:
            subprocess.run([*prefix, *map(str, command)], check=True, cwd=self.folder, stdout=output, stderr=output)

    def stop(self, programs: Path) -> None:
        """Stop the server and delete its data."""
        self.run(programs / "pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder)

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://es@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Return the address of this process's database, without tables. Making another one would take longer."""
        name = f"tests_{os.getpid()}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as db:
            if db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                db.execute(f"CREATE DATABASE {name}".encode())
        with psycopg.connect(self.address(name), autocommit=True) as db:
            db.execute("SET client_min_messages = 'warning'")
            db.execute("DROP SCHEMA IF EXISTS es CASCADE")
        return self.address(name)


@contextmanager
def shared_cluster(folder: Path) -> Iterator[Cluster]:
    """Use the server that all processes of a session share; the first one starts it, and the last one stops it.

    Args:
        folder: a folder that they have in common.
    """
    programs = server_programs()
    place, users = folder / "postgres-folder", folder / "postgres-users"
    with _locked(folder):
        number = int(users.read_text()) if users.exists() else 0
        if number == 0:
            place.write_text(str(Cluster.make(programs).folder))
        users.write_text(str(number + 1))
        cluster = Cluster(Path(place.read_text()))
    try:
        yield cluster
    finally:
        with _locked(folder):
            number = int(users.read_text()) - 1
            users.write_text(str(number))
            if number == 0:
                cluster.stop(programs)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "postgres-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
