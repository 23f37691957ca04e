"""`mephisto-es torture`: kills an operator again and again while a simulated crowd works, and sees what is lost."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import msgspec
import trio
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...core.errors import ConfigError
from ...core.operations.configuration.money import amount
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ..crowd.outcome_check import Ending
from ..crowd.torture import Pass, Plan, torture
from ..crowd.torture_job import Job
from ..text import format_counts
from .common.output import ILLEGAL, as_json_option, console, print_json

#: Two for a chat, one for whatever else there is.
LEAST_WORKERS = 4


class Outcome(msgspec.Struct, frozen=True):
    """All passes, the one without kills first."""

    is_success: bool
    passes: tuple[Pass, ...]


@click.command("torture")
@click.option("--kills", default=10, show_default=True, type=click.IntRange(min=1), help="Random kills in each pass.")
@click.option("--passes", default=1, show_default=True, type=click.IntRange(min=1), help="Passes with random kills.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="K",
    help="No random kills: a pass for each K-th event, in which the operator dies when that event is durable.",
)
@click.option("--router", "with_router", is_flag=True, help="Kill the routers together with the operator.")
@click.option("--seed", default=0, show_default=True, help="What kills and the crowd's habits are drawn from.")
@click.option(
    "--workers", default=20, show_default=True, type=click.IntRange(min=LEAST_WORKERS), help="People in the crowd."
)
@click.option("--units", default=60, show_default=True, type=click.IntRange(min=1), help="Sentences to rate.")
@click.option("--chats", default=8, show_default=True, type=click.IntRange(min=1), help="Chats, of two people each.")
@click.option(
    "--server-type", default="python", show_default=True, type=click.Choice(["python", "node"]), help="The router."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where to keep the logs.  [default: a new folder]")
@as_json_option
def torture_command(
    kills: int,
    passes: int,
    every: int | None,
    with_router: bool,
    seed: int,
    workers: int,
    units: int,
    chats: int,
    server_type: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Kill an operator with SIGKILL while a simulated crowd works, start it again, and see that nothing is lost.

    The job is the sentence rating example and the chat example at once, both with an onboarding. It is done once in
    peace; then with kills, and must end the same: as many units in each status, each submitted once, everything there
    that a worker was told has arrived, whole chats, the same pay owed, a legal log, nothing left outside.

    \b
    Examples:
      mephisto-es torture
      mephisto-es torture --router --passes 3 --seed 7
      mephisto-es torture --every 50

    Exit code 0: every pass ended as it must. 1: one did not, and it is said how. 2: something cannot be used.
    """
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")
    folder = data_dir or Path(tempfile.mkdtemp(prefix="mephisto-es-torture-"))
    if any(folder.glob("pass-*")):
        raise ConfigError(f"{folder} has passes already", key="--data-dir", hint="Name another folder.")
    errors = Console(stderr=True, highlight=False)
    done = trio.run(
        partial(
            torture,
            Job(sentences=units, chats=chats, server_type=server_type),
            workers,
            seed,
            folder,
            _plans(kills, passes, every, with_router),
            lambda one: errors.print(_sentence(one)),
        )
    )
    is_success = not any(one.faults for one in done)
    if as_json:
        print_json(Outcome(is_success, tuple(done)))
    else:
        console().print(_table(done))
        click.echo(f"the logs are in {folder}")
    sys.exit(0 if is_success else ILLEGAL)


def _plans(kills: int, passes: int, every: int | None, with_router: bool) -> Callable[[Ending], Sequence[Plan]]:
    """When operators are killed, given how the job ends in peace."""
    if every is not None:
        return lambda calm: [
            Plan(name=f"at event {position}", position=position, with_router=with_router)
            for position in range(every, calm.events, every)
        ]
    return lambda _: [
        Plan(name=f"at random, {number}", kills=kills, with_router=with_router) for number in range(1, passes + 1)
    ]


def _sentence(one: Pass) -> str:
    verdict = "[red]✗[/]" if one.faults else "[green]✓[/]"
    return f"{verdict} {one.name}, {one.seconds} s{''.join(f'; {escape(fault)}' for fault in one.faults)}"


def _table(passes: Sequence[Pass]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("pass")
    for column in ("operators killed", "routers killed", "events", "submitted", "lost", "doubled", "owed"):
        table.add_column(column, justify="right")
    table.add_column("units")
    table.add_column("end")
    for one in passes:
        end = "[red]not as it must be[/]" if one.faults else "[green]as it must be[/]"
        kills = (str(one.operators_killed), str(one.routers_killed))
        table.add_row(one.name, *kills, *_figures(one.ending), end)
    return table


def _figures(ending: Ending | None) -> tuple[str, ...]:
    if ending is None:
        return ("",) * 6
    counted = Counter[str]()
    for of_task in ending.units.values():
        counted.update(of_task)
    figures = (ending.events, ending.acknowledged, ending.lost, ending.doubled)
    return (*(f"{figure:,}" for figure in figures), amount(ending.owed_cents), format_counts(counted))
