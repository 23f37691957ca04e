"""Implements `mephisto-es timeline`: show what happened to one unit, agent, worker or run."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ...core.entity_ref import HISTORY_KINDS, EntityRef
from ...projections.queries.history.entity_events import events_about
from ...projections.queries.history.timeline import TimelineEntry, timeline
from ..terminal import echo
from .common.arguments import AsOfOption, EntityType, LogCommand, as_of_options, log_argument
from .common.output import as_json_option, print_json


class Timeline(msgspec.Struct, frozen=True):
    """The history of one entity."""

    subject: str
    lines: tuple[TimelineEntry, ...]


@click.command("timeline", cls=LogCommand)
@log_argument
@click.argument("subject", type=EntityType(*HISTORY_KINDS), metavar="ID")
@as_of_options
@as_json_option
def timeline_command(database: Path, subject: EntityRef, as_of: AsOfOption, as_json: bool) -> None:
    """Show what happened to ID and to everything that belongs to it, payments included, one line per event, in UTC.

    ID is a unit, agent, worker, run, assignment, onboarding, payment or outside resource: unit-12, agent-7, worker-3,
    run-1, payment-2, resource-1. No line contains a personal value, so you can paste the output into an answer.

    \b
    Examples:
      mephisto-es timeline mephisto_data unit-12
      mephisto-es timeline mephisto_data worker-3 --json
      mephisto-es timeline mephisto_data payment-7
    """
    with as_of.open(database) as moment:
        found = Timeline(str(subject), tuple(timeline(events_about(moment, subject), subject)))
    if as_json:
        print_json(found)
    else:
        for line in found.lines:
            echo(str(line))
