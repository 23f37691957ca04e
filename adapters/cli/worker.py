"""Implements `mephisto-es worker`: block a worker, grant or revoke qualifications, give a bonus."""

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

#: The default value of a granted qualification.
GRANTED = 1


@click.command("worker", cls=LogCommand)
@log_argument
@click.argument("worker", type=EntityType("worker"))
@click.option("--block", metavar="REASON", help="Give the worker no more work.")
@click.option("--unblock", metavar="REASON", help="Let a blocked worker work again.")
@click.option("--grant", metavar="NAME[=VALUE]", help="Grant a qualification, or change its value.")
@click.option("--revoke", metavar="NAME", help="Revoke a qualification.")
@click.option("--bonus", metavar="AMOUNT", help="Owe the worker a bonus for their latest work: 0.50.")
@click.option("--unit", type=EntityType("unit"), metavar="UNIT", help="The unit that the bonus is for.")
@click.option("--reason", metavar="REASON", help="The reason for the bonus; required.")
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
    """Block or unblock WORKER, grant or revoke qualifications, give a bonus. `explain` shows earlier decisions.

    This needs write access to the log, so no operator may run on it. A bonus becomes owed; `mephisto-es pay` pays it.

    \b
    Examples:
      mephisto-es worker mephisto_data worker-3 --grant can-rate=2
      mephisto-es worker mephisto_data worker-3 --block "answers at random"
      mephisto-es worker mephisto_data worker-3 --bonus 0.50 --reason "found a mistake in the task" --unit unit-12
    """
    if not any((block, unblock, grant, revoke, bonus)):
        raise click.UsageError("Nothing to do: give --block, --unblock, --grant, --revoke or --bonus.")
    if bool(bonus) != bool(reason) or (unit and not bonus):
        raise click.UsageError("--bonus needs --reason; --reason and --unit go only with --bonus.")
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
            # Last, so that a retry after a refusal owes the bonus once.
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
