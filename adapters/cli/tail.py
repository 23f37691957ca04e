"""Implements `mephisto-es tail`: print events as they happen, for people and for pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec
import trio

from ...core.entity_ref import EntityRef
from ...events import streams
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...projections.queries.history.timeline import entry_of
from ..log.feed import FileCommits, LogFeed
from ..log.sqlite import schema
from ..log.sqlite.reader import LogReader
from ..terminal import echo
from .common.arguments import LogCommand, RunType, log_argument


@click.command("tail", cls=LogCommand)
@log_argument
@click.argument("run", type=RunType(), required=False)
@click.option("--from", "start", type=click.IntRange(min=1), help="Begin with the event at this position.")
@click.option("--no-follow", "stops", is_flag=True, help="Stop at the end of the log instead of waiting for more.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event, for programs.")
def tail_command(database: Path, run: EntityRef | None, start: int | None, stops: bool, as_json: bool) -> None:
    """Print events as they happen, those of RUN or all of them, until Ctrl-C.

    Without --from, it begins with the next event. A program that has dealt with position N continues with --from N+1
    and misses nothing. No line contains a personal value.

    \b
    Examples:
      mephisto-es tail mephisto_data 1
      mephisto-es tail mephisto_data --json --from 1 | jq 'select(.kind == "task_run_paused")'
    """
    number = None if run is None else TaskRunId(run.number)
    with LogReader(database) as log, closing(schema.connect_read_only(database)) as changes:
        # Before the first read: what is committed during it ends the wait.
        commits = None if stops else FileCommits(changes)
        feed = LogFeed(log, log.head().seq if start is None else start - 1)
        try:
            trio.run(_print_all, feed, commits, number, as_json)
        except KeyboardInterrupt:
            # The usual way to quit.
            return


async def _print_all(feed: LogFeed, commits: FileCommits | None, run: TaskRunId | None, as_json: bool) -> None:
    while True:
        while piece := feed.read_piece():
            for line in _lines(piece, run, as_json):
                echo(line)
        if commits is None:
            return
        await commits.wait()


def _lines(piece: list[RecordedEvent], run: TaskRunId | None, as_json: bool) -> Iterator[str]:
    partition = None if run is None else streams.partition_of_run(run)
    for recorded in piece:
        if partition is None or streams.partition_of(recorded.envelope.stream) == partition:
            entry = entry_of(recorded)
            if as_json:
                fields = msgspec.to_builtins(entry) | {"event": msgspec.to_builtins(recorded.envelope.event)}
                yield msgspec.json.encode(fields).decode()
            else:
                yield f"{entry.seq}  {entry}"
