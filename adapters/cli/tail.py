"""Implements `mephisto-es tail`: print events as they happen, for people and for pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec
import trio

from ...core.entity_ref import EntityRef
from ...events import streams
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId, WorkerId
from ...projections.mephisto_db.queries import JsonValue
from ...projections.queries.history.timeline import TimelineEntry, entry_of
from ..log.feed import FileCommits, LogFeed
from ..log.sqlite import schema
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.reader import LogReader
from ..terminal import echo
from .common.arguments import LogCommand, RunType, log_argument

#: The category of the streams that tell when a worker came to a run.
_COMING = "engagement"


class EventLine(TimelineEntry, frozen=True, kw_only=True):
    """One event: in words, and as it is stored."""

    #: The fields of the event as the catalogue of events has them, with its `kind`.
    event: dict[str, JsonValue]


@click.command("tail", cls=LogCommand)
@log_argument
@click.argument("run", type=RunType(), required=False)
@click.option("--from", "start", type=click.IntRange(min=1), help="Begin with the event at this position.")
@click.option("--no-follow", "stops", is_flag=True, help="Stop at the end of the log instead of waiting for more.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event, for programs.")
def tail_command(database: Path, run: EntityRef | None, start: int | None, stops: bool, as_json: bool) -> None:
    """Print events as they happen, those of RUN or all of them, until Ctrl-C.

    The events of RUN include what becomes of its workers everywhere, such as a block or a qualification, from the time
    they come.

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
        concerns = _everything if number is None else RunFilter(number, _workers_before(database, number, feed.seq))
        try:
            trio.run(_print_all, feed, commits, concerns, as_json)
        except KeyboardInterrupt:
            # The usual way to quit.
            return


class RunFilter:
    """Selects the events of a run, and those of its workers from the time they came."""

    def __init__(self, run: TaskRunId, workers: Iterable[WorkerId]) -> None:
        """Take the workers who came before the first event."""
        self._run = run
        self._streams = {streams.worker(worker) for worker in workers}

    def __call__(self, recorded: RecordedEvent) -> bool:
        """Return whether the next event is selected."""
        stream = recorded.envelope.stream
        name = streams.parse(stream)
        if name.run == self._run and name.category == _COMING:
            self._streams.add(streams.worker(WorkerId(name.number)))
        return name.run == self._run or stream in self._streams


def _everything(_: RecordedEvent) -> bool:
    return True


def _workers_before(database: Path, run: TaskRunId, seq: int) -> set[WorkerId]:
    """Return the workers who had come to a run at a position."""
    with open_as_of(database) as moment:
        came = [one.envelope.stream for one in moment.under(f"{_COMING}/{run}/") if one.seq <= seq]
    return {WorkerId(streams.parse(stream).number) for stream in came}


async def _print_all(
    feed: LogFeed, commits: FileCommits | None, concerns: Callable[[RecordedEvent], bool], as_json: bool
) -> None:
    while True:
        while piece := feed.read_piece():
            for line in _lines(filter(concerns, piece), as_json):
                echo(line)
        if commits is None:
            return
        await commits.wait()


def _lines(events: Iterable[RecordedEvent], as_json: bool) -> Iterator[str]:
    for recorded in events:
        entry = entry_of(recorded)
        if as_json:
            event: dict[str, JsonValue] = msgspec.to_builtins(recorded.envelope.event)
            yield msgspec.json.encode(EventLine(**msgspec.structs.asdict(entry), event=event)).decode()
        else:
            yield f"{entry.seq}  {entry}"
