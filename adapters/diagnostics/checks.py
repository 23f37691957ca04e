"""Checks that this machine has what runs need, and says how to fix what is missing."""

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
from ..composition.log_choice import LOG_VARIABLE, server_promise
from ..log.sqlite.reader import LogReader

#: The first version with STRICT tables.
MIN_SQLITE = (3, 37, 0)
#: In these versions, several connections that write and checkpoint at the same time can corrupt a WAL database.
WAL_RESET_BUG = ((3, 7, 0), (3, 51, 2))
MIN_NODE = 18
VERSION_SECONDS = 20
_GIB = 2**30


class CheckState(Enum):
    """The severity of a check's result."""

    OK = "ok"
    #: Something that only some runs need is missing.
    MISSING = "missing"
    #: No run works until this is fixed.
    WRONG = "wrong"


class CheckResult(msgspec.Struct, frozen=True):
    """The result of one check."""

    what: str
    state: CheckState
    text: str
    #: The remedy.
    hint: str | None = None


def check_all() -> Iterator[CheckResult]:
    """Yield the results of all checks, the most important first."""
    yield CheckResult("mephisto-es", CheckState.OK, f"{version('mephisto-es')} on Python {platform.python_version()}")
    yield check_sqlite(sqlite3.sqlite_version_info)
    yield _settings()
    yield from _data()
    yield from _log_server()
    yield from _plugins()
    yield _node()
    yield _tool("npm", "router of server_type=node", "It comes with Node.js: https://nodejs.org")
    yield _tool("git", "architect heroku", "Install it, on Debian: apt-get install git")
    yield _tool(
        "heroku", "architect heroku, which installs it with npm when it is first needed", "Then log in: heroku login"
    )


def check_sqlite(found: tuple[int, int, int]) -> CheckResult:
    """Check a version of SQLite."""
    text = ".".join(map(str, found))
    if found < MIN_SQLITE:
        minimum = ".".join(map(str, MIN_SQLITE))
        return CheckResult(
            "SQLite", CheckState.WRONG, f"{text} is older than {minimum}", "Use a Python with a newer one"
        )
    first, last = WAL_RESET_BUG
    if first <= found <= last:
        text += (
            "; up to 3.51.2, it can corrupt a database that several connections write (the WAL-reset bug): "
            "a log has a single writer and is not affected, but other programs must only read it"
        )
    return CheckResult("SQLite", CheckState.OK, text)


def _settings() -> CheckResult:
    file = config_file()
    try:
        sections = get_config()
    except ConfigError as error:
        return CheckResult("settings", CheckState.WRONG, str(error))
    return CheckResult("settings", CheckState.OK, f"{file}" if sections else f"{file}: none yet")


def _data() -> Iterator[CheckResult]:
    try:
        folder = data_dir()
    except ConfigError:
        return  # reported for the settings
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        hint = "Name another one: mephisto-es config core.main_data_directory FOLDER"
        yield CheckResult("data folder", CheckState.WRONG, f"{folder}: {existing} cannot be written to", hint)
        return
    free = f"{shutil.disk_usage(existing).free / _GIB:,.1f} GiB free"
    created = "" if existing == folder else ", created by the first launch"
    yield CheckResult("data folder", CheckState.OK, f"{folder} ({free}{created})")
    database = folder / DATABASE_FILE
    if database.exists():
        yield _log(database)


def _log(database: Path) -> CheckResult:
    try:
        with LogReader(database) as log:
            return CheckResult("log", CheckState.OK, f"{database}: {log.head().seq:,} events")
    except LogError as error:
        return CheckResult("log", CheckState.WRONG, str(error), "Salvage what you can: mephisto-es doctor")


def _log_server() -> Iterator[CheckResult]:
    """Check the server that holds the log, if there is one."""
    what, hint = "log server", f"Compare {LOG_VARIABLE} with the server"
    try:
        found = server_promise()
    except ConfigError as error:
        yield CheckResult(what, CheckState.WRONG, str(error))
        return
    except LogError as error:
        yield CheckResult(what, CheckState.WRONG, str(error), hint)
        return
    if found is None:
        return
    name, losses, notes = found
    if losses:
        hint = "Ask whoever looks after the server to change that: work that was acknowledged would be lost"
        yield CheckResult(what, CheckState.WRONG, f"{name}: {'; '.join(losses)}", hint)
    else:
        yield CheckResult(what, CheckState.OK, f"{name}: {'; '.join(notes)}")


def _plugins() -> Iterator[CheckResult]:
    fill_registries()
    for failure in load_failures():
        who = failure.package or failure.target
        yield CheckResult(
            "plugin",
            CheckState.WRONG,
            f"{failure.abstraction_type.value} {failure.name!r} of {who} does not load: {failure.reason}",
            f"Repair or remove {who}",
        )


def _node() -> CheckResult:
    needed_for, hint = "router of server_type=node, architect heroku", f"Install Node.js {MIN_NODE} or later"
    found = _tool("node", needed_for, hint)
    if found.state is not CheckState.OK:
        return found
    try:
        output = subprocess.run(["node", "--version"], capture_output=True, timeout=VERSION_SECONDS, check=True).stdout
        number = output.decode().strip().removeprefix("v")
        major = int(number.partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return CheckResult("node", CheckState.MISSING, f"{found.text} does not report its version ({needed_for})", hint)
    if major < MIN_NODE:
        return CheckResult("node", CheckState.MISSING, f"{number} is too old ({needed_for})", hint)
    return CheckResult("node", CheckState.OK, f"{number} at {found.text}")


def _tool(name: str, needed_for: str, hint: str) -> CheckResult:
    path = shutil.which(name)
    if path is None:
        return CheckResult(name, CheckState.MISSING, f"not on the PATH; needed for: {needed_for}", hint)
    return CheckResult(name, CheckState.OK, path)
