"""`mephisto-es review`: verdicts on the work of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import trio
from rich.markup import escape

from ...core.decisions.review import Verdict
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import amount, cents
from ...core.operations.services.reviewer import Reviewer
from ...events.ids import AgentId, TaskRunId
from ...projections.queries.entity_ref import EntityRef
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..composition.ledger import open_ledger
from ..log.sqlite.as_of import open_as_of
from ..text import format_duration
from .common.arguments import EntityType, LogCommand, log_argument, run_argument
from .common.output import as_json_option, console, print_json

#: Characters of inputs and of outputs that are shown for one unit.
SHOWN_CHARACTERS = 400

_AGENT = EntityType("agent")
_KEYS = {"a": Verdict.APPROVED, "s": Verdict.SOFT_REJECTED, "r": Verdict.REJECTED}


class Waiting(msgspec.Struct, frozen=True):
    """Work that nobody has reviewed."""

    run: str
    units: tuple[UnitRecord, ...]


class Decided(NamedTuple):
    """A verdict that is to be recorded."""

    agent: AgentId
    verdict: Verdict
    note: str | None
    bonus_cents: int = 0


@click.command("review", cls=LogCommand)
@log_argument
@run_argument
@click.option("--approve", multiple=True, type=_AGENT, metavar="AGENT", help="Accept this agent's work: it is paid.")
@click.option(
    "--soft-reject", multiple=True, type=_AGENT, metavar="AGENT", help="Leave it out of the data, and pay it."
)
@click.option("--reject", multiple=True, type=_AGENT, metavar="AGENT", help="Reject it: it is not paid.")
@click.option("--approve-all", is_flag=True, help="Accept all work that waits for a review.")
@click.option("--ask", is_flag=True, help="Show one after the other and ask.")
@click.option("--note", help="A note that goes with every verdict given.")
@click.option("--bonus", default="0", metavar="AMOUNT", help="Paid beside the pay for each work accepted: 0.50.")
@as_json_option
def review_command(
    database: Path,
    run: EntityRef,
    approve: Sequence[EntityRef],
    soft_reject: Sequence[EntityRef],
    reject: Sequence[EntityRef],
    approve_all: bool,
    ask: bool,
    note: str | None,
    bonus: str,
    as_json: bool,
) -> None:
    """Give verdicts on work of RUN; without any, list the work that waits for one.

    Verdicts need the log for writing, so no operator may be at work on it meanwhile; a launch script reviews through
    `operator.reviewer()`. Each verdict is durable when this command says so. Approved work cannot be rejected
    afterwards; rejected work can still be approved.

    \b
    Examples:
      mephisto-es review mephisto_data 1
      mephisto-es review mephisto_data 1 --ask
      mephisto-es review mephisto_data 1 --approve agent-7 --bonus 0.50 --note "well done"
    """
    waiting = _waiting(database, run)
    bonus_cents = cents(bonus, key="--bonus")
    decided = [
        *(Decided(AgentId(agent.number), Verdict.APPROVED, note, bonus_cents) for agent in approve),
        *(Decided(AgentId(agent.number), Verdict.SOFT_REJECTED, note) for agent in soft_reject),
        *(Decided(AgentId(agent.number), Verdict.REJECTED, note) for agent in reject),
    ]
    if approve_all:
        named = {one.agent for one in decided}
        everyone = (AgentId(unit.agent_id) for unit in waiting.units if unit.agent_id is not None)
        decided += [Decided(agent, Verdict.APPROVED, note, bonus_cents) for agent in everyone if agent not in named]
    if ask:
        decided += _asked(waiting, note, bonus_cents)
    if decided:
        trio.run(_record, database, decided)
    elif as_json:
        print_json(waiting)
    elif not ask:
        _list(waiting)


def _waiting(database: Path, run: EntityRef) -> Waiting:
    with open_as_of(database) as moment:
        records = unit_records(moment, TaskRunId(run.number))
        return Waiting(str(run), tuple(one for one in records if one.unit_status == UnitStatus.COMPLETED.value))


async def _record(database: Path, decided: Sequence[Decided]) -> None:
    """Record verdicts one after the other, and say so; the first that is refused ends it."""
    async with open_ledger(database) as (ledger, ids):
        reviewer = Reviewer(ledger, ids)
        for one in decided:
            await reviewer.give_verdict(one.agent, one.verdict, one.note, one.bonus_cents)
            bonus = f", bonus {amount(one.bonus_cents)}" if one.bonus_cents else ""
            click.echo(f"agent-{one.agent}: {one.verdict.value}{bonus}")


def _list(waiting: Waiting) -> None:
    out = console()
    if not waiting.units:
        out.print(f"{waiting.run} has no work that waits for a review")
    for unit in waiting.units:
        out.print("\n".join(_shown(unit)))


def _shown(unit: UnitRecord) -> Iterator[str]:
    took = "" if unit.work_seconds is None else f"  took {format_duration(unit.work_seconds)}"
    head = f"[bold]agent-{unit.agent_id}[/]  unit-{unit.unit_id}  worker-{unit.worker_id}"
    yield f"{head}  worth {amount(unit.pay_cents)}{took}"
    yield f"    [dim]in [/] {_json(unit.inputs)}"
    yield f"    [dim]out[/] {_json(unit.outputs)}"


def _json(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return escape(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ...")


def _asked(waiting: Waiting, note: str | None, bonus_cents: int) -> list[Decided]:
    """Verdicts that the person at the terminal gives; nothing is recorded until the last was asked for."""
    out, decided = console(), list[Decided]()
    for number, unit in enumerate(waiting.units, start=1):
        out.print("\n".join(_shown(unit)))
        key = click.prompt(
            f"{number}/{len(waiting.units)}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit",
            type=click.Choice([*_KEYS, "n", "q"]),
            show_choices=False,
        )
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            decided.append(Decided(AgentId(unit.agent_id), _KEYS[key], note, bonus))
    return decided
