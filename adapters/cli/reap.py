"""`mephisto-es reap`: releases what runs have left outside."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import trio

from ...core.errors import ConfigError, LaunchError
from ...core.operations.services.resource_release import reap
from ...projections.queries.entity_ref import EntityRef
from ..composition.ledger import open_ledger
from ..log.sqlite.as_of import open_as_of
from .common.arguments import LogCommand, RunType, log_argument
from .common.output import ILLEGAL
from .leaks import Leak, find_leaks


@click.command("reap", cls=LogCommand)
@log_argument
@click.argument("run", type=RunType(), required=False)
def reap_command(database: Path, run: EntityRef | None) -> None:
    """Release what the runs in DATABASE still hold outside, and put that down. Twice is harmless.

    Runs that can be resumed keep what they hold, unless RUN names one: then its server is taken down, and a `resume`
    brings up another.

    \b
    Examples:
      mephisto-es reap mephisto_data
      mephisto-es reap mephisto_data 2

    Exit code 0: nothing of that is held any more. 1: something could not be released.
    """
    with open_as_of(database) as moment:
        leaks = find_leaks(moment).leaks
    if run is not None:
        chosen = [leak for leak in leaks if leak.run == str(run)]
    else:
        chosen = [leak for leak in leaks if not leak.is_resumable]
        for leak in leaks:
            if leak.is_resumable:
                click.echo(f"{leak.run} is {leak.run_status} and keeps its {leak.held.resource_type}.")
    failures = trio.run(partial(_reap_all, database, chosen)) if chosen else 0
    if not chosen:
        click.echo("There is nothing to release.")
    if failures:
        raise click.exceptions.Exit(ILLEGAL)


async def _reap_all(database: Path, leaks: Sequence[Leak]) -> int:
    """Release one after the other; how many could not be."""
    failures = 0
    async with open_ledger(database) as (ledger, ids):
        for leak in leaks:
            name = f"{leak.held.resource_type} {leak.held.number} of {leak.run}"
            try:
                await reap(ledger, ids, leak.held)
            except (LaunchError, ConfigError) as error:
                failures += 1
                click.echo(f"mephisto-es reap: {name}: {error}", err=True)
            else:
                click.echo(f"released {name}")
    return failures
