"""Chooses where a log is kept: in the data folder's file, or on the PostgreSQL server that the environment names."""

from __future__ import annotations

import hashlib
import importlib
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast
from urllib.parse import parse_qs, urlsplit

from ...core.errors import ConfigError, LogError, UnusableLogError
from ...core.ports import RunOwnership
from ...projections.engine.projection import Projection
from ..log.sqlite.log import SqliteLog
from ..log.sqlite.open_checks import IN_POSTGRES
from ..log.sqlite.reader import LogReader
from ..log.sqlite.writer_lock import WriterLock
from .data_dir import DATABASE_FILE

#: The environment variable with the address of the database that holds the log. It may contain a password, so it is
#: not a setting: settings are recorded.
LOG_VARIABLE = "MEPHISTO_ES_LOG"


class Sharing(RunOwnership, Protocol):
    """The connection of one writer to the others of its log."""

    #: Held while payments are requested, by one writer of the log at a time.
    payment_lock: AbstractAsyncContextManager[None]

    def reserve(self, category: str, used: int, count: int, /) -> int:
        """Reserve a block of ids, and return the last one of it. Blocks."""

    async def run(self, on_news: Callable[[], None], /) -> None:
        """Keep the ownership of runs, and call a function when others have written something, until cancelled."""

    async def leave(self) -> None:
        """Give everything back."""


#: The environment variable with the seconds after which an operator that is not heard of may lose its runs to others.
LEASE_VARIABLE = "MEPHISTO_ES_LEASE_SECONDS"
MAX_LEASE_SECONDS = 3600

_OpenMirrored = Callable[[str, Path, Sequence[Projection]], SqliteLog]


def log_address() -> str | None:
    """Return the address of the database that holds the log; None if it is in the data folder's file."""
    return os.environ.get(LOG_VARIABLE) or None


def keep_log_here() -> None:
    """Keep the logs of this process and its children in files, for what must not be in a log that others share."""
    os.environ.pop(LOG_VARIABLE, None)


def open_log(database: Path, projections: Sequence[Projection]) -> SqliteLog:
    """Become the writer of the log of a data folder, and create it if it does not exist.

    Args:
        database: the file in the data folder: the log itself, or a copy of the one on the server.
        projections: the projections updated within each commit.

    Raises:
        ConfigError: the log is on a server, and the driver is not installed.
        UnusableLogError: the log cannot be used, or another process writes it.
        DamagedLogError: the log was changed from outside, or the server has lost events.
    """
    address = log_address()
    if address is None:
        return SqliteLog.create_or_open(database, projections)
    opened = cast(_OpenMirrored, _module("mirrored").MirroredLog.open)
    return opened(address, database, projections)


def open_sharing(log: SqliteLog) -> Sharing:
    """Return what connects the writer of a log on a server to the others.

    Raises:
        ConfigError: the environment names a lease that is none.
        LogError: the server cannot be used.
    """
    lease = os.environ.get(LEASE_VARIABLE) or "15"
    try:
        seconds = float(lease)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= MAX_LEASE_SECONDS:
        raise ConfigError(
            f"{lease!r} is no lease", key=LEASE_VARIABLE, hint=f"Set it to 1 to {MAX_LEASE_SECONDS} seconds"
        )
    operator = f"{socket.gethostname()}:{os.getpid()}:{log.epoch}"
    opened = cast(Callable[[SqliteLog, str | None, str, float], Sharing], _module("sharing").OperatorSharing)
    return opened(log, log_address(), operator, seconds)


def is_address(text: str) -> bool:
    """Return whether a text is the address of a database, where a path may be meant."""
    return text.startswith(("postgresql://", "postgres://"))


def copy_of(address: str) -> Path:
    """Keep the log of this process in a database, and return the path of its copy in the user's cache folder.

    Args:
        address: the address, without a password: everybody on this machine can see the command line.

    Raises:
        ConfigError: it has a password.
    """
    parts = urlsplit(address)
    if parts.password or "password" in parse_qs(parts.query):
        raise ConfigError(
            "everybody on this machine can see the command line, and the address in it has a password",
            key=LOG_VARIABLE,
            hint="Leave it out, and put it into ~/.pgpass or the environment variable PGPASSWORD",
        )
    os.environ[LOG_VARIABLE] = address
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "mephisto-es" / hashlib.sha256(address.encode()).hexdigest()[:16] / DATABASE_FILE


