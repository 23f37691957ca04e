"""Implements `mephisto-es log`: copy a log between a file and a PostgreSQL database, and keep a copy up to date."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click
import msgspec
import trio
from psycopg import ProgrammingError, conninfo

from ...projections.audit.report import ReplayReport
from ...projections.registry import PROJECTIONS
from ..composition.data_dir import DATABASE_FILE
from ..composition.log_choice import is_address, update_copy
from ..composition.operator import open_operator
from ..log.audit.replay import replay
from ..log.postgres.copying import copy_from_postgres, copy_to_postgres
from ..log.sqlite.reader import LogReader
from ..private_files import make_private_folder
from ..terminal import echo
from ..text import count_of
from .common.arguments import log_argument
from .common.output import ILLEGAL, as_json_option, print_json, working
from .replay import print_report


class CopyReport(msgspec.Struct, frozen=True):
    """A copy of a log, and the audit of it."""

    copied_events: int
    report: ReplayReport


class CopyHead(msgspec.Struct, frozen=True):
    """The end of a copy that was brought up to date."""

    events: int
    #: The hash chain there, in hexadecimal.
    chain: str


@click.group("log")
def log_group() -> None:
    """Copy logs between files and PostgreSQL."""


@log_group.command("copy")
@click.argument("source")
@click.argument("target")
@as_json_option
def copy_command(source: str, target: str, as_json: bool) -> None:
    """Copy the log SOURCE to TARGET: one of them is a file or data folder, the other one a PostgreSQL database.

    The events keep their bytes and their order. The file is audited like `mephisto-es replay` does: a log that is not
    legal is not copied into a database. The copy contains the workers' personal values, and `mephisto-es erase` does
    not reach it. With MEPHISTO_ES_LOG set to the same address, operators work on the log in the database.

    Keep the password out of the command line, where everybody on this machine can see it: put it into ~/.pgpass or
    the environment variable PGPASSWORD.

    \b
    Examples:
      mephisto-es log copy mephisto_data postgresql://ada@db.example.org/study
      mephisto-es log copy postgresql://ada@db.example.org/study copy.db

    Exit code 0: the log is copied and legal. 1: it is not legal, and every fault is named. 2: it cannot be copied.
    """
    to_server, from_server = is_address(target), is_address(source)
    if to_server == from_server:
        raise click.UsageError(
            "one of SOURCE and TARGET is an address like postgresql://user@host/database, and the other one a file; "
            "`mephisto-es backup` copies a file to a file"
        )
    _check_no_password(source if from_server else target)
    path = _file(target if from_server else source)
    with working("copying and replaying the log", is_quiet=as_json):
        events = copy_from_postgres(source, path, PROJECTIONS) if from_server else 0
        report = replay(path, PROJECTIONS)
        if to_server and report.legal:
            events = copy_to_postgres(path, target)
    _print(report, path, events, as_json=as_json)
    sys.exit(0 if report.legal else ILLEGAL)


@log_group.command("update")
@log_argument
@click.option("--follow", is_flag=True, help="Keep the copy up to date until Ctrl-C, for verbs that watch.")
@as_json_option
def update_command(database: Path, follow: bool, as_json: bool) -> None:
    """Bring the copy in DATABASE of a log in PostgreSQL up to date, also while an operator writes to the log.

    MEPHISTO_ES_LOG names the database, as for an operator. A copy is created if there is none; every verb that reads
    then works on it.

    With --follow, the copy stays current while `serve`, `top` or `tail` watch it, and other verbs on this machine
    record their decisions through this process.

    \b
    Example:
      MEPHISTO_ES_LOG=postgresql://ada@db.example.org/study mephisto-es log update mephisto_data
    """
    if not database.exists() and database.suffix != ".db":
        database /= DATABASE_FILE  # a data folder that is still to be made
    try:
        make_private_folder(database.parent)
    except OSError as error:
        raise click.UsageError(f"{database.parent} cannot be created: {error.strerror}") from error
    with working("copying new events", is_quiet=as_json):
        update_copy(database, PROJECTIONS)
    with LogReader(database) as log:
        head = log.head()
    if as_json:
        print_json(CopyHead(head.seq, head.chain.hex()))
    else:
        echo(f"{database}: {count_of(head.seq, 'event')}")
    if follow:
        if database.name != DATABASE_FILE:
            raise click.UsageError(f"{database} is not in a data folder; name one")
        with suppress(KeyboardInterrupt):
            trio.run(_follow, database)


async def _follow(database: Path) -> None:
    """Keep a copy up to date, as an operator without runs does, until cancelled."""
    async with open_operator(database.parent):
        await trio.sleep_forever()


def _print(report: ReplayReport, path: Path, events: int, *, as_json: bool) -> None:
    if as_json:
        print_json(CopyReport(events, report))
    else:
        print_report(report, path)
        echo(f"copied {count_of(events, 'event')}" if events or report.legal else "nothing was copied")


def _file(text: str) -> Path:
    path = Path(text)
    return path / DATABASE_FILE if path.is_dir() else path


def _check_no_password(address: str) -> None:
    """Refuse an address with a password.

    Raises:
        UsageError: it has one, or is not valid.
    """
    try:
        has_password = "password" in conninfo.conninfo_to_dict(address)
    except ProgrammingError:
        # The message of the library has parts of the address in it.
        raise click.UsageError("the address is not valid; it looks like postgresql://user@host:5432/database") from None
    if has_password:
        raise click.UsageError(
            "everybody on this machine can see the command line; leave the password out of the address, "
            "and put it into ~/.pgpass or the environment variable PGPASSWORD"
        )
