"""Turns the options of `mephisto-es review` into decisions, and refuses those that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import click
from msgspec.structs import replace

from ....core.commands.review import NOTE_IS_MISSING, Verdict
from ....core.entity_ref import EntityRef, parse_entity_ref
from ....core.lifecycles.agent import SUBMITTED_STATUSES, AgentStatus
from ....core.operations.control.requests import (
    AcceptLateRequest,
    DismissAppealRequest,
    OpinionRequest,
    ReviewRequest,
    VerdictRequest,
    WithdrawVerdictRequest,
)
from ....events.ids import AgentId, TaskRunId
from ....projections.mephisto_db.reader import MephistoDB
from ....projections.queries.review_queue import ReviewFilter, read_filter, review_queue
from ...advice import advised
from ...log.sqlite.as_of import open_as_of
from .arguments import EntityType


class ChosenVerdicts(TypedDict):
    """Values of the options that ask for verdicts."""

    approve: Sequence[EntityRef]
    soft_reject: Sequence[EntityRef]
    reject: Sequence[EntityRef]
    approve_all: bool
    undo: Sequence[EntityRef]
    second_opinion: bool
    adjudicate: bool
    accept_late: Sequence[EntityRef]
    accept_appeal: Sequence[EntityRef]
    dismiss_appeal: Sequence[EntityRef]
    note: str | None
    bonus: str


class WorkType(EntityType):
    """An agent, or the unit that it alone worked on."""

    def __init__(self) -> None:
        super().__init__("agent")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, if it may be the id of an agent or of a unit."""
        entity = parse_entity_ref(str(value))
        return str(entity) if entity is not None and entity.kind == "unit" else super().convert(value, param, ctx)

    def find(self, db: MephistoDB, text: str) -> EntityRef:
        """Return the agent whose work is meant.

        Raises:
            UnknownEntityError: there is no such unit.
            click.UsageError: nobody worked on it, or several did; the message names them.
        """
        unit = parse_entity_ref(text)
        if unit is None or unit.kind != "unit":
            return super().find(db, text)
        everyone = db.find_agents(unit_id=db.get_unit(unit.number).unit_id)
        found = [agent for agent in everyone if AgentStatus(agent.status) in SUBMITTED_STATUSES] or everyone
        if not found:
            raise click.UsageError(f"Nobody has worked on {unit} yet.")
        if len(found) > 1:
            named = ", ".join(f"agent-{agent.agent_id} ({agent.status})" for agent in found)
            raise click.UsageError(f"Several people worked on {unit}; name one of {named}.")
        return EntityRef("agent", found[0].agent_id)


def read_decisions(
    chosen: ChosenVerdicts, database: Path, run: EntityRef, selected: ReviewFilter, bonus_cents: int
) -> list[ReviewRequest]:
    """Return the decisions that the options ask for.

    Raises:
        click.UsageError: they contradict each other; nothing is recorded.
    """
    note = chosen["note"]
    _check_bonus(bonus_cents, chosen["accept_late"])
    _check_answers(chosen["dismiss_appeal"], note)
    if chosen["reject"] and not chosen["second_opinion"] and not (note or "").strip():
        raise click.UsageError(f"--reject needs --note: {NOTE_IS_MISSING}.")
    verdicts = [
        *(_decision(agent, Verdict.APPROVED, note, bonus_cents) for agent in chosen["approve"]),
        *(_decision(agent, Verdict.SOFT_REJECTED, note) for agent in chosen["soft_reject"]),
        *(_decision(agent, Verdict.REJECTED, note) for agent in chosen["reject"]),
    ]
    if chosen["second_opinion"] and (chosen["adjudicate"] or chosen["approve_all"] or bonus_cents):
        raise click.UsageError(
            "--second-opinion decides nothing: it goes with --approve, --soft-reject and --reject alone."
        )
    decisions: list[ReviewRequest] = [
        *(_as_asked(verdict, chosen) for verdict in verdicts),
        *(WithdrawVerdictRequest(agent=AgentId(agent.number), reason=note) for agent in chosen["undo"]),
        *(AcceptLateRequest(agent=AgentId(agent.number), note=note) for agent in chosen["accept_late"]),
        *(_decision(agent, Verdict.APPROVED, note) for agent in chosen["accept_appeal"]),
        *(DismissAppealRequest(agent=AgentId(agent.number), answer=note or "") for agent in chosen["dismiss_appeal"]),
    ]
    _check_once(decisions)
    _check_run(database, run, decisions)
    if chosen["approve_all"]:
        decided = {one.agent for one in decisions}
        rest = (
            EntityRef("agent", agent) for agent in unreviewed_agents(database, run, selected) if agent not in decided
        )
        decisions += [_decision(agent, Verdict.APPROVED, note, bonus_cents) for agent in rest]
    return decisions


def _as_asked(verdict: VerdictRequest, chosen: ChosenVerdicts) -> ReviewRequest:
    """Return a verdict, or in its place an opinion, as the options ask for."""
    if chosen["second_opinion"]:
        return OpinionRequest(agent=verdict.agent, verdict=verdict.verdict, note=verdict.note)
    return replace(verdict, adjudicates=chosen["adjudicate"])


def read_selection(where: Sequence[str]) -> ReviewFilter:
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


def unreviewed_agents(database: Path, run: EntityRef, selected: ReviewFilter) -> Sequence[AgentId]:
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
        hint = "grant it with `mephisto-es worker WORKER --bonus AMOUNT --reason TEXT`"
        raise click.UsageError(advised(f"--bonus does not go with --accept-late; {hint}."))


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
