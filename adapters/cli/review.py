"""Implements `mephisto-es review`: record verdicts on the work of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Unpack

import click
import trio

from ...core.commands.review import Verdict
from ...core.entity_ref import EntityRef
from ...core.operations.configuration.money import amount, cents
from ...core.operations.control.requests import (
    AcceptLateRequest,
    DismissAppealRequest,
    OpinionRequest,
    Reply,
    ReviewRequest,
    VerdictRequest,
    WithdrawVerdictRequest,
)
from ...events.ids import TaskRunId
from ..advice import advised
from ..composition.rejections import bonus_warning, rejection_warnings
from ..control.protocol import author_of
from ..control.reviews import record_verdicts
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import (
    LogCommand,
    author_option,
    log_argument,
    pseudonyms_option,
    run_argument,
)
from .common.output import as_json_option, format_repeated, progress
from .common.pay_sums import pay_sum
from .common.review_decisions import ChosenVerdicts, WorkType, read_decisions, read_selection
from .common.review_lists import read_unreviewed, show_appeals, show_late, show_unreviewed, unreviewed_units
from .common.review_questions import ask_for_verdicts
from .common.top_ups import proposed_top_ups, with_top_ups

_AGENT = WorkType()


@click.command("review", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--approve", multiple=True, type=_AGENT, metavar="AGENT", help="Accept the work of this agent or unit and pay it."
)
@click.option(
    "--soft-reject", multiple=True, type=_AGENT, metavar="AGENT", help="Pay the work but leave it out of the data."
)
@click.option("--reject", multiple=True, type=_AGENT, metavar="AGENT", help="Reject the work: not paid. Needs --note.")
@click.option("--approve-all", is_flag=True, help="Accept all unreviewed work, or all that --where selects.")
@click.option("--yes", is_flag=True, help="With --approve-all: record the verdicts without asking on a terminal.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Select work: worker, kind, opinions, text, min_seconds, max_seconds, since, until; order=fastest.",
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
@click.option("--second-opinion", is_flag=True, help="Record verdicts as opinions: a second reviewer decides.")
@click.option("--adjudicate", is_flag=True, help="Decide although two reviewers differ.")
@click.option(
    "--undo",
    multiple=True,
    type=_AGENT,
    metavar="AGENT",
    help="Take back the verdict on this agent's work, until it is paid; --note is the reason.",
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
    yes: bool,
    where: Sequence[str],
    author: str | None,
    pseudonyms: bool,
    as_json: bool,
    **chosen: Unpack[ChosenVerdicts],
) -> None:
    """Record verdicts on the work of RUN. Without verdicts, list the unreviewed work.

    This works while a run is live: its operator records the verdicts. Each verdict is durable when this command reports
    it, and repeating the command records nothing twice. Approved work cannot be rejected later; rejected work can still
    be approved. --undo takes a verdict back, as long as nothing was ordered from the provider for it: the work is
    unreviewed again, and is no longer owed. What you granted beside the verdict, such as a qualification, stays.

    --approve-all shows what it pays, with fees where they are known, and asks on a terminal unless there is --yes.

    With --second-opinion nothing is decided: somebody else gives the verdict, without being shown yours. If it is the
    same, it counts; otherwise the work is listed by --where opinions=differ, until somebody decides with --adjudicate.

    Late work came after a timeout, a return, a disconnect or an expiry. Accepting it accepts the unit, too, unless
    somebody else has or did the unit: then the work is only paid.

    A worker whose work was rejected may object once. If several people review the run, the one who rejected the work
    cannot dismiss the objection.

    \b
    Examples:
      mephisto-es review mephisto_data 1
      mephisto-es review mephisto_data 1 --ask
      mephisto-es review mephisto_data 1 --where worker=worker-3 --where max_seconds=5
      mephisto-es review mephisto_data 1 --accept-late agent-9
      mephisto-es review mephisto_data 1 --dismiss-appeal agent-7 --note "The second half is copied from the example."
      mephisto-es review mephisto_data 1 --approve agent-7 --bonus 0.50 --note "well done"
      mephisto-es review mephisto_data 1 --approve-all --top-up
      mephisto-es review mephisto_data 1 --undo agent-7
    """
    bonus_cents = cents(chosen["bonus"], key="--bonus")
    selected = read_selection(where)
    proposed = proposed_top_ups(database, TaskRunId(run.number)) if top_up else {}
    decisions = with_top_ups(read_decisions(chosen, database, run, selected, bonus_cents), proposed)
    if chosen["approve_all"]:
        _record_all(database, run, author, decisions, is_asked=not yes and sys.stdin.isatty())
    elif decisions:
        _record(database, author, decisions)
    if ask:
        waiting = unreviewed_units(database, run, selected)
        shown = proposed or proposed_top_ups(database, TaskRunId(run.number))
        units = read_unreviewed(database, run, waiting, names=not pseudonyms)
        for decision in ask_for_verdicts(units, len(waiting), shown, chosen["note"], bonus_cents):
            _record(database, author, with_top_ups([decision], proposed))
    if not (decisions or chosen["approve_all"] or ask):
        listed = show_late if late else show_appeals if appeals else partial(show_unreviewed, selected=selected)
        listed(database, run, names=not pseudonyms, as_json=as_json)


def _warn_of_bonuses(database: Path, decisions: Sequence[ReviewRequest]) -> None:
    """Say that bonuses will not be paid by the provider of their run, if that is so."""
    agents = [one.agent for one in decisions if isinstance(one, VerdictRequest) and one.bonus_cents]
    if agents:
        with open_as_of(database) as moment:
            warning = bonus_warning(moment, TaskRunId(moment.db.get_agent(agents[0]).task_run_id))
        if warning is not None:
            echo(advised(warning))


def _record_all(
    database: Path, run: EntityRef, author: str | None, decisions: Sequence[ReviewRequest], *, is_asked: bool
) -> None:
    """Record decisions after showing what they pay, and show what those pay that were recorded.

    Raises:
        click.Abort: the person at the terminal does not want it; nothing is recorded.
        CommandRefusedError: one was refused; the others were still tried, and are in the sum.
    """
    number = TaskRunId(run.number)
    if not decisions:
        echo(f"{run}: no unreviewed work matches.")
        return
    echo(f"payable by these verdicts: {pay_sum(database, number, decisions).text}")
    _warn_of_bonuses(database, decisions)
    if is_asked:
        click.confirm("Approve this?", abort=True)
    recorded: list[ReviewRequest] = []
    try:
        _record(database, author, decisions, recorded)
    finally:
        echo(f"recorded: {pay_sum(database, number, recorded).text}")


def _record(
    database: Path,
    author: str | None,
    decisions: Sequence[ReviewRequest],
    recorded: list[ReviewRequest] | None = None,
) -> None:
    """Record decisions, and print each one when it is durable.

    Args:
        database: the log.
        author: who decides.
        decisions: what to record.
        recorded: gets those that took effect now.

    Raises:
        CommandRefusedError: one was refused; the others were still tried.
    """
    if recorded is None:
        _warn_of_bonuses(database, decisions)
    rejected = [one.agent for one in decisions if isinstance(one, VerdictRequest) and one.verdict is Verdict.REJECTED]
    with open_as_of(database) as moment:
        warnings = rejection_warnings(moment, rejected)
    with progress(f"recording {len(decisions):,} verdicts", len(decisions)) as advance:

        def on_recorded(decision: ReviewRequest, reply: Reply) -> None:
            advance()
            if recorded is not None and not (reply.repeated or reply.differs):
                recorded.append(decision)
            _print_recorded(decision, reply)
            if decision.agent in rejected and decision.agent in warnings:
                echo(f"  {warnings[decision.agent]}")

        result = trio.run(record_verdicts, database, author_of(author), decisions, on_recorded)
    if result.refusal is not None:
        raise result.refusal


def _print_recorded(decision: ReviewRequest, reply: Reply) -> None:
    before = format_repeated(is_repeated=reply.repeated, by=reply.repeats)
    if isinstance(decision, AcceptLateRequest):
        echo(f"agent-{decision.agent}: late work accepted{before}")
        return
    if isinstance(decision, DismissAppealRequest):
        echo(f"agent-{decision.agent}: objection answered, the rejection stands{before}")
        return
    if isinstance(decision, OpinionRequest) or reply.differs:
        waits = "reviewers differ, somebody has to adjudicate" if reply.differs else "waits for a second reviewer"
        echo(f"agent-{decision.agent}: opinion recorded, {waits}{before}")
        return
    if isinstance(decision, WithdrawVerdictRequest):
        echo(f"agent-{decision.agent}: verdict taken back{before}")
        return
    bonus = f", bonus {amount(decision.bonus_cents)}" if decision.bonus_cents else ""
    echo(f"agent-{decision.agent}: {decision.verdict.value}{bonus}{before}")