def refresh_copy(database: Path, projections: Sequence[Projection]) -> None:
    """Bring a copy of the log on a server up to date before it is read, unless a process has it open: that keeps it so.

    Does nothing if the environment names no server, or if there is no file. A file of another name than that in a data
    folder may be any log, for instance one that was copied from a server.

    Raises:
        UnusableLogError: the data folder has a log of its own, so it is not clear which one is meant.
        ConfigError, UnusableLogError, DamagedLogError: as `update_copy`.
    """
    if log_address() is None:
        return
    created_by = _created_by(database)
    if created_by is None or not created_by.endswith(IN_POSTGRES):
        if created_by is not None and database.name == DATABASE_FILE:
            raise UnusableLogError(
                f"{LOG_VARIABLE} names a server, but {database} is a log of its own, not a copy of the one there: "
                f"unset {LOG_VARIABLE} to use this file, or name another data folder"
            )
        return
    try:
        WriterLock(database).release()
    except UnusableLogError:
        return
    update_copy(database, projections)


def _created_by(database: Path) -> str | None:
    """Return the program that created a log; None if there is none that can be read: whoever reads it says why."""
    if not database.exists():
        return None
    try:
        with LogReader(database) as log:
            return log.created_by
    except LogError:
        return None


def update_copy(database: Path, projections: Sequence[Projection]) -> None:
    """Bring the copy of a log on a server up to date, also while an operator writes to the log.

    Raises:
        ConfigError: the environment names no server, or the driver is not installed.
        UnusableLogError, DamagedLogError: as `open_log`.
    """
    address = log_address()
    if address is None:
        raise ConfigError(
            f"{LOG_VARIABLE} is not set, so there is no log on a server to copy from",
            key=LOG_VARIABLE,
            hint="Set it to an address like postgresql://user@host/database",
        )
    cast(_OpenMirrored, _module("mirrored").MirroredLog.open)(address, database, projections).close()


class OwnedPartition(Protocol):
    """The owner of a partition of a log on a server."""

    @property
    def partition(self) -> str:
        """The partition."""

    @property
    def operator(self) -> str:
        """The name of its owner."""

    @property
    def owned_at(self) -> datetime:
        """The time since which it owns the partition, in UTC."""

    @property
    def heard_at(self) -> datetime | None:
        """The time of its last heartbeat, in UTC; None if it is no operator any more."""

    @property
    def is_alive(self) -> bool:
        """False if another operator may take the partition over."""


def owned_partitions() -> Sequence[OwnedPartition] | None:
    """Return who drives which run of the log on the server that the environment names; None if it names none.

    Raises:
        ConfigError: the driver is not installed.
        LogError: the server cannot be used.
    """
    address = log_address()
    if address is None:
        return None
    return cast(Sequence[OwnedPartition], _module("owning").owners_at(address))


def server_promise() -> tuple[str, Sequence[str], Sequence[str]] | None:
    """Return the name of the server that holds the log, what its settings would lose, and notes; None: no server.

    Raises:
        ConfigError: the driver is not installed.
        LogError: the server cannot be used.
    """
    address = log_address()
    if address is None:
        return None
    return cast(tuple[str, Sequence[str], Sequence[str]], _module("promises").promise_of(address))


def _module(name: str) -> ModuleType:
    """Import a module of what needs the driver.

    Raises:
        ConfigError: the driver is not installed.
    """
    try:
        return importlib.import_module(f"..log.postgres.{name}", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "psycopg":
            raise
        raise ConfigError(
            "a log in PostgreSQL needs psycopg, which is not installed",
            key=LOG_VARIABLE,
            hint="Run: pip install 'mephisto-es[postgres]'",
        ) from error
