"""Says what a PostgreSQL server would lose by its settings, of what it has acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import NamedTuple

from .server import Connection, Server

_SETTINGS = """
    SELECT name, setting FROM pg_settings WHERE name IN
      ('fsync', 'full_page_writes', 'server_version_num', 'synchronous_commit', 'synchronous_standby_names')
"""


class ServerPromise(NamedTuple):
    """The meaning of a server's settings for a log."""

    #: The server and database, without user and password.
    name: str
    #: Sentences on what is lost although it was acknowledged, and when; empty: nothing.
    losses: tuple[str, ...]
    #: More that is worth knowing.
    notes: tuple[str, ...]


def promise_of(address: str) -> ServerPromise:
    """Ask a server for its settings.

    Raises:
        UnusableLogError: it cannot be reached, or the address is not valid.
        LogError: it refused.
    """
    with closing(Server(address)) as server:
        return judge_settings(server.name, server.call(_read))


def _read(db: Connection) -> dict[str, str]:
    return dict(db.execute(_SETTINGS).fetchall())


def judge_settings(name: str, settings: Mapping[str, str]) -> ServerPromise:
    """Return what settings mean.

    Args:
        name: the server and database.
        settings: the settings that `promise_of` asks for, by name.
    """
    losses: list[str] = []
    if settings["fsync"] == "off":
        losses.append("fsync is off: a power cut can destroy the whole database")
    if settings["full_page_writes"] == "off":
        losses.append("full_page_writes is off: a power cut can damage pages of the database")
    if settings["synchronous_commit"] == "off":
        losses.append("synchronous_commit is off: a crash of the server loses the last commits")
    standbys = settings["synchronous_standby_names"]
    waits = settings["synchronous_commit"] in ("on", "remote_write", "remote_apply")
    if standbys and not waits and settings["synchronous_commit"] != "off":
        losses.append(f"synchronous_commit is {settings['synchronous_commit']}: a failover loses the last commits")
    notes = [f"version {int(settings['server_version_num']) // 10_000}"]
    notes.append(
        f"synchronous standbys: {standbys}"
        if standbys
        else "no synchronous standby: if the server's disk dies, what came after its last backup is lost"
    )
    return ServerPromise(name, tuple(losses), tuple(notes))
