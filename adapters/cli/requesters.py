"""Implements `mephisto-es requesters`: list the accounts that offer work."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ..terminal import echo
from .common.arguments import AsOfOption, as_of_options, log_argument
from .common.output import as_json_option, console, print_json


class RequesterAccount(msgspec.Struct, frozen=True):
    """A requester and its number of runs."""

    requester_id: int
    name: str
    provider_type: str
    since: str
    runs: int


class RequesterList(msgspec.Struct, frozen=True):
    """All requesters of a log."""

    requesters: list[RequesterAccount]


@click.command("requesters")
@log_argument
@as_of_options
@as_json_option
def requesters_command(database: Path, as_of: AsOfOption, as_json: bool) -> None:
    """List the accounts that DATABASE knows: a log file, or the data folder that contains it.

    An account is added by `mephisto-es register`, or by the first run that names it.

    \b
    Example:
      mephisto-es requesters mephisto_data
    """
    with as_of.open(database) as moment:
        view = moment.db
        runs = Counter(run.requester_id for run in view.find_task_runs())
        found = [
            RequesterAccount(
                row.requester_id, row.requester_name, row.provider_type, row.creation_date, runs[row.requester_id]
            )
            for row in view.find_requesters()
        ]
    if as_json:
        print_json(RequesterList(found))
    elif not found:
        echo(f"{database} has no requesters yet.")
    else:
        console().print(_table(found))


def _table(found: list[RequesterAccount]) -> Table:
    table = Table("id", "name", "provider", "since", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("runs", justify="right")
    for account in found:
        table.add_row(
            str(account.requester_id),
            escape(account.name),
            escape(account.provider_type),
            account.since,
            f"{account.runs:,}",
        )
    return table
