"""Implements `mephisto-es blockers`: show what keeps a run from completing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from ...core.entity_ref import EntityRef
from ...events.ids import TaskRunId
from ...projections.queries.runs.blockers import Blocker, OpenReport, find_blockers
from ..advice import advised
from .common.arguments import AsOfOption, LogCommand, as_of_options, log_argument, run_argument
from .common.operators import ask_operator
from .common.output import as_json_option, console, print_json


@click.command("blockers", cls=LogCommand)
@log_argument
@run_argument
@as_of_options
@as_json_option
def blockers_command(database: Path, run: EntityRef, as_of: AsOfOption, as_json: bool) -> None:
    """Show what keeps RUN from completing: working agents, units on offer, outside resources.

    \b
    Example:
      mephisto-es blockers mephisto_data 1
    """
    with as_of.open(database) as moment:
        found = find_blockers(moment, TaskRunId(run.number))
    if as_of == AsOfOption():
        report = ask_operator(database, TaskRunId(run.number), found.status)
        more = () if report.problem is None else (Blocker(report.problem, 1),)
        away = (Blocker(sentence, 1, since=since) for sentence, since in report.outages)
        found = msgspec.structs.replace(found, blockers=(*more, *away, *found.blockers))
    if as_json:
        print_json(found)
    else:
        console().print("\n".join(_lines(found)))


def _lines(openness: OpenReport) -> Iterator[str]:
    if not openness.blockers:
        yield f"[bold]{openness.run}[/] is {escape(openness.status)}; nothing is open, nothing is held outside"
        return
    yield f"[bold]{openness.run}[/] is {escape(openness.status)}:"
    for blocker in openness.blockers:
        since = f"  [dim]since {blocker.since}[/]" if blocker.since else ""
        more = ", ..." if blocker.count > len(blocker.entities) else ""
        named = f"  {', '.join(blocker.entities)}{more}" if blocker.entities else ""
        yield f"  - {escape(advised(blocker.reason))}{since}{escape(named)}"
