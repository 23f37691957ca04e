"""Implements `mephisto-es operators`: who drives which run of a log in PostgreSQL, and who is not heard of any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.errors import ConfigError
from ...events.streams import run_of_partition
from ..composition.log_choice import LOG_VARIABLE, OwnedPartition, owned_partitions
from ..terminal import echo
from .common.output import as_json_option, console, print_json


class RunOperator(msgspec.Struct, frozen=True, kw_only=True):
    """The operator of a run."""

    run: str
    #: Its machine, the number of its process there, and a number that no other operator has.
    operator: str
    #: When it began to drive the run, in UTC.
    since: str
    #: When the server heard of it last, in UTC; None if another operator has taken other runs of it over.
    last_heartbeat: str | None
    #: False if another operator may take the run over.
    is_alive: bool


class RunOperators(msgspec.Struct, frozen=True):
    """The operators of all runs that have one."""

    operators: tuple[RunOperator, ...]


@click.command("operators")
@as_json_option
def operators_command(as_json: bool) -> None:
    """Show which operator drives which run of the log that MEPHISTO_ES_LOG names, since when, and its last heartbeat.

    A run that is not listed has no operator: it has ended, or is paused. The runs of an operator that is not heard of
    any more can be resumed on any machine, and a standby does that by itself.

    \b
    Example:
      MEPHISTO_ES_LOG=postgresql://ada@db.example.org/study mephisto-es operators

    Exit code 0: the list was printed. 2: there is no log on a server.
    """
    owned = owned_partitions()
    if owned is None:
        raise ConfigError(
            "a log in a file has one operator",
            key=LOG_VARIABLE,
            hint="Set it to the address of the database that holds the log, or use `mephisto-es status`",
        )
    found = tuple(_described(owned))
    if as_json:
        print_json(RunOperators(found))
    elif found:
        console().print(_table(found))
    else:
        echo("No run has an operator.")


def _described(owned: Sequence[OwnedPartition]) -> list[RunOperator]:
    found: list[RunOperator] = []
    for one in owned:
        run = run_of_partition(one.partition)
        if run is not None:
            heard = None if one.heard_at is None else _utc(one.heard_at)
            found.append(
                RunOperator(
                    run=f"run-{run}",
                    operator=one.operator,
                    since=_utc(one.owned_at),
                    last_heartbeat=heard,
                    is_alive=one.is_alive,
                )
            )
    return found


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _table(found: Sequence[RunOperator]) -> Table:
    table = Table("run", "operator", "since (UTC)", "last heartbeat", "")
    for one in found:
        state = "drives it" if one.is_alive else "not heard of: the run may be taken over"
        table.add_row(one.run, escape(one.operator), one.since, one.last_heartbeat or "-", state)
    return table
