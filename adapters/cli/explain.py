"""Implements `mephisto-es explain`: show the decisions about an agent, a worker or an assignment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from rich.markup import escape

from ...core.entity_ref import EntityRef
from ...events.ids import AgentId, AssignmentId, WorkerId
from ...projections.queries.history.explain import (
    Explanation,
    ExplanationStep,
    RuleResult,
    explain_agent,
    explain_assignment,
    explain_worker,
)
from ...projections.queries.worker_names import worker_names
from ..text import format_author
from .common.arguments import AsOfOption, EntityType, LogCommand, as_of_options, log_argument, pseudonyms_option
from .common.output import as_json_option, console, print_json


@click.command("explain", cls=LogCommand)
@log_argument
@click.argument("subject", type=EntityType("agent", "worker", "assignment"), metavar="ID")
@pseudonyms_option
@as_of_options
@as_json_option
def explain_command(database: Path, subject: EntityRef, pseudonyms: bool, as_of: AsOfOption, as_json: bool) -> None:
    """Show why ID, an agent or a worker, was admitted, refused, given a unit, or lost it.

    A worker may also be given by the name at the provider. Of an assignment, it is shown why it has as many units as it
    has.
    Each decision is shown with its rules, their inputs and their results.

    \b
    Examples:
      mephisto-es explain mephisto_data agent-7
      mephisto-es explain mephisto_data worker-3
      mephisto-es explain mephisto_data assignment-12
    """
    with as_of.open(database) as moment:
        if subject.kind == "agent":
            found = explain_agent(moment, AgentId(subject.number))
        elif subject.kind == "assignment":
            found = explain_assignment(moment, AssignmentId(subject.number))
        else:
            found = explain_worker(moment, WorkerId(subject.number))
        is_named = subject.kind == "worker" and not pseudonyms
        name = worker_names(moment.db, [subject.number]).get(WorkerId(subject.number)) if is_named else None
    if as_json:
        print_json(found)
    else:
        console().print("\n".join(_lines(found, name)))


def _lines(explanation: Explanation, name: str | None) -> Iterator[str]:
    named = "" if name is None else f" ({escape(name)})"
    yield f"[bold]{explanation.entity}[/]{named} {escape(explanation.summary)}"
    for step in explanation.steps:
        yield _headline(step)
        for rule in step.rules:
            yield _rule(rule)


def _headline(step: ExplanationStep) -> str:
    return (
        f"{step.at}  {step.entity} {escape(step.text)}  [dim]seq {step.seq}, by {escape(format_author(step.actor))}[/]"
    )


def _rule(result: RuleResult) -> str:
    inputs = ", ".join(f"{name} {'none' if value is None else value}" for name, value in result.inputs.items())
    mark = "[green]✓[/]" if result.holds else "[red]✗[/]"
    return f"    {mark} {escape(result.rule)}: {escape(inputs)}"
