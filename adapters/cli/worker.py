"""`mephisto-es worker`: what may be decided about a worker."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from ...core.operations.configuration.money import cents
from ...core.operations.services.reviewer import Reviewer
from ...events.ids import UnitId, WorkerId
from ...projections.queries.entity_ref import EntityRef
from ..composition.ledger import open_ledger
from .common.arguments import EntityType, LogCommand, log_argument

#: The value of a qualification that is granted without one.
GRANTED = 1


@click.command("worker", cls=LogCommand)
@log_argument
@click.argument("worker", type=EntityType("worker"))
@click.option("--block", metavar="REASON", help="Give the worker no more work.")
@click.option("--unblock", metavar="REASON", help="Let a blocked worker work again.")
@click.option("--grant", metavar="NAME[=VALUE]", help="Give the worker a qualification, or another value of it.")
@click.option("--revoke", metavar="NAME", help="Take a qualification from the worker.")
@click.option("--bonus", metavar="AMOUNT", help="Owe the worker a bonus for its latest work: 0.50.")
@click.option("--unit", type=EntityType("unit"), metavar="UNIT", help="What the bonus is for, if not the latest work.")
@click.option("--reason", metavar="REASON", help="Why there is a bonus; it needs one.")
def worker_command(
    database: Path,
    worker: EntityRef,
    block: str | None,
    unblock: str | None,
    grant: str | None,
    revoke: str | None,
    bonus: str | None,
    unit: EntityRef | None,
    reason: str | None,
) -> None:
    """Block or unblock WORKER, grant and revoke qualifications, give a bonus. So far: `mephisto-es explain`.

    This needs the log for writing, so no operator may be at work on it meanwhile. A bonus is owed by this, and paid by
    `mephisto-es pay`.

    \b
    Examples:
      mephisto-es worker mephisto_data worker-3 --grant can-rate=2
      mephisto-es worker mephisto_data worker-3 --block "answers at random"
      mephisto-es worker mephisto_data worker-3 --bonus 0.50 --reason "found a mistake in the task" --unit unit-12
    """
    if not any((block, unblock, grant, revoke, bonus)):
        raise click.UsageError("Say what to do: --block, --unblock, --grant, --revoke or --bonus.")
    if bool(bonus) != bool(reason) or (unit and not bonus):
        raise click.UsageError("A --bonus needs a --reason; --reason and --unit go with nothing else.")
    bonus_cents = cents(bonus, key="--bonus") if bonus else 0
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
            # Last, so that whoever tries again after a refusal owes it once.
            if bonus and reason:
                await reviewer.bonus_worker(number, bonus_cents, reason, UnitId(unit.number) if unit else None)

    trio.run(decide)
    click.echo(f"{worker}: done")


def _grant(written: str) -> tuple[str, int]:
    name, equals, value = written.partition("=")
    try:
        return name, int(value) if equals else GRANTED
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a whole number.", param_hint="--grant") from None
