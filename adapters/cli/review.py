"""Implements `mephisto-es review`: record verdicts on the work of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec
import trio
from rich.markup import escape

from ...core.commands.review import Verdict
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import amount, cents
from ...events.ids import AgentId, TaskRunId
from ...projections.queries.entity_ref import EntityRef
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..composition.reviews import ReviewDecision, record_decisions
from ..log.sqlite.as_of import open_as_of
from ..text import format_duration
from .common.arguments import EntityType, LogCommand, log_argument, run_argument
from .common.output import as_json_option, console, print_json

#: The longest input or output that is shown whole, in characters.
SHOWN_CHARACTERS = 400

_AGENT = EntityType("agent")
_KEYS = {"a": Verdict.APPROVED, "s": Verdict.SOFT_REJECTED, "r": Verdict.REJECTED}


class UnreviewedWork(msgspec.Struct, frozen=True):
    """The submitted units of a run that nobody has reviewed."""

    run: str
    units: tuple[UnitRecord, ...]


@click.command("review", cls=LogCommand)
@log_argument
@run_argument
@click.option("--approve", multiple=True, type=_AGENT, metavar="AGENT", help="Accept this agent's work and pay it.")
@click.option(
    "--soft-reject", multiple=True, type=_AGENT, metavar="AGENT", help="Pay the work but leave it out of the data."
)
@click.option("--reject", multiple=True, type=_AGENT, metavar="AGENT", help="Reject the work; it is not paid.")
@click.option("--approve-all", is_flag=True, help="Accept all unreviewed work.")
@click.option("--ask", is_flag=True, help="Show the units one by one and ask for verdicts.")
@click.option("--note", help="A note to record with every verdict.")
@click.option("--bonus", default="0", metavar="AMOUNT", help="A bonus for each accepted unit: 0.50.")
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
    """Record verdicts on the work of RUN. Without verdicts, list the unreviewed work.

    This needs write access to the log, so no operator may run on it; a launch script reviews through
    `operator.reviewer()`. Each verdict is durable when this command reports it. Approved work cannot be rejected later;
    rejected work can still be approved.

    \b
    Examples:
      mephisto-es review mephisto_data 1
      mephisto-es review mephisto_data 1 --ask
      mephisto-es review mephisto_data 1 --approve agent-7 --bonus 0.50 --note "well done"
    """
    work = _unreviewed(database, run)
    bonus_cents = cents(bonus, key="--bonus")
    decisions = [
        *(ReviewDecision(AgentId(agent.number), Verdict.APPROVED, note, bonus_cents) for agent in approve),
        *(ReviewDecision(AgentId(agent.number), Verdict.SOFT_REJECTED, note) for agent in soft_reject),
        *(ReviewDecision(AgentId(agent.number), Verdict.REJECTED, note) for agent in reject),
    ]
    if approve_all:
        named = {one.agent for one in decisions}
        everyone = (AgentId(unit.agent_id) for unit in work.units if unit.agent_id is not None)
        decisions += [
            ReviewDecision(agent, Verdict.APPROVED, note, bonus_cents) for agent in everyone if agent not in named
        ]
    if ask:
        decisions += _ask(work, note, bonus_cents)
    if decisions:
        result = trio.run(record_decisions, database, decisions, _print_recorded)
        if result.refusal is not None:
            raise result.refusal
    elif as_json:
        print_json(work)
    elif not ask:
        _list(work)


def _unreviewed(database: Path, run: EntityRef) -> UnreviewedWork:
    with open_as_of(database) as moment:
        records = unit_records(moment, TaskRunId(run.number))
        return UnreviewedWork(str(run), tuple(one for one in records if one.unit_status == UnitStatus.COMPLETED.value))


def _print_recorded(decision: ReviewDecision) -> None:
    bonus = f", bonus {amount(decision.bonus_cents)}" if decision.bonus_cents else ""
    click.echo(f"agent-{decision.agent}: {decision.verdict.value}{bonus}")


def _list(work: UnreviewedWork) -> None:
    out = console()
    if not work.units:
        out.print(f"{work.run} has no unreviewed work")
    for unit in work.units:
        out.print("\n".join(_lines(unit)))


def _lines(unit: UnitRecord) -> Iterator[str]:
    took = "" if unit.work_seconds is None else f"  took {format_duration(unit.work_seconds)}"
    head = f"[bold]agent-{unit.agent_id}[/]  unit-{unit.unit_id}  worker-{unit.worker_id}"
    yield f"{head}  worth {amount(unit.pay_cents)}{took}"
    yield f"    [dim]in [/] {_json(unit.inputs)}"
    yield f"    [dim]out[/] {_json(unit.outputs)}"


def _json(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return escape(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ...")


def _ask(work: UnreviewedWork, note: str | None, bonus_cents: int) -> list[ReviewDecision]:
    """Ask for verdicts on the terminal. Nothing is recorded until all questions are answered."""
    out, decisions = console(), list[ReviewDecision]()
    for number, unit in enumerate(work.units, start=1):
        out.print("\n".join(_lines(unit)))
        key = click.prompt(
            f"{number}/{len(work.units)}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit",
            type=click.Choice([*_KEYS, "n", "q"]),
            show_choices=False,
        )
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            decisions.append(ReviewDecision(AgentId(unit.agent_id), _KEYS[key], note, bonus))
    return decisions
