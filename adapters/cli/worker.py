"""`mephisto-es worker`: what may be decided about a worker."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from ...core.operations.review import Reviewer
from ...events.ids import WorkerId
from ...projections.subjects import Subject
from ..writing import open_ledger
from .database import SubjectCommand, SubjectType
from .output import log_argument

#: The value of a qualification that is granted without one.
GRANTED = 1


@click.command("worker", cls=SubjectCommand)
@log_argument
@click.argument("worker", type=SubjectType("worker"))
@click.option("--block", metavar="REASON", help="Give the worker no more work.")
@click.option("--unblock", metavar="REASON", help="Let a blocked worker work again.")
@click.option("--grant", metavar="NAME[=VALUE]", help="Give the worker a qualification, or another value of it.")
@click.option("--revoke", metavar="NAME", help="Take a qualification from the worker.")
def worker_command(
    database: Path, worker: Subject, block: str | None, unblock: str | None, grant: str | None, revoke: str | None
) -> None:
    """Block or unblock WORKER, or grant and revoke qualifications. What was decided before: `mephisto-es explain`.

    This needs the log for writing, so no operator may be at work on it meanwhile.

    \b
    Examples:
      mephisto-es worker mephisto_data worker-3 --grant can-rate=2
      mephisto-es worker mephisto_data worker-3 --block "answers at random"
    """
    if not any((block, unblock, grant, revoke)):
        raise click.UsageError("Say what to do: --block, --unblock, --grant or --revoke.")
    name, value = _grant(grant) if grant else ("", GRANTED)

    async def decide() -> None:
        async with open_ledger(database) as (ledger, ids):
            reviewer, number = Reviewer(ledger, ids), WorkerId(worker.number)
            if unblock:
                await reviewer.unblock_worker(number, unblock)
            if grant:
                await reviewer.grant_qualification(number, name, value)
            if revoke:
                await reviewer.revoke_qualification(number, revoke)
            if block:
                await reviewer.block_worker(number, block)

    trio.run(decide)
    click.echo(f"{worker}: done")


def _grant(written: str) -> tuple[str, int]:
    name, equals, value = written.partition("=")
    try:
        return name, int(value) if equals else GRANTED
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a whole number.", param_hint="--grant") from None
