"""Puts a database into the commands that messages advise. Shared by the command line and the web pages.

A message of core does not know which log its reader named. A command copied out of it would reach the default log.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from ..core.errors import ConfigError
from ..core.operations.logger_core import completing_commands
from .composition.data_dir import DATABASE_FILE, data_dir

#: Verbs whose first argument is the database.
DATABASE_VERBS = frozenset(
    {
        *(
            "adjudicate",
            "backup",
            "blockers",
            "bundle",
            "codes",
            "diff",
            "doctor",
            "end",
            "erase",
            "explain",
            "export",
            "extend",
        ),
        *(
            "files",
            "invite",
            "ledger",
            "log update",
            "message",
            "pause",
            "pay",
            "preferences",
            "projections",
            "projects",
        ),
        *("prove", "quality", "reconcile", "reopen", "replay", "report", "requesters", "resources list"),
        *("resources release", "restore", "resume", "retry", "review", "runs", "seal", "serve", "show", "status"),
        *("tail", "timeline", "top", "verify", "worker"),
    }
)

_GIVEN = f"{__name__}.database"
#: Longer verbs first: a group's name is also the beginning of its commands.
_VERBS = "|".join(sorted(map(re.escape, DATABASE_VERBS), key=len, reverse=True))
#: A command, and what follows it unless that is a path, which then is the database already.
_COMMAND = re.compile(rf"(\bmephisto-es (?:{_VERBS})(?![\w-]))(?! (?:DATABASE\b|NEW\b|[^\s`]*/|[^\s`]*\.db\b))")


def with_database(text: str, database: str) -> str:
    """Return a message whose commands name a database; commands that name one stay as they are."""
    quoted = shlex.quote(database)
    return _COMMAND.sub(lambda found: f"{found[1]} {quoted}", text)


def written_database(database: Path) -> str:
    """Return a log as a command names it, wherever it is called: the data folder, or the file itself."""
    path = database.absolute()
    return str(path.parent if path.name == DATABASE_FILE else path)


@asynccontextmanager
async def log_lines_naming(database: Path) -> AsyncIterator[None]:
    """Put a log into the commands of log lines in a block, unless it is the one that commands reach anyway."""
    is_usual, written = _is_usual(database), written_database(database)
    with completing_commands(lambda text: text if is_usual else with_database(text, written)):
        yield


def _is_usual(database: Path) -> bool:
    """Return whether a command that names no log reaches this one."""
    try:
        return database.absolute() == data_dir() / DATABASE_FILE
    except ConfigError:
        return False


def remember_database(ctx: click.Context | None, written: str) -> None:
    """Keep the database as the user wrote it, for the commands that messages of this call advise."""
    if ctx is not None:
        ctx.meta[_GIVEN] = written


def advised(text: str, ctx: click.Context | None = None) -> str:
    """Return a message whose commands name the database of this call.

    Args:
        text: a message; commands in it that name a database stay as they are.
        ctx: the call; by default the current one. If its user named no database, the message is unchanged.
    """
    ctx = ctx or click.get_current_context(silent=True)
    written = None if ctx is None else ctx.meta.get(_GIVEN)
    return with_database(text, str(written)) if written else text
