"""Implements `mephisto-es review`: record verdicts on the work of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click
import msgspec
import trio

from ...core.commands.review import Verdict
from ...core.entity_ref import EntityRef
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
from ...projections.queries.review_queue import ReviewFilter, read_filter, review_queue
from ...projections.queries.unit_records import UnitRecord, unit_records
from ..control.protocol import author_of
from ..control.reviews import record_verdicts
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import (
    EntityType,
    LogCommand,
    author_option,
    log_argument,
    pseudonyms_option,
    run_argument,
)
from .common.output import as_json_option, console, print_json, progress
from .common.top_ups import proposed_top_ups, with_top_ups
from .common.work_lines import lines_of_appeal, lines_of_late_work, lines_of_work

_AGENT = EntityType("agent")
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
@click.option("--approve-all", is_flag=True, help="Accept all unreviewed work, or all that --where selects.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Select work: worker, kind, text, min_seconds, max_seconds, since, until; order=fastest.",
)
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
    where: Sequence[str],
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
      mephisto-es review mephisto_data 1 --where worker=worker-3 --where max_seconds=5
      mephisto-es review mephisto_data 1 --late
      mephisto-es review mephisto_data 1 --accept-late agent-9
      mephisto-es review mephisto_data 1 --appeals
      mephisto-es review mephisto_data 1 --dismiss-appeal agent-7 --note "The second half is copied from the example."
      mephisto-es review mephisto_data 1 --approve agent-7 --bonus 0.50 --note "well done"
      mephisto-es review mephisto_data 1 --approve-all --top-up
    """
    bonus_cents = cents(chosen["bonus"], key="--bonus")
    selected = _selected(where)
    proposed = proposed_top_ups(database, TaskRunId(run.number)) if top_up else {}
    decisions = with_top_ups(_decisions(chosen, database, run, selected, bonus_cents), proposed)
    if decisions or chosen["approve_all"]:
        _record(database, author, decisions)
    if ask:
        named = {decision.agent for decision in decisions}
        work = _unreviewed(database, run, selected, names=not pseudonyms)
        units = [unit for unit in work.units if unit.agent_id not in named]
        for decision in _ask(units, work.top_ups, chosen["note"], bonus_cents):
            _record(database, author, with_top_ups([decision], proposed))
    if decisions or chosen["approve_all"] or ask:
        return
    if late:
        _show_late(database, run, names=not pseudonyms, as_json=as_json)
    elif appeals:
        _show_appeals(database, run, as_json=as_json)
    else:
        _list(_unreviewed(database, run, selected, names=not pseudonyms), as_json=as_json)


def _decisions(
    chosen: ChosenVerdicts, database: Path, run: EntityRef, selected: ReviewFilter, bonus_cents: int
) -> list[ReviewRequest]:
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
        rest = (
            EntityRef("agent", agent) for agent in _unreviewed_agents(database, run, selected) if agent not in decided
        )
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


def _selected(where: Sequence[str]) -> ReviewFilter:
    """Return the filter for unreviewed work that options describe.

    Raises:
        click.UsageError, ConfigError: it makes no sense.
    """
    fields = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals or name == "status":
            raise click.UsageError(f"--where {text!r} does not select unreviewed work; write --where worker=worker-3.")
        fields[name] = value
    return read_filter(fields)


def _unreviewed(database: Path, run: EntityRef, selected: ReviewFilter, *, names: bool) -> UnreviewedWork:
    with open_as_of(database) as moment:
        number = TaskRunId(run.number)
        units = map(moment.db.get_unit, review_queue(moment, number, selected).units)
        records = tuple(unit_records(moment, number, units=units, names=names))
        return UnreviewedWork(str(run), records, top_ups(moment, number))


def _unreviewed_agents(database: Path, run: EntityRef, selected: ReviewFilter) -> Sequence[AgentId]:
    """Return the agents whose work nobody has reviewed, without reading the work."""
    with open_as_of(database) as moment:
        return review_queue(moment, TaskRunId(run.number), selected).agents


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
        out.print("\n".join(lines_of_work(unit, work.top_ups)))


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
        out.print("\n".join(lines_of_late_work(one)))


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
        out.print("\n".join(lines_of_appeal(one)))


def _ask(
    units: Sequence[UnitRecord], proposed: Mapping[AgentId, int], note: str | None, bonus_cents: int
) -> Iterator[VerdictRequest]:
    """Ask for verdicts on the terminal, and yield each one at once, so that an interruption loses none."""
    out = console()
    for number, unit in enumerate(units, start=1):
        out.print("\n".join(lines_of_work(unit, proposed)))
        key = click.prompt(
            f"{number}/{len(units)}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit",
            type=click.Choice([*_KEYS, "n", "q"]),
            show_choices=False,
        )
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            yield VerdictRequest(agent=AgentId(unit.agent_id), verdict=_KEYS[key], note=note, bonus_cents=bonus)
