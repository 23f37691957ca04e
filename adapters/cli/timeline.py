"""`mephisto-es timeline`: what happened to one unit, agent, worker or run."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...projections.queries.entity_ref import KINDS, EntityRef
from ...projections.queries.history.entity_events import events_about
from ...projections.queries.history.timeline import TimelineEntry, timeline
from .database import SubjectCommand, SubjectType
from .output import as_json_option, log_argument, print_json
from .when import AsOfOption, when_options


class Timeline(msgspec.Struct, frozen=True):
    """What happened to one entity."""

    subject: str
    lines: tuple[TimelineEntry, ...]


@click.command("timeline", cls=SubjectCommand)
@log_argument
@click.argument("subject", type=SubjectType(*KINDS), metavar="ID")
@when_options
@as_json_option
def timeline_command(database: Path, subject: EntityRef, when: AsOfOption, as_json: bool) -> None:
    """Tell what happened to ID, and to what belongs to it, line by line, with dates in UTC.

    ID is a unit, agent, worker, run, assignment or onboarding: unit-12, agent-7, worker-3, run-1. No line holds a
    personal value, so that it can be pasted into an answer.

    \b
    Examples:
      mephisto-es timeline mephisto_data unit-12
      mephisto-es timeline mephisto_data worker-3 --json
    """
    with when.open(database) as moment:
        found = Timeline(str(subject), tuple(timeline(events_about(moment, subject), subject)))
    if as_json:
        print_json(found)
    else:
        for line in found.lines:
            click.echo(str(line))
