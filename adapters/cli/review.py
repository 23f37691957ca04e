"""Implements `mephisto-es review`: record verdicts on the work of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click
import msgspec
import trio
from rich.markup import escape

from ...core.commands.review import Verdict
from ...core.entity_ref import EntityRef
from ...core.lifecycles.unit import UnitStatus
from ...core.operations.configuration.money import amount, cents
from ...core.operations.control.requests import (
    AcceptLateRequest,
    DismissAppealRequest,
    Reply,
    ReviewRequest,
    VerdictRequest,
)
from ...events.ids import AgentId, TaskRunId
from ...projections.queries.appeals import OpenAppeal, open_appeals
from ...projections.queries.late_work import LateWork, late_work
from ...projections.queries.money.hourly_pay import top_ups
from ...projections.queries.unit_records import UnitRecord, unit_records
from ...projections.queries.worker_names import shown_name
from ..control.protocol import author_of
from ..control.reviews import record_verdicts
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from ..text import format_duration, format_worker
from .common.arguments import (
    EntityType,
    LogCommand,
    author_option,
    log_argument,
    pseudonyms_option,
    run_argument,
)
from .common.output import as_json_option, console, print_json, progress
from .common.top_ups import proposed_top_ups, top_up_text, with_top_ups

#: The longest input or output that is shown whole, in characters.
SHOWN_CHARACTERS = 400

_AGENT = EntityType("agent")
_UNREVIEWED = """
    SELECT agent_id FROM units WHERE task_run_id = ? AND status = ? AND agent_id IS NOT NULL ORDER BY unit_id
