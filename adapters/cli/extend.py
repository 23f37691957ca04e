"""Implements `mephisto-es extend`: give a run more data, more units for each assignment, or another budget."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from pathlib import Path

import click
import trio
from msgspec.structs import replace

from ...core.abstractions.work_data import InitializationData
from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.operations.configuration.money import amount, cents
from ...core.operations.control.requests import ExtendRequest, Reply
from ...core.operations.launching.assignment_data import encoded_item
from ...core.operations.registry import fill_registries, get_blueprint_from_type
from ...core.operations.run.plan import stored_config
from ...events import streams
from ...events.ids import TaskRunId
from ...events.task_run import TaskRunCreated
from ..advice import advised
from ..control.abandoned import how_to_resume
from ..control.client import open_control
from ..control.protocol import MAX_LINE_BYTES, author_of
from ..control.reviews import content_key
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from .common.arguments import LogCommand, author_option, log_argument, run_argument
from .common.output import format_repeated, progress

#: Bytes of items in one request, unless a single item is larger.
CHUNK_BYTES = MAX_LINE_BYTES // 8
#: What is written for a run without a budget.
NO_BUDGET = "none"
_SETTINGS = {".csv": "data_csv", ".json": "data_json", ".jsonl": "data_jsonl", ".ndjson": "data_jsonl"}


@click.command("extend", cls=LogCommand)
@log_argument
@run_argument
@click.option(
    "--data",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Items that follow the run's data: CSV, JSON or JSON Lines, as for a launch.",
)
@click.option(
    "--units-per-assignment", type=click.IntRange(min=1), metavar="N", help="Units that each assignment is to have."
)
@click.option("--budget", metavar="AMOUNT", help="The new limit of all costs: 50.00, or none.")
@click.option("--reason", default="extended by hand", show_default=True, help="Recorded in the log.")
@author_option
def extend_command(
    database: Path,
    run: EntityRef,
    files: Sequence[Path],
    units_per_assignment: int | None,
    budget: str | None,
    reason: str,
    author: str | None,
) -> None:
    """Give RUN more data, more units for each assignment, or another budget. This works while it is live.

    Added items follow those of the launch, with the same settings and the same checks. Further units are done by
    workers who have not done the same item. A run that has ended is reopened if it gets more to do; resume it then.
    The same file is added once, however often and by whomever the command is repeated.

    \b
    Examples:
      mephisto-es extend mephisto_data 1 --data more.csv
      mephisto-es extend mephisto_data 1 --units-per-assignment 3
      mephisto-es extend mephisto_data 1 --budget 50.00
    """
    if not files and units_per_assignment is None and budget is None:
        raise click.UsageError("Nothing to do: give --data, --units-per-assignment or --budget.")
    number, who = TaskRunId(run.number), author_of(author)
    requests = [request for file in files for request in _requests(number, reason, _items_of(database, number, file))]
    if units_per_assignment is not None:
        requests.append(ExtendRequest(task_run=number, reason=reason, units_per_assignment=units_per_assignment))
    if budget is not None:
        limit = None if budget == NO_BUDGET else cents(budget, key="--budget")
        requests.append(ExtendRequest(task_run=number, reason=reason, changes_budget=True, budget_cents=limit))
    with progress(f"extending {run}", len(requests)) as advance:

        async def extend() -> Reply:
            reply = Reply()
            async with open_control(database, who) as control:
                for request in requests:
                    # Whoever adds a file, and for whatever reason: it is the same file.
                    key = content_key(replace(request, reason="")) if request.items else None
                    reply = await control.execute(request, key)
                    _print_done(run, request, reply)
                    advance()
            return reply

        reply = trio.run(extend)
    if reply.run_status == TaskRunStatus.PAUSED.value:
        echo(advised(f"{run} is paused; {how_to_resume(database, TaskRunId(run.number))}"))


def _items_of(database: Path, run: TaskRunId, file: Path) -> list[InitializationData]:
    """Read the items of a file as the blueprint of a run reads its data, with the same checks.

    Raises:
        ConfigError: the file or an item of it cannot be used, or the blueprint reads no such file.
        UnknownEntityError: there is no such run.
    """
    fill_registries()
    with open_as_of(database) as moment:
        created = moment.stream(streams.task_run(moment.db.get_task_run(run).task_run_id))[0].envelope.event
    if not isinstance(created, TaskRunCreated):
        raise LookupError("only being created can happen first to a run: a table has a wrong row")
    config = stored_config(created)
    setting = _SETTINGS.get(file.suffix.lower(), "data_csv")
    if setting not in config.blueprint:
        raise ConfigError(
            f"the blueprint {created.blueprint_type!r} reads no data from files",
            key="--data",
            hint="Let its launch script give more data, and run it again with mephisto.task.resume_incomplete_run=true",
        )
    for other in set(_SETTINGS.values()) & {str(name) for name in config.blueprint}:
        config.blueprint[other] = str(file.absolute()) if other == setting else None
    blueprint_class = get_blueprint_from_type(created.blueprint_type)
    shared_state = blueprint_class.SharedStateClass()
    blueprint_class.assert_task_args(config, shared_state)
    data = blueprint_class(config, shared_state).get_initialization_data()
    if isinstance(data, AsyncIterable):
        raise ConfigError(f"the blueprint {created.blueprint_type!r} reads its data asynchronously", key="--data")
    return list(data)


def _requests(run: TaskRunId, reason: str, items: Sequence[InitializationData]) -> Iterator[ExtendRequest]:
    """Yield requests that add items, each small enough to be sent.

    Raises:
        ConfigError: an item is too large.
    """
    chunk, size = list[InitializationData](), 0
    for number, item in enumerate(items, start=1):
        item_size = len(encoded_item(item, number, MAX_LINE_BYTES // 2))
        if chunk and size + item_size > CHUNK_BYTES:
            yield ExtendRequest(task_run=run, reason=reason, items=tuple(chunk))
            chunk, size = [], 0
        chunk.append(item)
        size += item_size
    yield ExtendRequest(task_run=run, reason=reason, items=tuple(chunk))


def _print_done(run: EntityRef, request: ExtendRequest, reply: Reply) -> None:
    before = format_repeated(is_repeated=reply.repeated, by=reply.repeats)
    if request.items:
        echo(f"{run}: {len(request.items):,} items added{before}")
    if request.units_per_assignment is not None:
        echo(f"{run}: {request.units_per_assignment} units per assignment{before}")
    if request.changes_budget:
        limit = "none" if request.budget_cents is None else amount(request.budget_cents)
        echo(f"{run}: budget {limit}{before}")
