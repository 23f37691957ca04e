"""Looks at what this machine has of what runs need: what is missing, what is wrong, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import version
from pathlib import Path

import msgspec

from ...core.errors import ConfigError, LogError
from ...core.operations.config_handler import config_file, get_config
from ...core.operations.registry import fill_registries, load_failures
from ..composition.data_dir import DATABASE_FILE, data_dir
from ..log.sqlite.reader import LogReader

#: STRICT tables came with it.
OLDEST_SQLITE = (3, 37, 0)
#: Between these, several connections that write and checkpoint at a time could corrupt a database in WAL mode.
WAL_RESET_BUG = ((3, 7, 0), (3, 51, 2))
OLDEST_NODE = 18
VERSION_SECONDS = 20
_GIB = 2**30


class State(Enum):
    """How serious a finding is."""

    OK = "ok"
    #: Something that only some runs need is not there.
    MISSING = "missing"
    #: No run works before this is put right.
    WRONG = "wrong"


class CheckResult(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    what: str
    state: State
    said: str
    #: What to do about it.
    hint: str | None = None


def check_up() -> Iterator[CheckResult]:
    """Look at everything, the most needed first."""
    yield CheckResult("mephisto-es", State.OK, f"{version('mephisto-es')} on Python {platform.python_version()}")
    yield sqlite(sqlite3.sqlite_version_info)
    yield _settings()
    yield from _data()
    yield from _plugins()
    yield _node()
    yield _tool("npm", "router of server_type=node", "It comes with Node.js: https://nodejs.org")
    yield _tool("git", "architect heroku", "Install it, on Debian: apt-get install git")
    yield _tool(
        "heroku", "architect heroku, which installs it by npm when it is first needed", "Then log in: heroku login"
    )


def sqlite(found: tuple[int, int, int]) -> CheckResult:
    """What is to be said of a version of SQLite."""
    said = ".".join(map(str, found))
    if found < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return CheckResult(
            "SQLite", State.WRONG, f"{said} is older than {oldest}", "Use a Python that brings a newer one"
        )
    first, last = WAL_RESET_BUG
    if first <= found <= last:
        said += (
            "; up to 3.51.2 it can damage a database that several connections write (the WAL-reset bug): "
            "a log has a single writer and is not affected, other programs must only read it"
        )
    return CheckResult("SQLite", State.OK, said)


def _settings() -> CheckResult:
    file = config_file()
    try:
        sections = get_config()
    except ConfigError as error:
        return CheckResult("settings", State.WRONG, str(error))
    return CheckResult("settings", State.OK, f"{file}" if sections else f"{file}: none yet")


def _data() -> Iterator[CheckResult]:
    try:
        folder = data_dir()
    except ConfigError:
        return  # said of the settings
    standing = next(each for each in (folder, *folder.parents) if each.exists())
    if not (standing.is_dir() and os.access(standing, os.W_OK)):
        hint = "Name another one: mephisto-es config core.main_data_directory FOLDER"
        yield CheckResult("data folder", State.WRONG, f"{folder}: {standing} cannot be written to", hint)
        return
    free = f"{shutil.disk_usage(standing).free / _GIB:,.1f} GiB free"
    made = "" if standing == folder else ", made by the first launch"
    yield CheckResult("data folder", State.OK, f"{folder} ({free}{made})")
    database = folder / DATABASE_FILE
    if database.exists():
        yield _log(database)


def _log(database: Path) -> CheckResult:
    try:
        with LogReader(database) as log:
            return CheckResult("log", State.OK, f"{database}: {log.head().seq:,} events")
    except LogError as error:
        return CheckResult("log", State.WRONG, str(error), "See what can be saved: mephisto-es doctor")


def _plugins() -> Iterator[CheckResult]:
    fill_registries()
    for failure in load_failures():
        who = failure.package or failure.target
        yield CheckResult(
            "plugin",
            State.WRONG,
            f"{failure.abstraction_type.value} {failure.name!r} of {who} does not load: {failure.reason}",
            f"Repair or remove {who}",
        )


def _node() -> CheckResult:
    needed_for, hint = "router of server_type=node, architect heroku", f"Install Node.js {OLDEST_NODE} or later"
    found = _tool("node", needed_for, hint)
    if found.state is not State.OK:
        return found
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, timeout=VERSION_SECONDS, check=True).stdout
        number = said.decode().strip().removeprefix("v")
        major = int(number.partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return CheckResult("node", State.MISSING, f"{found.said} does not say its version ({needed_for})", hint)
    if major < OLDEST_NODE:
        return CheckResult("node", State.MISSING, f"{number} is too old ({needed_for})", hint)
    return CheckResult("node", State.OK, f"{number} at {found.said}")


def _tool(name: str, needed_for: str, hint: str) -> CheckResult:
    path = shutil.which(name)
    if path is None:
        return CheckResult(name, State.MISSING, f"not on the PATH; needed for: {needed_for}", hint)
    return CheckResult(name, State.OK, path)