"""
_KEYS = {"a": Verdict.APPROVED, "s": Verdict.SOFT_REJECTED, "r": Verdict.REJECTED}


class UnreviewedWork(msgspec.Struct, frozen=True):
    """The submitted units of a run that nobody has reviewed."""

    run: str
    units: tuple[UnitRecord, ...]
    #: Bonuses in cents that lift work to the run's minimum hourly pay, by agent.
    top_ups: Mapping[AgentId, int]


class UnacceptedLateWork(msgspec.Struct, frozen=True):
    """The late work of a run that nobody has accepted."""

    run: str
    late: tuple[LateWork, ...]


class UnansweredAppeals(msgspec.Struct, frozen=True):
    """The objections to rejections of a run that wait for an answer."""

    run: str
    appeals: tuple[OpenAppeal, ...]


class ChosenVerdicts(TypedDict):
    """Values of the options that ask for verdicts."""

    approve: Sequence[EntityRef]
    soft_reject: Sequence[EntityRef]
    reject: Sequence[EntityRef]
    approve_all: bool
    accept_late: Sequence[EntityRef]
    accept_appeal: Sequence[EntityRef]
    dismiss_appeal: Sequence[EntityRef]
    note: str | None
    bonus: str


@click.command("review", cls=LogCommand)
@log_argument
@run_argument
@click.option("--approve", multiple=True, type=_AGENT, metavar="AGENT", help="Accept this agent's work and pay it.")
@click.option(
    "--soft-reject", multiple=True, type=_AGENT, metavar="AGENT", help="Pay the work but leave it out of the data."
)
@click.option("--reject", multiple=True, type=_AGENT, metavar="AGENT", help="Reject the work; it is not paid.")
@click.option("--approve-all", is_flag=True, help="Accept all unreviewed work.")
@click.option("--late", is_flag=True, help="List work that was submitted after it had ended, in place of other work.")
@click.option(
    "--accept-late", multiple=True, type=_AGENT, metavar="AGENT", help="Accept this agent's late work and pay it."
)
@click.option("--appeals", is_flag=True, help="List the objections to rejections that wait for an answer.")
@click.option(
    "--accept-appeal",
    multiple=True,
    type=_AGENT,
    metavar="AGENT",
    help="Accept the worker's objection and pay.",
)
@click.option(
    "--dismiss-appeal",
    multiple=True,
    type=_AGENT,
    metavar="AGENT",
    help="Let the rejection stand; --note is the answer for the worker.",
)
@click.option("--ask", is_flag=True, help="Show the units one by one and ask for verdicts.")
@click.option("--note", help="A note to record with every verdict; the worker reads it.")
@click.option("--bonus", default="0", metavar="AMOUNT", help="A bonus for each accepted unit: 0.50.")
@click.option("--top-up", is_flag=True, help="Lift accepted work to the run's minimum hourly pay by a bonus.")
@author_option
@pseudonyms_option
@as_json_option
def review_command(
    database: Path,
    run: EntityRef,
    late: bool,
    appeals: bool,
    ask: bool,
    top_up: bool,
    author: str | None,
    pseudonyms: bool,
    as_json: bool,
    **chosen: Unpack[ChosenVerdicts],
) -> None:
    """Record verdicts on the work of RUN. Without verdicts, list the unreviewed work.

    This works while a run is live: its operator records the verdicts. Each verdict is durable when this command reports
    it, and repeating the command records nothing twice. Approved work cannot be rejected later; rejected work can still
    be approved.

    Late work came after a timeout, a return, a disconnect or an expiry. Accepting it accepts the unit, too, unless
    somebody else has or did the unit: then the work is only paid.

    A worker whose work was rejected may object once. If several people review the run, the one who rejected the work
    cannot dismiss the objection.

    \b
    Examples:
      mephisto-es review mephisto_data 1
      mephisto-es review mephisto_data 1 --ask
      mephisto-es review mephisto_data 1 --late
      mephisto-es review mephisto_data 1 --accept-late agent-9
      mephisto-es review mephisto_data 1 --appeals
      mephisto-es review mephisto_data 1 --dismiss-appeal agent-7 --note "The second half is copied from the example."
      mephisto-es review mephisto_data 1 --approve agent-7 --bonus 0.50 --note "well done"
      mephisto-es review mephisto_data 1 --approve-all --top-up
    """
    bonus_cents = cents(chosen["bonus"], key="--bonus")
    decisions = _decisions(chosen, database, run, bonus_cents)
    names = not pseudonyms
    if ask:
        decisions += _ask(_unreviewed(database, run, names=names), chosen["note"], bonus_cents)
    if top_up:
        decisions = with_top_ups(decisions, proposed_top_ups(database, TaskRunId(run.number)))
    if decisions or chosen["approve_all"]:
        _record(database, author, decisions)
    elif late:
        _show_late(database, run, names=names, as_json=as_json)
    elif appeals:
        _show_appeals(database, run, as_json=as_json)
    elif not ask:
        _list(_unreviewed(database, run, names=names), as_json=as_json)


def _decisions(chosen: ChosenVerdicts, database: Path, run: EntityRef, bonus_cents: int) -> list[ReviewRequest]:
    """Return the decisions that the options ask for.

    Raises:
        click.UsageError: they contradict each other; nothing is recorded.
    """
    note = chosen["note"]
    _check_bonus(bonus_cents, chosen["accept_late"])
    _check_answers(chosen["dismiss_appeal"], note)
    decisions: list[ReviewRequest] = [
        *(_decision(agent, Verdict.APPROVED, note, bonus_cents) for agent in chosen["approve"]),
        *(_decision(agent, Verdict.SOFT_REJECTED, note) for agent in chosen["soft_reject"]),
        *(_decision(agent, Verdict.REJECTED, note) for agent in chosen["reject"]),
        *(AcceptLateRequest(agent=AgentId(agent.number), note=note) for agent in chosen["accept_late"]),
        *(_decision(agent, Verdict.APPROVED, note) for agent in chosen["accept_appeal"]),
        *(DismissAppealRequest(agent=AgentId(agent.number), answer=note or "") for agent in chosen["dismiss_appeal"]),
    ]
    _check_once(decisions)
    _check_run(database, run, decisions)
    if chosen["approve_all"]:
        decided = {one.agent for one in decisions}
        rest = (EntityRef("agent", agent) for agent in _unreviewed_agents(database, run) if agent not in decided)
        decisions += [_decision(agent, Verdict.APPROVED, note, bonus_cents) for agent in rest]
    return decisions


def _record(database: Path, author: str | None, decisions: Sequence[ReviewRequest]) -> None:
    """Record decisions, and print each one when it is durable.

    Raises:
        CommandRefusedError: one was refused; the others were still tried.
    """
    with progress(f"recording {len(decisions):,} verdicts", len(decisions)) as advance:

        def on_recorded(decision: ReviewRequest, reply: Reply) -> None:
            advance()
            _print_recorded(decision, reply)

        result = trio.run(record_verdicts, database, author_of(author), decisions, on_recorded)
    if result.refusal is not None:
        raise result.refusal


def _unreviewed(database: Path, run: EntityRef, *, names: bool) -> UnreviewedWork:
    with open_as_of(database) as moment:
        number = TaskRunId(run.number)
        units = moment.db.find_units(task_run_id=number, status=UnitStatus.COMPLETED.value)
        records = tuple(unit_records(moment, number, units=units, names=names))
        return UnreviewedWork(str(run), records, top_ups(moment, number))


def _unreviewed_agents(database: Path, run: EntityRef) -> list[AgentId]:
    """Return the agents whose work nobody has reviewed, without reading the work."""
    with open_as_of(database) as moment:
        moment.db.get_task_run(run.number)
        found = moment.db.execute(_UNREVIEWED, (run.number, UnitStatus.COMPLETED.value)).fetchall()
    return [AgentId(agent) for (agent,) in found]


def _decision(agent: EntityRef, verdict: Verdict, note: str | None, bonus_cents: int = 0) -> VerdictRequest:
    return VerdictRequest(agent=AgentId(agent.number), verdict=verdict, note=note, bonus_cents=bonus_cents)


def _check_bonus(bonus_cents: int, accept_late: Sequence[EntityRef]) -> None:
    """Check that no bonus is given for late work.

    Raises:
        click.UsageError: one is; nothing is recorded.
    """
    if bonus_cents and accept_late:
        raise click.UsageError("--bonus does not go with --accept-late; grant it with `mephisto-es worker`.")


def _check_answers(dismiss_appeal: Sequence[EntityRef], note: str | None) -> None:
    """Check that each objection that is dismissed is answered.

    Raises:
        click.UsageError: one is not; nothing is recorded.
    """
    if dismiss_appeal and not (note or "").strip():
        raise click.UsageError("--dismiss-appeal needs --note with the answer for the worker.")


def _check_once(decisions: Sequence[ReviewRequest]) -> None:
    """Check that no agent gets two verdicts.

    Raises:
        click.UsageError: one does; nothing is recorded.
    """
    agents = [decision.agent for decision in decisions]
    twice = sorted({agent for agent in agents if agents.count(agent) > 1})
    if twice:
        raise click.UsageError(f"agent-{twice[0]} is given more than one verdict; nothing was recorded.")


def _check_run(database: Path, run: EntityRef, decisions: Sequence[ReviewRequest]) -> None:
    """Check that there is the run, and that the agents that were named belong to it.

    Raises:
        UnknownEntityError: there is no such run, or agent.
        click.UsageError: an agent belongs to another run; nothing is recorded.
    """
    with open_as_of(database) as moment:
        number = moment.db.get_task_run(run.number).task_run_id
        for decision in decisions:
            its = moment.db.get_agent(decision.agent).task_run_id
            if its != number:
                raise click.UsageError(
                    f"agent-{decision.agent} belongs to run-{its}, not to {run}; nothing was recorded."
                )


def _print_recorded(decision: ReviewRequest, reply: Reply) -> None:
    before = "  (recorded before)" if reply.repeated else ""
    if isinstance(decision, AcceptLateRequest):
        echo(f"agent-{decision.agent}: late work accepted{before}")
        return
    if isinstance(decision, DismissAppealRequest):
        echo(f"agent-{decision.agent}: objection answered, the rejection stands{before}")
        return
    bonus = f", bonus {amount(decision.bonus_cents)}" if decision.bonus_cents else ""
    echo(f"agent-{decision.agent}: {decision.verdict.value}{bonus}{before}")


def _list(work: UnreviewedWork, *, as_json: bool) -> None:
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.units:
        out.print(f"{work.run} has no unreviewed work")
    for unit in work.units:
        out.print("\n".join(_lines(unit, work.top_ups)))


def _show_late(database: Path, run: EntityRef, *, names: bool, as_json: bool) -> None:
    with open_as_of(database) as moment:
        work = UnacceptedLateWork(str(run), tuple(late_work(moment, TaskRunId(run.number), names=names)))
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.late:
        out.print(f"{work.run} has no late work")
    for one in work.late:
        out.print("\n".join(_late_lines(one)))


def _late_lines(late: LateWork) -> Iterator[str]:
    after = format_duration((late.submitted_at - late.ended_at).total_seconds())
    other = "" if late.other_agent_id is None else f" by agent-{late.other_agent_id}"
    head = f"[bold]agent-{late.agent_id}[/]  unit-{late.unit_id}  {_worker(late.worker_id, late.worker_name)}"
    yield f"{head}  worth {amount(late.pay_cents)}  {after} late; the unit is now {late.unit_status}{other}"
    yield f"    [dim]end[/] {late.ended_as}: {escape(late.reason)}"
    yield f"    [dim]in [/] {_json(late.inputs)}"
    yield f"    [dim]out[/] {_json(late.outputs)}"


def _show_appeals(database: Path, run: EntityRef, *, as_json: bool) -> None:
    with open_as_of(database) as moment:
        work = UnansweredAppeals(str(run), tuple(open_appeals(moment, TaskRunId(run.number))))
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.appeals:
        out.print(f"{work.run} has no unanswered objections")
    for one in work.appeals:
        out.print("\n".join(_appeal_lines(one)))


def _appeal_lines(appeal: OpenAppeal) -> Iterator[str]:
    head = f"[bold]agent-{appeal.agent_id}[/]  unit-{appeal.unit_id}  worker-{appeal.worker_id}"
    yield f"{head}  worth {amount(appeal.pay_cents)}  rejected by {escape(appeal.rejected_by or 'an unknown author')}"
    yield f"    [dim]why[/] {_json(appeal.note)}"
    yield f"    [dim]but[/] {_json(appeal.objection)}"
    yield f"    [dim]in [/] {_json(appeal.inputs)}"
    yield f"    [dim]out[/] {_json(appeal.outputs)}"


def _lines(unit: UnitRecord, proposed: Mapping[AgentId, int]) -> Iterator[str]:
    took = "" if unit.work_seconds is None else f"  took {format_duration(unit.work_seconds)}"
    head = f"[bold]agent-{unit.agent_id}[/]  unit-{unit.unit_id}  {_worker(unit.worker_id, unit.worker_name)}"
    yield f"{head}  worth {amount(unit.pay_cents)}{took}{top_up_text(unit.agent_id, proposed)}"
    if unit.problems:
        yield f"    [yellow]does not fit the form[/]: {escape('; '.join(unit.problems))}"
    yield f"    [dim]in [/] {_json(unit.inputs)}"
    yield f"    [dim]out[/] {_json(unit.outputs)}"


def _worker(worker: int | None, name: str | None) -> str:
    return "" if worker is None else escape(format_worker(worker, None if name is None else shown_name(name)))


def _json(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return escape(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ...")


def _ask(work: UnreviewedWork, note: str | None, bonus_cents: int) -> list[VerdictRequest]:
    """Ask for verdicts on the terminal. Nothing is recorded until all questions are answered."""
    out, decisions = console(), list[VerdictRequest]()
    for number, unit in enumerate(work.units, start=1):
        out.print("\n".join(_lines(unit, work.top_ups)))
        key = click.prompt(
            f"{number}/{len(work.units)}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit",
            type=click.Choice([*_KEYS, "n", "q"]),
            show_choices=False,
        )
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            decisions.append(
                VerdictRequest(agent=AgentId(unit.agent_id), verdict=_KEYS[key], note=note, bonus_cents=bonus)
            )
    return decisions
