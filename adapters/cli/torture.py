"""Implements `mephisto-es torture`: kill an operator repeatedly while a crowd works, and check the outcome."""

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
from rich.markup import escape
from rich.table import Table

from ...core.errors import ConfigError
from ...core.operations.configuration.money import amount
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ..composition.log_choice import keep_log_here
from ..crowd.outcome_check import JobOutcome
from ..crowd.torture import KillPlan, PassResult, run_passes
from ..crowd.torture_job import TortureJob
from ..terminal import echo, make_console
from ..text import format_counts
from .common.output import ILLEGAL, as_json_option, console, print_json

#: Two workers for a chat, and two for the other task.
MIN_WORKERS = 4


class TortureReport(msgspec.Struct, frozen=True):
    """The results of all passes, the one without kills first."""

    is_success: bool
    passes: tuple[PassResult, ...]


@click.command("torture")
@click.option("--kills", default=10, show_default=True, type=click.IntRange(min=1), help="Random kills in each pass.")
@click.option("--passes", default=1, show_default=True, type=click.IntRange(min=1), help="Passes with random kills.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="K",
    help="Instead of random kills, run a pass for every K-th event, in which the operator dies once it is durable.",
)
@click.option(
    "--stop",
    "how",
    default="kill",
    show_default=True,
    type=click.Choice(["kill", "term", "router"]),
    help="How the operator is stopped: without a warning, or by SIGTERM, which pauses its runs. With `router` it is "
    "left alone, and only its routers are killed, now and then while they start.",
)
@click.option("--router", "with_router", is_flag=True, help="Kill the routers together with the operator.")
@click.option("--seed", default=0, show_default=True, help="Seed of the kills and the crowd's behaviour.")
@click.option(
    "--workers", default=20, show_default=True, type=click.IntRange(min=MIN_WORKERS), help="Workers in the crowd."
)
@click.option("--units", default=60, show_default=True, type=click.IntRange(min=1), help="Sentences to rate.")
@click.option("--chats", default=8, show_default=True, type=click.IntRange(min=1), help="Chats between two workers.")
@click.option(
    "--server-type", default="python", show_default=True, type=click.Choice(["python", "node"]), help="Router to use."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for the logs.  [default: a new folder]")
@as_json_option
def torture_command(
    kills: int,
    passes: int,
    every: int | None,
    how: str,
    with_router: bool,
    seed: int,
    workers: int,
    units: int,
    chats: int,
    server_type: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Kill an operator while a simulated crowd works, or stop it, restart it, and check that nothing is lost.

    The job is the sentence rating example and the chat example at the same time, both with an onboarding. It runs once
    undisturbed and then with kills, and must end the same way: as many units in each status, each submitted once, all
    acknowledged work present, complete chats, the same pay owed, a legal log, and no outside resource held.

    \b
    Examples:
      mephisto-es torture
      mephisto-es torture --router --passes 3 --seed 7
      mephisto-es torture --every 50
      mephisto-es torture --stop term --kills 20
      mephisto-es torture --stop router --server-type node

    Exit code 0: every pass succeeded. 1: a pass failed, and its faults are listed. 2: an argument cannot be used.
    """
    keep_log_here()
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")
    folder = data_dir or Path(tempfile.mkdtemp(prefix="mephisto-es-torture-"))
    if any(folder.glob("pass-*")):
        raise ConfigError(f"{folder} has passes already", key="--data-dir", hint="Name another folder")
    errors = make_console(stderr=True)
    done = trio.run(
        partial(
            run_passes,
            TortureJob(sentences=units, chats=chats, server_type=server_type),
            workers,
            seed,
            folder,
            _plans(kills, passes, every, with_router=with_router, how=how),
            lambda one: errors.print(_sentence(one)),
        )
    )
    is_success = not any(one.faults for one in done)
    if as_json:
        print_json(TortureReport(is_success, tuple(done)))
    else:
        console().print(_table(done))
        echo(f"the logs are in {folder}")
    sys.exit(0 if is_success else ILLEGAL)


def _plans(
    kills: int, passes: int, every: int | None, *, with_router: bool, how: str
) -> Callable[[JobOutcome], Sequence[KillPlan]]:
    """Return a function that plans the passes, given the undisturbed outcome."""
    if every is not None:
        return lambda baseline: [
            KillPlan(name=f"at event {position}", position=position, with_router=with_router)
            for position in range(every, baseline.events, every)
        ]
    return lambda _: [
        KillPlan(
            name=f"at random, {number}",
            kills=kills,
            with_router=with_router,
            routers_alone=how == "router",
            asks=how == "term",
        )
        for number in range(1, passes + 1)
    ]


def _sentence(one: PassResult) -> str:
    verdict = "[red]✗[/]" if one.faults else "[green]✓[/]"
    return f"{verdict} {one.name}, {one.seconds} s{''.join(f'; {escape(fault)}' for fault in one.faults)}"


def _table(passes: Sequence[PassResult]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("pass")
    for column in ("operators killed", "routers killed", "events", "submitted", "lost", "doubled", "owed"):
        table.add_column(column, justify="right")
    table.add_column("units")
    table.add_column("result")
    for one in passes:
        result = "[red]failed[/]" if one.faults else "[green]passed[/]"
        kills = (str(one.operators_killed), str(one.routers_killed))
        table.add_row(one.name, *kills, *_figures(one.outcome), result)
    return table


def _figures(outcome: JobOutcome | None) -> tuple[str, ...]:
    if outcome is None:
        return ("",) * 6
    counted = Counter[str]()
    for counts in outcome.units.values():
        counted.update(counts)
    figures = (outcome.events, outcome.acknowledged, outcome.lost, outcome.doubled)
    return (*(f"{figure:,}" for figure in figures), amount(outcome.owed_cents), format_counts(counted))
